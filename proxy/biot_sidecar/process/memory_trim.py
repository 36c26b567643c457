"""Memory that a burst took goes back to the system while nothing is going on.

glibc keeps what was freed below anything still in use (mallopt(3)); malloc_trim(3) gives such pages back. It walks the
whole heap, a few milliseconds, so it is called only when memory has grown since the last time and no request waits.
Connections that have ended lie in cycles, with their buffers, until Python's collector looks at its oldest generation,
which an idle process never causes: so it is asked first, which costs as much again.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Final

GROWTH: Final = 4 * 1024 * 1024
"""Bytes of growth that are not worth a walk."""

AGAIN: Final = 4
"""Polls between a walk and the one that follows it."""


def resident() -> int:
    """Bytes of this process that lie in memory; 0 where the system does not tell (proc(5))."""
    if sys.platform == "win32":
        return 0
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def trim() -> bool:
    """Give back what is free. False where the C library cannot (musl, macOS)."""
    if sys.platform != "linux":
        return False
    import ctypes  # 1 MB, which a process without bursts does not need

    try:
        give_back = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    gc.collect()
    give_back(0)
    return True


class MemoryTrimmer:
    """`poll` is called every few seconds; `resident` tells bytes, `trim` whether it could."""

    def __init__(self, resident: Callable[[], int] = resident, trim: Callable[[], bool] = trim) -> None:
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
