"""Who waits for a connection of the pool, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WaitingLine(Generic[Item]):
    """Futures of those who wait: each gets an item, or None for `look again`.

    `called` are those who were told to look and have not looked yet: what they were called for is theirs.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Item | None]] = deque()
        self.called = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, *, again: bool = False) -> asyncio.Future[Item | None]:
        """Stand at the end; `again`, who looked in vain, at the front."""
        waiter: asyncio.Future[Item | None] = asyncio.get_running_loop().create_future()
        if again:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        return waiter

    def next(self) -> asyncio.Future[Item | None] | None:
        """Who has waited longest and waits still; that one waits no more."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def call_next(self) -> None:
        """Let whoever has waited longest look again, and tell it by `looks`."""
        waiter = self.next()
        if waiter is not None:
            self.called += 1
            waiter.set_result(None)

    def looks(self) -> None:
        """One who was called is looking now."""
        self.called -= 1

    def leave(self, waiter: asyncio.Future[Item | None]) -> Item | None:
        """Its owner has gone; what it was given in the same moment, for others."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return None
        item = waiter.result()
        if item is None:
            self.looks()
            self.call_next()
        return item
