"""When a failed try is worth another, and how many of those the last seconds allow."""

from __future__ import annotations

from collections import deque
from typing import Final

from biot_sidecar.routing.route import Retry, Route

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
RETRYABLE_STATUS: Final = frozenset({502, 503, 504})
MORE_TRIES: Final = 2
FIRST_PAUSE: Final = 0.025
LONGEST_PAUSE: Final = 0.25
BUDGET_WINDOW: Final = 10.0
BUDGET_SHARE: Final = 0.2
BUDGET_LEAST: Final = 3


def may_retry(route: Route, method: bytes, reason: str, retries: int) -> bool:
    """`reason` is what went wrong: `connect` (nothing was sent), `reset` (lost before an answer) or `status`.

    BioT has no idempotency key, so a method that is not idempotent is sent again only if nothing of it left.
    """
    if route.retry is Retry.NONE or retries >= MORE_TRIES or not reason:
        return False
    return reason == "connect" or method in IDEMPOTENT


def pause(retries: int, jitter: float) -> float:
    """Seconds before the next try: 25 ms and up to 100, then up to 250; `jitter` in [0, 1) spreads callers out."""
    ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * float(4 ** (retries + 1)))
    return FIRST_PAUSE + jitter * (ceiling - FIRST_PAUSE)


class RetryBudget:
    """Of the last 10 seconds' requests 20 % may be retries, but never fewer than 3 (as Finagle's and Envoy's)."""

    def __init__(self) -> None:
        self._requests = _Window()
        self._retries = _Window()

    def request(self, now: float) -> None:
        """Count a request in."""
        self._requests.count(now)

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget, or say no."""
        allowed = max(BUDGET_LEAST, BUDGET_SHARE * self._requests.total(now))
        if self._retries.total(now) + 1 > allowed:
            return False
        self._retries.count(now)
        return True


class _Window:
    """Counts what happened in the last seconds; a count for each second, so that memory does not grow with load."""

    def __init__(self) -> None:
        self._second = 0
        self._count = 0
        self._past: deque[tuple[int, int]] = deque()  # second, count

    def count(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._past.append((self._second, self._count))
            self._second, self._count = second, 0
            while self._past and self._past[0][0] < now - BUDGET_WINDOW:
                self._past.popleft()
        self._count += 1

    def total(self, now: float) -> int:
        seconds = [(self._second, self._count), *self._past]
        return sum(count for second, count in seconds if second >= now - BUDGET_WINDOW)
