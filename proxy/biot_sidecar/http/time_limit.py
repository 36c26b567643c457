"""How long a call may last at most, head and body, whatever its route says.

SIDECAR_TIMEOUT_MOST is such a limit, and on AWS Lambda the event's deadline: shortly before it each call that is still
under way ends, so that the plugin hears of a BioT that hangs, instead of being ended together with its sidecar.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.error_catalogue import time_is_up
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.interfaces import ClientStream

MARGIN: Final = 0.5
"""Seconds before an event's deadline at which its calls end: what is left is the plugin's, to answer."""
GRACE: Final = 0.1
"""Seconds for a call that begins within the margin: the next event may have come, and its deadline be under way."""

Result = TypeVar("Result")


class CallTime:
    """The time that one call has: seconds from when it `began`, by the clock. An event may change them."""

    __slots__ = ("began", "seconds")

    def __init__(self, began: float) -> None:
        self.began = began
        self.seconds = float("inf")


class TimeLimit:
    """`most` is in seconds, infinite for no such limit; `clock` is that of the calls' beginnings."""

    def __init__(self, most: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._deadline = float("inf")
        self._calls: dict[timeout, CallTime] = {}

    def event_came(self, seconds: float) -> None:
        """An event has come whose deadline is in so many seconds: calls under way are held to it, too."""
        self._deadline = self._clock() + seconds
        for limit, time in self._calls.items():
            limit.reschedule(self._allot(time))

    def _allot(self, time: CallTime) -> float:
        """The seconds that a call has left, which are noted with those that are over."""
        left = self.left(time.began)
        time.seconds = self._clock() - time.began + left
        return left

    def left(self, began: float) -> float:
        """Seconds that a call has which began then."""
        now = self._clock()
        left = began + self._most - now
        if now < self._deadline:  # else that event is over
            left = min(left, max(self._deadline - MARGIN - now, GRACE))
        return left

    async def forward(self, forwarding: Coroutine[Any, Any, bool], client: ClientStream, exchange: Exchange) -> bool:
        """Forward until the time is up; an answer that has begun is cut then. Raises Failure."""
        time = CallTime(exchange.started)
        try:
            return await self.within(time, forwarding)
        except TimeoutError:
            pass
        if exchange.status:
            exchange.cut = True
            client.abort()
            return False
        raise time_is_up(time.seconds)

    async def within(self, time: CallTime, call: Coroutine[Any, Any, Result]) -> Result:
        """What comes of the call. Raises TimeoutError when its time is up, and the call is cancelled then."""
        limit = timeout(self._allot(time))
        self._calls[limit] = time
        try:
            with limit:
                return await call
        finally:
            del self._calls[limit]
