"""How many requests begin at a time: some in each turn of the event loop, where many arrive at once.

All that a request takes, heads, frames and both connections, is 19 KB, and a turn looks at each request under way.
Of 256 that begin together nothing is left in a processor's cache when the next turn comes, and each takes twice the
time for the same instructions. Of a few the next turn finds what the last one has read. Nobody waits longer for that:
who comes last would wait for the others as well. Where BioT is slow all are under way some turns later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from biot_sidecar.http.deadlines import Wakeup

PER_TURN: Final = 32
"""Requests that begin in one turn of the loop."""


class RequestPacer:
    """Wakes those whose request has come, in the order of arrival."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = PER_TURN  # in this turn of the loop
        self._scheduled = False
        self._waiting: deque[Wakeup] = deque()

    def wake(self, wakeup: Wakeup) -> None:
        """In this turn, or in one of the next."""
        if self._left and not self._waiting:
            self._left -= 1
            wakeup.wake()
        else:
            self._waiting.append(wakeup)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        left = PER_TURN
        waiting = self._waiting
        while waiting and left:
            waiting.popleft().wake()
            left -= 1
        self._left = left
        self._scheduled = left < PER_TURN
        if self._scheduled:
            self._loop.call_soon(self._next_turn)
