"""Waiting under an event loop for a signal that says stop, or for whatever comes first."""

from __future__ import annotations

import asyncio
from typing import Any

from biot_sidecar.platform import handle_signals


def stop_request() -> asyncio.Future[int]:
    """Done with the first signal that says stop; from now on these do nothing else."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def take() -> None:
        if not stop.done():
            stop.set_result(0)

    handle_signals(loop, on_stop=take, on_hangup=take)
    return stop


async def first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
