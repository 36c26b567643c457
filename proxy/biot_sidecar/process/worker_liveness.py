"""Whether a worker still does its work: it is probed once a second, and hangs when ten probes are left unanswered.

A probe counts only if it was sent in time: a supervisor that stood still itself, as the machine slept or was starved,
or somebody stopped the whole program, cannot tell how long its workers had to answer. So it begins to count anew.
"""

from __future__ import annotations

from typing import Final

PROBE_INTERVAL: Final = 1.0
"""Seconds between two probes, at least."""
MAX_LATENESS: Final = 1.0
"""Seconds by which a probe may be late before the count begins anew."""
MAX_UNANSWERED: Final = 10
MAX_UNANSWERED_STARTING: Final = 60
"""Probes that a worker may leave unanswered while it starts."""


class ProbeClock:
    """Tells whether probes are sent in time. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._last = now

    def is_late(self, now: float) -> bool:
        """True when more time has passed since the last probe than was meant to."""
        late = now - self._last > PROBE_INTERVAL + MAX_LATENESS
        self._last = now
        return late


class Liveness:
    """What is known of one worker by the probes that it was sent."""

    def __init__(self) -> None:
        self.unanswered = 0
        self._most = MAX_UNANSWERED_STARTING
        self._open = False

    @property
    def is_unresponsive(self) -> bool:
        return self.unanswered >= self._most

    def probe_sent(self, *, late: bool) -> None:
        """A probe goes out; `late`: so late that those before it say nothing."""
        self.unanswered = 0 if late else self.unanswered + self._open
        self._open = True

    def probe_answered(self) -> None:
        """The worker has answered, whichever probe that was, or said that it serves."""
        self.unanswered = 0
        self._open = False
        self._most = MAX_UNANSWERED
