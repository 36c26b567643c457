"""Listening sockets of the simulator's servers, with the system's word where an address cannot be had."""

from __future__ import annotations

import os

from aiohttp import web

from biot_sidecar.errors import AddressInUse
from biot_sidecar.settings import ListenAddress


async def listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Listen there, port 0 being any; the base URL. Raises AddressInUse."""
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        # asyncio words its own errors; the system's word is enough. Names that do not resolve have no errno.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise AddressInUse(f"cannot listen on {ListenAddress(host, port)}: {reason}") from error
    bound = runner.addresses[0][1]
    return f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
