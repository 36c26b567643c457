"""Tests of a program whose own clock runs, where something has to happen before one of its deadlines."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Seconds since it was made, until it is stopped."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._took = 0.0

    def start(self) -> None:
        """Begin anew."""
        self._began = time.monotonic()

    def stop(self) -> None:
        self._took = time.monotonic() - self._began

    @property
    def seconds(self) -> float:
        """Of one that was never stopped: until now."""
        return self._took or time.monotonic() - self._began


async def in_time(seconds: float, attempt: Callable[[Stopwatch], Awaitable[T]]) -> T:
    """What comes of an attempt that may have failed only if it did its part within `seconds`, which it stops.

    On a busy machine a test may be too late itself: then the program was right to give up, and all is tried again.
    """
    while True:
        watch = Stopwatch()
        try:
            return await attempt(watch)
        except (AssertionError, TimeoutError):
            if watch.seconds < seconds:
                raise
