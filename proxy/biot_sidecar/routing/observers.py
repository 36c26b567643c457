"""Routes that only observe: which requests a stricter file would deny, while they go on as before.

`observe` stands in place of `deny` and is judged as that would be: the first match from the top, in whatever variant of
the path a server might take. Unlike a deny it ends nothing: the routes below it are asked as if it were not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from biot_sidecar.pacing import Pace
from biot_sidecar.routing.path_normalization import Segments
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.pattern_tree import PatternTree
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.variant_matching import VariantMatcher


class Observers:
    """The routes of a file, with the eyes of those that observe. `unmatched` may be one of them."""

    def __init__(
        self, routes: Sequence[Route], unmatched: Route, patterns: Sequence[tuple[int, Pattern]], pace: Pace
    ) -> None:
        self._routes = routes
        self._unmatched = unmatched
        self._tree = PatternTree(patterns, pace=pace)
        self._variants = VariantMatcher(self._tree, patterns, pace)

    def parts(self, pace: Pace) -> list[object]:
        """What this is made of, for pace.let_go()."""
        return [*self._tree.parts(pace), *self._variants.parts(pace)]

    def find(self, method: str, path: bytes, segments: Segments, denied_by: int | None) -> Route | None:
        """The first route that would have denied the request; None if there is none above `denied_by`, which does."""
        last = len(self._routes)
        first = last + 1
        for number in self._variants.first_matches(method, path, segments):
            route = self._unmatched if number is None else self._routes[number]
            if route.observe is not None:
                first = min(first, last if number is None else number)
        if first > last or (denied_by is not None and denied_by < first):
            return None
        return self._unmatched if first == last else self._routes[first]
