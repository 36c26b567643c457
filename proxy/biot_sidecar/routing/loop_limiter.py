"""An interceptor that triggers itself comes back under the same trace: after a few rounds the loop is cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cachetools import TTLCache

WINDOW: Final = 60.0
TRACES_MOST: Final = 10_000


class LoopLimiter:
    """Counts intercepted requests by trace id, method and path; `limit` of them may go within 60 s of `clock`."""

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self._clock = clock
        self._limit = limit

    def admits(self, trace_id: str, method: bytes, path: bytes) -> bool:
        """Count this request in; False, and not counted, when it is one too many."""
        # A hash (64 bits, seeded anew by each process), so that long paths do not fill the memory.
        key = hash((trace_id, method, path))
        now = self._clock()
        times = self._seen.get(key) or deque(maxlen=self._limit)
        if len(times) == self._limit and now - times[0] < WINDOW:
            return False
        times.append(now)
        self._seen[key] = times
        return True

    @cached_property
    def _seen(self) -> TTLCache[int, deque[float]]:
        from cachetools import TTLCache  # 2 ms and a quarter of a megabyte, for those whose interceptors call back

        return TTLCache(TRACES_MOST, WINDOW, timer=self._clock)
