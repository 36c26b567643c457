"""The slots of requests in flight: how many there are, who queues for one, and which are not for waiting in.

A login that hangs holds everybody who needs its token. Those hold at most three quarters of the slots, so that requests
that need no token find one. A request that would have to wait beyond that queues in a line of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.deadlines import timeout

QUEUE_TIME: Final = 1.0
"""Seconds that a request queues at most."""
_Queue = deque[asyncio.Future[None]]


class Slots:
    """`most` requests may be in flight; `in_hand` tells whether a call would find its token."""

    __slots__ = ("_in_hand", "_most", "_queue", "_token_queue", "taken", "uncontended")

    def __init__(self, most: int, in_hand: Callable[[], bool]) -> None:
        self._most = most
        self._in_hand = in_hand
        self._queue: _Queue = deque()
        self._token_queue: _Queue = deque()
        self.taken = 0
        self.uncontended = max(1, most * 3 // 4)
        """With fewer taken anybody may take one, without asking."""

    async def take(self, needs_token: bool, timeout_seconds: float = QUEUE_TIME) -> None:
        """Become one of the requests in flight, perhaps once another has ended: within that time and QUEUE_TIME.

        Raises ClientError.
        """
        waits = needs_token and not self._in_hand()
        if not waits and self.taken < self._most:
            self.taken += 1
            return
        seconds = min(timeout_seconds, QUEUE_TIME)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._token_queue if waits else self._queue).append(turn)
        try:
            with timeout(seconds):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        except TimeoutError:
            pass
        if turn.cancelled():
            raise errors.overloaded(self._most, seconds)

    def leave(self) -> None:
        """Hand the slot to whoever has queued longest and may have it."""
        if _give(self._queue):
            return
        if self._token_queue and (self.taken <= self.uncontended or self._in_hand()) and _give(self._token_queue):
            return
        self.taken -= 1


def _give(queue: _Queue) -> bool:
    """Give a slot to the first who still waits; False if nobody does."""
    while queue:
        turn = queue.popleft()
        if not turn.done():
            turn.set_result(None)
            return True
    return False
