"""Time that has passed, told by a clock that nobody can set and that counts the machine's sleep.

The monotonic clock cannot be set, but it stands still while the machine sleeps or a Lambda is frozen; the wall clock
goes on meanwhile, but it can be set. Ages, pauses and blocks are lengths, so they are measured by both together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LEAP: Final = 0.5
"""Seconds by which the two clocks may part before it counts: they are slewed, and read one after the other."""


class ElapsedClock:
    """Seconds since some moment: of what the monotonic `clock` and the `wall` clock say has passed, the larger.

    A leap of the wall clock ahead counts, since it may have been a sleep; one back does not.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._apart = wall() - clock()  # the two clocks, when they were last found in step
        self._slept = 0.0
        self.leaps = 0

    def __call__(self) -> float:
        now = self._clock()
        leap = self._wall() - now - self._apart
        if leap > LEAP or leap < -LEAP:
            self._apart += leap
            self._slept += max(leap, 0.0)
            self.leaps += 1
        return now + self._slept
