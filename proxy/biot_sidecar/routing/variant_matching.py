"""Patterns that hold for every variant of a path that a server behind us might take, not only for the plain one."""

from __future__ import annotations

from collections.abc import Sequence

from biot_sidecar.pacing import Pace
from biot_sidecar.routing.path_normalization import Segments, is_canonical, path_variants
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.pattern_tree import PatternTree, fold_all, folds_to_itself


class VariantMatcher:
    """Finds which patterns come first, one for each variant; `plain` is the tree of the same patterns."""

    def __init__(self, plain: PatternTree, patterns: Sequence[tuple[int, Pattern]], pace: Pace) -> None:
        self._plain = plain
        self._same = all(folds_to_itself(pattern, pace) for _, pattern in patterns)
        self._folded = plain if self._same else PatternTree(patterns, folded=True, pace=pace)

    def parts(self, pace: Pace) -> list[object]:
        """What this is made of beside `plain`, for pace.let_go()."""
        return [] if self._same else self._folded.parts(pace)

    def is_plain(self, method: str, path: bytes) -> bool:
        """True when every variant of `path` falls under the same pattern as its plain one."""
        return self._same and is_canonical(path) and method.upper() == method

    def first_matches(self, method: str, path: bytes, segments: Segments) -> set[int | None]:
        """The number of the first pattern in each variant of `path`, None for one that matches no pattern.

        `segments` is the path's plain variant.
        """
        if self.is_plain(method, path):
            return {self._plain.find(method, segments)}
        upper = method.upper()
        found: set[int | None] = {self._plain.find(method, segments)}
        for variant in path_variants(path, segments):
            if variant != segments:
                found.add(self._plain.find(method, variant))
            found.add(self._folded.find(upper, fold_all(variant)))
        return found
