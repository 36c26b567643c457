"""Signals: SIGTERM or SIGINT once to drain, twice to end at once; SIGHUP to read the routes again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class StopSignals:
    """`asked` is set by the first signal, `hurry` by the second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_hangup: Callable[[], None]) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, on_hangup)

    def _signalled(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()
