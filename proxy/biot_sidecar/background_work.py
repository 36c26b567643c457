"""Long work beside the loop: in a thread that gives the interpreter back every millisecond, and without collections.

A thread that works on holds the interpreter for 5 ms at a time, for as long as a call into C lasts, and for a whole
garbage collection, which looks at every object of the process. Calls would wait for all of that.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Final

WORK: Final = 0.001
"""Seconds of work between two rests."""
REST: Final = 0.002
MANY: Final = 10_000
"""Objects whose collection takes longer than a call should wait."""


class Rests:
    """A pace (pacing.Pace) for work in a thread; `clock` tells seconds, `sleep` lets go of the interpreter."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._rested = clock()

    def __call__(self) -> None:
        if self._clock() - self._rested >= WORK:
            self._sleep(REST)
            self._rested = self._clock()


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """No garbage collection within; what was made there and is many is not looked at by later ones either.

    So only what holds no cycles may be made there. (What is garbage in cycles by then stays: a few objects.)
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY:
            gc.freeze()
        if collecting:
            gc.enable()
