"""Who waits for a connection of the pool, in the order of arrival."""

from __future__ import annotations

from collections import deque

from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.upstream_connection import UpstreamConnection


class Waiter:
    """One who waits: woken with a `connection`, which is its own from then on, or with a dial's `failure`."""

    __slots__ = ("connection", "failure", "waiting", "wakeup")

    def __init__(self, wakeup: Wakeup) -> None:
        self.wakeup = wakeup
        self.waiting = False  # stands in the line
        self.connection: UpstreamConnection | None = None
        self.failure: BaseException | None = None

    def give(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.wakeup.wake()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.wakeup.wake()


class WaitingLine:
    """Those who have nothing yet."""

    def __init__(self) -> None:
        self._waiting: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, waiter: Waiter) -> None:
        """Stand at the end."""
        waiter.waiting = True
        self._waiting.append(waiter)

    def rejoin(self, waiter: Waiter) -> None:
        """Stand at the front, who got a connection that ended before it could be used."""
        waiter.waiting = True
        self._waiting.appendleft(waiter)

    def next(self) -> Waiter | None:
        """Who has waited longest; that one waits no more."""
        if not self._waiting:
            return None
        waiter = self._waiting.popleft()
        waiter.waiting = False
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """One who stands in the line goes."""
        self._waiting.remove(waiter)
        waiter.waiting = False
