"""Memory that a burst took goes back to the system while nothing is going on.

glibc keeps what was freed below anything still in use (mallopt(3)); malloc_trim(3) gives such pages back. It walks the
whole heap, a few milliseconds, so it is called only when memory has grown since the last time and no request waits.
Connections that have ended lie in cycles, with their buffers, until Python's collector looks at its oldest generation,
which an idle process never causes: so it is asked first, which costs as much again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from biot_sidecar.platform import give_memory_back, resident_memory

GROWTH: Final = 4 * 1024 * 1024
"""Bytes of growth that are not worth a walk."""

AGAIN: Final = 4
"""Polls between a walk and the one that follows it."""


class MemoryTrimmer:
    """`poll` is called every few seconds; `resident` tells bytes, `trim` whether it could."""

    def __init__(
        self, resident: Callable[[], int] = resident_memory, trim: Callable[[], bool] = give_memory_back
    ) -> None:
        self._resident = resident
        self._trim = trim
        self._least = resident()  # since the last time
        self._again = 0  # polls until what a burst still held then is free, too: connections that rest
        self._able = True

    def poll(self, *, idle: bool) -> None:
        """Trim if the process is idle and has grown, and once more some polls later."""
        if not (idle and self._able):
            return
        now = self._resident()
        grown = now > self._least + GROWTH
        if grown or self._again == 1:
            self._able = self._trim()
            now = self._least = self._resident()
        self._again = AGAIN if grown else max(0, self._again - 1)
        self._least = min(self._least, now)
