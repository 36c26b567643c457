"""Waits for connections to end when the sidecar stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from biot_sidecar.http.deadlines import POLLS
from biot_sidecar.http.listener import Listener
from biot_sidecar.http.server import ConnectionHandler

IDLE_GRACE: Final = 0.25
"""Seconds in which a stopping sidecar still tells idle connections that it stops, instead of hanging up on them."""
DRAIN_POLL: Final = 0.02


async def drained(listener: Listener, handler: ConnectionHandler, clock: Callable[[], float]) -> None:
    """Wait for all connections to end. While requests run, those that rest may still ask, and hear that we stop."""
    grace = clock() + IDLE_GRACE
    while listener.open:
        if clock() >= grace and not handler.in_flight:
            # A process that stood still finds this due before it has read what lies in its sockets (http.deadlines).
            for _ in range(POLLS):
                await asyncio.sleep(0)
            if not handler.in_flight:
                handler.drain_idle = True
                listener.wake_all()
        await asyncio.sleep(DRAIN_POLL)
