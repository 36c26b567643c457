"""Patterns compiled into a tree of segments: a look-up costs the path's depth, however many patterns there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from biot_sidecar.pacing import Pace, no_pause
from biot_sidecar.routing.case_folding import fold_case
from biot_sidecar.routing.pattern import Pattern

NEVER: Final = 1 << 60


_NO_ENDS: Final[dict[str, int]] = {}
"""What most nodes have, and none writes to: thousands of empty tables would cost time and megabytes."""


class _Node:
    __slots__ = ("any_segment", "ends", "literals", "rests")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = _NO_LITERALS
        self.any_segment: _Node | None = None
        self.ends: dict[str, int] = _NO_ENDS  # method, or "" for any -> the first pattern that ends here
        self.rests: dict[str, int] = _NO_ENDS  # as `ends`, of patterns that go on with **


_NO_LITERALS: Final[dict[bytes, _Node]] = {}


class PatternTree:
    """Finds the lowest number among the patterns that match; `folded` takes segments and methods in any case."""

    def __init__(self, patterns: Iterable[tuple[int, Pattern]], *, folded: bool = False, pace: Pace = no_pause) -> None:
        self._root = _Node()
        for number, pattern in patterns:
            pace()
            self._add(number, pattern, folded)

    def _add(self, number: int, pattern: Pattern, folded: bool) -> None:
        node = self._root
        for segment in pattern.segments:
            key = fold(segment) if folded and segment is not None else segment
            node = _child(node, key)
        ends = node.rests if pattern.rest else node.ends
        if ends is _NO_ENDS:
            ends = {}
            if pattern.rest:
                node.rests = ends
            else:
                node.ends = ends
        for method in pattern.methods or ("",):
            ends[method] = min(number, ends.get(method, NEVER))

    def parts(self, pace: Pace) -> list[object]:
        """Every node, for pace.let_go(): a node after those below it."""
        nodes: list[_Node] = [self._root]
        for node in nodes:
            pace()
            nodes += node.literals.values()
            if node.any_segment is not None:
                nodes.append(node.any_segment)
        return list(reversed(nodes))

    def find(self, method: str, segments: tuple[bytes, ...]) -> int | None:
        """The number of the first pattern, or None."""
        best = NEVER
        depth = len(segments)
        node, at = self._root, 0
        others: list[tuple[_Node, int]] = []
        while True:
            if node.rests:
                best = _lowest(best, node.rests, method)
            literal = any_segment = None
            if at < depth:
                literal, any_segment = node.literals.get(segments[at]), node.any_segment
            elif node.ends:
                best = _lowest(best, node.ends, method)
            at += 1
            if literal is not None:
                if any_segment is not None:
                    others.append((any_segment, at))
                node = literal
            elif any_segment is not None:
                node = any_segment
            elif others:
                node, at = others.pop()
            else:
                return None if best == NEVER else best


def _lowest(best: int, ends: dict[str, int], method: str) -> int:
    own, anybody = ends.get(method), ends.get("")
    if own is not None and own < best:
        best = own
    return anybody if anybody is not None and anybody < best else best


def _child(node: _Node, segment: bytes | None) -> _Node:
    if segment is None:
        node.any_segment = node.any_segment or _Node()
        return node.any_segment
    child = node.literals.get(segment)
    if child is None:
        if node.literals is _NO_LITERALS:
            node.literals = {}
        child = node.literals[segment] = _Node()
    return child


def fold(segment: bytes) -> bytes:
    """A segment as a server that ignores case would read it."""
    if segment.isascii():
        return segment.lower()
    return fold_case(segment.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def folds_to_itself(pattern: Pattern, pace: Pace) -> bool:
    """True if a folded tree would hold the pattern as it is."""
    pace()
    return all(segment is None or fold(segment) == segment for segment in pattern.segments)


def fold_all(segments: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Every segment folded."""
    return tuple(map(fold, segments))
