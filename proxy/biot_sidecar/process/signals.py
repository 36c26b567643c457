"""Signals: SIGTERM or SIGINT (Ctrl-C) once to drain, twice to end at once; SIGHUP to read the routes again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from biot_sidecar.platform import handle_signals


class StopSignals:
    """The first SIGTERM or SIGINT sets `drain_requested`, the second `force_requested`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_hangup: Callable[[], None]) -> None:
        self.drain_requested = asyncio.Event()
        self.force_requested = asyncio.Event()
        handle_signals(loop, self._signalled, on_hangup)

    def _signalled(self) -> None:
        (self.force_requested if self.drain_requested.is_set() else self.drain_requested).set()
