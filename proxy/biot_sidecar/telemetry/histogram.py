"""What is counted for every request: histograms and a route's requests, cheap to add to and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from biot_sidecar.telemetry.merging import EITHER, MAX, Rule

ACTIONS: Final = ("set", "removed", "passed", "none")

# Upper bounds in seconds. A call to BioT takes milliseconds to minutes. A quantile is told as somewhere in its bucket:
# from a second on, where people wait, a bound is at most 5/3 of the one before it.
CALL_BOUNDS: Final[tuple[float, ...]] = (
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 3.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0,
    40.0, 50.0, 60.0, 90.0, 120.0, 180.0, 300.0,
)  # fmt: skip

Exemplar = Sequence[Any]
"""One request that fell into a bucket: its trace id, its seconds, and when it came in wall-clock seconds.

A tuple where it is made, a list where it comes from another process: a compiled class does not tell msgspec which.
"""


def _latest(mine: dict[int, Exemplar], other: dict[int, Exemplar]) -> dict[int, Exemplar]:
    """Each bucket's latest exemplar."""
    both = sorted([*mine.items(), *other.items()], key=lambda item: item[1][2])
    return dict(both)


class Histogram:
    """Observations in seconds by bucket: `counts` has one place more than the bounds, for what is beyond them all."""

    FIELDS: ClassVar[tuple[str, ...]] = ("counts", "seconds", "most", "exemplars")
    RULES: ClassVar[dict[str, Rule]] = {"most": MAX, "exemplars": Rule(_latest)}

    def __init__(
        self,
        counts: list[int],
        seconds: float = 0.0,
        most: float = 0.0,
        exemplars: dict[int, Exemplar] | None = None,
    ) -> None:
        self.counts = counts
        self.seconds = seconds
        self.most = most
        self.exemplars = {} if exemplars is None else exemplars

    def observe(self, seconds: float, bounds: tuple[float, ...]) -> int:
        """Count it; the index of its bucket."""
        bucket = 0
        for bound in bounds:  # most observations lie near the beginning
            if seconds <= bound:
                break
            bucket += 1
        self.counts[bucket] += 1
        self.seconds += seconds
        if seconds > self.most:
            self.most = seconds
        return bucket


class RouteStats:
    """One route's requests, by method, status and the route's interception, and what became of their header.

    `last_used` is in wall-clock seconds, 0: never. `would_deny` counts the requests that a route which only observes
    would have denied; `observes`: it is such a route.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (
        *("requests", "actions", "duration", "upstream"),
        *("last_used", "would_deny", "observes"),
    )
    RULES: ClassVar[dict[str, Rule]] = {"last_used": MAX, "observes": EITHER}

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int, str], int] = {}
        self.actions = dict.fromkeys(ACTIONS, 0)
        self.duration = histogram(CALL_BOUNDS)
        self.upstream = histogram(CALL_BOUNDS)
        self.last_used = 0.0
        self.would_deny = 0
        self.observes = False


def histogram(bounds: tuple[float, ...]) -> Histogram:
    return Histogram([0] * (len(bounds) + 1))
