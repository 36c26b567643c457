"""Which requests patterns take from each other: exact, methods, `{x}` and `**` included.

There is no end of methods and segments, so whatever covers `{x}` (or any method) must itself say `{x}` (or any method)
there: a finite list of literals never does. What is left of covering a pattern is a question of lengths alone.

Why a tree beside pattern_tree: a request is one path, a pattern many, so this one needs each node's patterns, children
of every kind in one table, and questions in between additions. One tree for both was tried with 5,000 routes: a look-up
took 15 % longer (0.71 us for 0.62), the table in force held 7.2 MiB for 5.2, and nothing was built less often: the
look-up's tree exists folded as well, and this one is freed once the file is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from biot_sidecar.pacing import Pace, no_pause
from biot_sidecar.routing.pattern import Pattern

ANY: Final = ""
NEVER: Final = 1 << 60
_NONE: Final[frozenset[str]] = frozenset()
_NO_ENDS: Final[dict[str, int]] = {}
_NOBODY: Final[list[tuple[int, Pattern]]] = []
"""What most nodes have, and none writes to: thousands of empty tables would cost time and megabytes."""


class _Node:
    __slots__ = ("children", "ends", "here", "rests")

    def __init__(self) -> None:
        self.children: dict[bytes | None, _Node] = {}
        self.here: list[tuple[int, Pattern]] = _NOBODY
        self.ends: dict[str, int] = _NO_ENDS  # method -> the first pattern that ends here
        self.rests: dict[str, int] = _NO_ENDS  # as `ends`, of patterns that go on with **


class Coverage:
    """A tree of patterns, each with a number that does not fall from one `add` to the next.

    `visits` counts what looking for overlaps has cost.
    """

    def __init__(self, patterns: Iterable[tuple[int, Pattern]] = (), *, pace: Pace = no_pause) -> None:
        self._root = _Node()
        self._pace = pace
        self.visits = 0
        for number, pattern in patterns:
            self.add(number, pattern)

    def add(self, number: int, pattern: Pattern) -> None:
        """Take one more pattern in."""
        node = self._root
        for segment in pattern.segments:
            child = node.children.get(segment)
            if child is None:
                child = node.children[segment] = _Node()
            node = child
        if node.here is _NOBODY:
            node.here = []
        node.here.append((number, pattern))
        first = node.rests if pattern.rest else node.ends
        if first is _NO_ENDS:
            first = {}
            if pattern.rest:
                node.rests = first
            else:
                node.ends = first
        for method in pattern.methods or (ANY,):
            first.setdefault(method, number)

    def parts(self) -> list[object]:
        """Every node, for pace.let_go(): a node after those below it."""
        nodes = [self._root]
        for node in nodes:
            self._pace()
            nodes += node.children.values()
        return list(reversed(nodes))

    def covering(self, pattern: Pattern, *, before: int = NEVER) -> frozenset[int] | None:
        """Numbers below `before` that together take every request of `pattern`; None: some request is left to it."""
        found: set[int] = set()
        for method in pattern.methods or (ANY,):
            taken = self._covering(method, pattern, before)
            if taken is None:
                return None
            found |= taken
        return frozenset(found)

    def _covering(self, method: str, pattern: Pattern, before: int) -> set[int] | None:
        level = [self._root]
        for segment in pattern.segments:
            rest = _first([node.rests for node in level if node.rests], method, before)
            if rest is not None:
                return {rest}
            level = _below(level, segment)
        found: set[int] = set()
        while True:
            rest = _first([node.rests for node in level if node.rests], method, before)
            if rest is not None:
                return found | {rest}
            end = _first([node.ends for node in level if node.ends], method, before)
            if end is None:
                return None
            found.add(end)
            if not pattern.rest:
                return found
            level = _below(level, None)

    def overlapping(self, pattern: Pattern) -> list[int]:
        """The numbers of all patterns that share a request with `pattern`, in order."""
        found: set[int] = set()
        length = len(pattern.segments)
        todo = [(self._root, 0)]
        while todo:
            self._pace()
            node, depth = todo.pop()
            self.visits += 1 + len(node.here)
            for number, other in node.here:
                if (other.rest or depth >= length) and common_methods(pattern, other) != _NONE:
                    found.add(number)
            if depth < length or pattern.rest:
                segment = pattern.segments[depth] if depth < length else None
                todo += [(child, depth + 1) for child in _meeting(node, segment)]
        return sorted(found)


def _first(tables: Sequence[dict[str, int]], method: str, before: int) -> int | None:
    least = before
    for table in tables:
        least = min(least, table.get(method, NEVER), table.get(ANY, NEVER))
    return least if least < before else None


def _below(level: list[_Node], segment: bytes | None) -> list[_Node]:
    """The nodes that take every request with this segment next; None stands for any."""
    found = []
    for node in level:
        child = node.children.get(None)
        if child is not None:
            found.append(child)
        child = None if segment is None else node.children.get(segment)
        if child is not None:
            found.append(child)
    return found


def _meeting(node: _Node, segment: bytes | None) -> list[_Node]:
    """The children that take some request with this segment next."""
    return list(node.children.values()) if segment is None else _below([node], segment)


def common_methods(one: Pattern, other: Pattern) -> frozenset[str] | None:
    """The methods that both have; None for any."""
    if one.methods is None or other.methods is None:
        return one.methods if other.methods is None else other.methods
    return one.methods & other.methods


def intersection(one: Pattern, other: Pattern) -> Pattern | None:
    """The pattern of the requests that both match, or None; its text is what a user would write."""
    methods = common_methods(one, other)
    short, long = sorted((one, other), key=lambda pattern: len(pattern.segments))
    if methods == frozenset() or (len(short.segments) < len(long.segments) and not short.rest):
        return None
    segments = list(long.segments)
    for place, segment in enumerate(short.segments):
        if segment is not None and segments[place] not in {None, segment}:
            return None
        segments[place] = segments[place] if segment is None else segment
    rest = one.rest and other.rest
    return Pattern(show_request(methods, tuple(segments), rest=rest), methods, tuple(segments), rest)


def show_request(methods: frozenset[str] | None, segments: tuple[bytes | None, ...], *, rest: bool) -> str:
    """A pattern as a user would write it, segments percent-encoded where that is needed."""
    shown = ["{x}" if segment is None else _quoted(segment) for segment in segments] + ["**"] * rest
    return f"{'*' if methods is None else '|'.join(sorted(methods))} /{'/'.join(shown)}"


def _quoted(segment: bytes) -> str:
    from urllib.parse import quote

    return quote(segment, safe="!$&'()+,;=:@~")
