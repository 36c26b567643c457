"""How many TLS handshakes begin at a time: a few in each turn of the event loop, so that calls get ahead meanwhile.

A handshake takes ten times the CPU time of a call. Two hundred at once would all be computed before the first call went
out; begun a few at a time, the first connections have answered calls, and serve the next ones, before the others have
cost anything. Nothing waits for the network here: where BioT is slow all have begun as soon as that is computed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

PER_TURN: Final = 2
"""Handshakes that begin in one turn of the loop."""


class NotNeeded(Exception):
    """Nobody waits any more for the connection whose handshake was to begin."""


class HandshakePacer:
    """Gives each its turn, in the order of arrival."""

    def __init__(self) -> None:
        self._left = PER_TURN  # in this turn of the loop
        self._scheduled = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self, needed: Callable[[], bool]) -> None:
        """Wait for one's turn. Raises NotNeeded if one is not `needed` then."""
        if self._left <= 0 or self._waiting:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        if not needed():
            raise NotNeeded
        self._left -= 1
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled = False
        self._left = PER_TURN
        released = 0
        while self._waiting and released < PER_TURN:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                released += 1
        if self._waiting:
            self._schedule()
