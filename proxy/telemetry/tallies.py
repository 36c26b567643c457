"""What is counted for every request: histograms and a route's requests, cheap to add to and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ACTIONS: Final = ("set", "removed", "passed", "none")

# Upper bounds in seconds. A call to BioT takes milliseconds to minutes.
CALL_BOUNDS: Final[tuple[float, ...]] = (
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip

Exemplar = Sequence[Any]
"""One request that fell into a bucket: its trace id, its seconds, and when it came in wall-clock seconds.

A tuple where it is made, a list where it comes from another process: a compiled class does not tell msgspec which.
"""


@dataclass
class Histogram:
    """Observations in seconds by bucket: `counts` has one place more than the bounds, for what is beyond them all."""

    counts: list[int]
    seconds: float = 0.0
    most: float = 0.0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def observe(self, seconds: float, bounds: tuple[float, ...]) -> int:
        """Count it; the index of its bucket."""
        place = 0
        for bound in bounds:  # most observations lie near the beginning
            if seconds <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.seconds += seconds
        if seconds > self.most:
            self.most = seconds
        return place

    def add(self, other: Histogram) -> None:
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds
        self.most = max(self.most, other.most)
        for place, exemplar in other.exemplars.items():
            mine = self.exemplars.get(place)
            if mine is None or mine[2] < exemplar[2]:
                self.exemplars[place] = exemplar


@dataclass
class Route:
    """One rule's requests, by method, status and the rule's interception, and what became of their header.

    `last_used` is in wall-clock seconds, 0: never.
    """

    requests: dict[tuple[str, int, str], int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACTIONS, 0))
    duration: Histogram = field(default_factory=lambda: histogram(CALL_BOUNDS))
    upstream: Histogram = field(default_factory=lambda: histogram(CALL_BOUNDS))
    last_used: float = 0.0

    def add(self, other: Route) -> None:
        add_counts(self.requests, other.requests)
        add_counts(self.actions, other.actions)
        self.duration.add(other.duration)
        self.upstream.add(other.upstream)
        self.last_used = max(self.last_used, other.last_used)


def histogram(bounds: tuple[float, ...]) -> Histogram:
    return Histogram([0] * (len(bounds) + 1))


def add_counts(counts: dict[Any, int], more: dict[Any, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count
