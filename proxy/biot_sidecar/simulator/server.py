"""The simulator on a real socket: for the command, the demo and tests."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from biot_sidecar.simulator.app import make_app
from biot_sidecar.simulator.listening import listen
from biot_sidecar.simulator.options import Clock, SimulatorOptions
from biot_sidecar.simulator.tokens import Signer

_HEAD = 128 * 1024  # bytes of a request line or header field: BioT's searches make long ones


@asynccontextmanager
async def running_simulator(
    options: SimulatorOptions | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Clock = time.time,  # noqa: TID251  a server on a real socket lives in real time, unless told otherwise
    signer: Signer | None = None,
) -> AsyncIterator[str]:
    """Serves while the block runs; yields the base URL, such as `http://127.0.0.1:8788`. Port 0 takes any.

    Raises AddressInUse when the address cannot be had.
    """
    app = make_app(options or SimulatorOptions(), clock, signer)
    limits: Any = {"max_line_size": _HEAD, "max_field_size": _HEAD, "max_headers": 512}
    runner = web.AppRunner(app, access_log=None, logger=_logger(), shutdown_timeout=1.0, **limits)
    await runner.setup()
    try:
        yield await listen(runner, host, port)
    finally:
        await runner.cleanup()


def _logger() -> logging.Logger:
    """aiohttp's log quotes what it cannot parse, a token perhaps: the caller gets the 400, the log nothing."""
    logger = logging.getLogger("biot_sidecar.simulator.http")
    logger.addFilter(_is_harmless)
    return logger


def _is_harmless(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
