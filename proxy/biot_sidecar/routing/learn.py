"""What was seen in access logs -> the smallest routes that allow it, and nothing that has an id in it.

A log names a call by its template: the path of a BioT operation, or of a pattern of the routes file in force. An item
is the part of an operation that falls under one route of that file; it keeps the route's settings. Items come in the
file's order and, under one route, with the more literal operation first, as find_operation chooses. So the first item
that matches a call is the call's own. A wider operation, `/a/{id}`, also matches what is another one, `/a/current`:
where that was not seen, a guard before it denies (or observes) it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from biot_sidecar.routing.biot_operations import operations, pattern_of
from biot_sidecar.routing.pattern import Pattern, parse_pattern
from biot_sidecar.routing.route import Operation, Route
from biot_sidecar.routing.shadowing import Coverage, intersection
from biot_sidecar.routing.table import RouteTable, patterns_of
from biot_sidecar.routing.unknown_operations import operations_of

NOT_SEEN: Final = "not seen in the log"
_FORBIDDEN: Final = 403


class Call(NamedTuple):
    """What a log's line tells of a call: `path` is a template, `upstream_status` BioT's, 0 for none."""

    method: str
    path: str
    route: str
    upstream_status: int


class Learned(NamedTuple):
    """`routes` are to be written in order; `examples` are items' patterns, each with the name of its route.

    `permissions` has the operations that need each; `refused` those that BioT answered with 403; `unnamed` counts calls
    that neither the catalogue nor the file names.
    """

    routes: tuple[Route, ...]
    examples: tuple[tuple[Pattern, str], ...]
    permissions: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, int]
    unnamed: int


class _Item(NamedTuple):
    route: int  # its number in the file; one more than the last for calls that no route matched
    rank: int  # its operation's number; one more than the last for what is none
    pattern: Pattern
    guard: bool


def learn(table: RouteTable, calls: Mapping[Call, int], *, deny: bool) -> Learned:
    """`calls` are counted; `deny`: what was not seen is denied, not only observed."""
    seen: set[int] = set()
    items: set[_Item] = set()
    refused: dict[str, int] = {}
    unnamed = 0
    for call, count in calls.items():
        rank, pattern = _named(table, call)
        if pattern is None:
            unnamed += count
            continue
        if rank < len(operations()):
            seen.add(rank)
        if call.upstream_status == _FORBIDDEN:
            refused[_shown(pattern)] = refused.get(_shown(pattern), 0) + count
        items |= _items(table, call.route, rank, pattern)
    guarded = sorted(
        [*items, *_guards(items, seen)], key=lambda one: (one.route, one.rank, one.guard, one.pattern.text)
    )
    routes, examples = _Writer(table, deny=deny).write(guarded)
    return Learned(routes, examples, _permissions(seen), dict(sorted(refused.items())), unnamed)


def _named(table: RouteTable, call: Call) -> tuple[int, Pattern | None]:
    """The rank and the pattern of what a call was."""
    method = "GET" if call.method == "HEAD" else call.method
    only = frozenset({call.method})
    for rank, operation in enumerate(operations()):
        if (operation.method, operation.path) == (method, call.path):
            return rank, Pattern(f"{call.method} {operation.path}", only, pattern_of(operation).segments)
    for pattern in itertools.chain.from_iterable(map(patterns_of, table.routes)):
        if _path(pattern) == call.path and (pattern.methods is None or call.method in pattern.methods):
            try:
                return len(operations()), parse_pattern(f"{call.method} {_path(pattern)}")
            except ValueError:  # a method that no file can name
                break
    return 0, None


def _items(table: RouteTable, name: str, rank: int, pattern: Pattern) -> set[_Item]:
    """The call's parts: under the route that the log names, or, where the file has none of it, under each."""
    deciding = [(number, one) for number, one in enumerate(table.routes) if one.deny is None and one.observe is None]
    under = {
        number: parts
        for number, one in deciding
        if (parts := [part for other in patterns_of(one) if (part := _narrowed(pattern, other)) is not None])
    }
    last = len(table.routes)
    chosen = [number for number in under if table.routes[number].name == name]
    found = {_Item(number, rank, part, False) for number in chosen or under for part in under[number]}
    return found if chosen else found | {_Item(last, rank, pattern, False)}


def _narrowed(pattern: Pattern, other: Pattern) -> Pattern | None:
    """What both match; in the words of `pattern` where that is all of it."""
    both = intersection(pattern, other)
    same = both is not None and (both.segments, both.rest) == (pattern.segments, pattern.rest)
    return pattern if same else both


def _guards(items: Iterable[_Item], seen: set[int]) -> Iterator[_Item]:
    """For each item the operations that it matches as well, that come before it, and that were not seen."""
    ranks = {operation: rank for rank, operation in enumerate(operations())}
    for item in items:
        for operation in operations_of(item.pattern):
            rank = ranks[operation]
            if rank not in seen and rank < item.rank:
                yield from _guard(item, rank, operation)


def _guard(item: _Item, rank: int, operation: Operation) -> Iterator[_Item]:
    segments = pattern_of(operation).segments
    for method in sorted(item.pattern.methods or ()):
        both = _narrowed(Pattern(f"{method} {operation.path}", frozenset({method}), segments), item.pattern)
        if both is not None:
            yield _Item(item.route, rank, both, True)


class _Writer:
    """Turns items into routes that reach what they match; the file's own `deny` and `observe` routes stay."""

    def __init__(self, table: RouteTable, *, deny: bool) -> None:
        self._table = table
        self._deny = deny
        self._earlier = Coverage()
        self._names = {one.name for one in table.routes}
        self._routes: list[Route] = []
        self._examples: list[tuple[Pattern, str]] = []

    def write(self, items: Sequence[_Item]) -> tuple[tuple[Route, ...], tuple[tuple[Pattern, str], ...]]:
        table = self._table
        kept = [number for number, one in enumerate(table.routes) if one.deny is not None or one.observe is not None]
        on_top = [] if self._excepted(kept, items) else kept
        for number in on_top:
            self._keep(table.routes[number])
        for number in range(len(table.routes) + 1):
            if number in kept and not on_top:
                self._keep(table.routes[number])
            self._write_route(number, [item for item in items if item.route == number])
        return tuple(self._routes), tuple(self._examples)

    def _excepted(self, kept: Sequence[int], items: Sequence[_Item]) -> bool:
        """True if an item that comes before a kept route in the file is an exception from it: their order matters."""
        denied = Coverage((number, pattern) for number in kept for pattern in patterns_of(self._table.routes[number]))
        return any(number > item.route for item in items for number in denied.overlapping(item.pattern))

    def _keep(self, route: Route) -> None:
        patterns = [one for one in patterns_of(route) if self._earlier.covering(one) is None]
        if not patterns:
            return
        self._routes.append(route)
        if route.deny is not None:
            for pattern in patterns:
                self._earlier.add(len(self._routes), pattern)

    def _write_route(self, number: int, items: Sequence[_Item]) -> None:
        """What no guard belongs to comes first: nothing of it is another operation."""
        guards = [item for item in items if item.guard]
        free = [one for one in items if not one.guard and not any(_wider(one, guard) for guard in guards)]
        self._add(number, free)
        for guard, run in itertools.groupby((item for item in items if item not in free), key=lambda one: one.guard):
            self._add(number, list(run), guard=guard)

    def _add(self, number: int, items: Sequence[_Item], *, guard: bool = False) -> None:
        decides = self._deny or not guard
        wanted = dict.fromkeys(item.pattern for item in items)
        patterns = [pattern for pattern in wanted if self._earlier.covering(pattern) is None]
        if not patterns:
            return
        for pattern in patterns if decides else ():
            self._earlier.add(len(self._routes) + 1, pattern)
        route = self._route(number, guard=guard, patterns=tuple(_joined(patterns)))
        self._routes.append(route)
        self._examples += [(pattern, route.name) for pattern in patterns if not guard]

    def _route(self, number: int, *, guard: bool, patterns: tuple[str, ...]) -> Route:
        table = self._table
        like = table.unmatched if number == len(table.routes) else table.routes[number]
        reason = NOT_SEEN if guard else None
        return Route(
            name=self._name(NOT_SEEN if guard else "seen" if like is table.unmatched else like.name),
            source="",
            patterns=patterns,
            interception=like.interception,
            authorization=like.authorization,
            timeout=like.timeout,
            retry=like.retry,
            deny=reason if self._deny else None,
            observe=None if self._deny else reason,
        )

    def _name(self, wanted: str) -> str:
        taken = {one.name for one in self._routes}
        own = wanted in {one.name for one in self._table.routes}
        names = itertools.chain([wanted], (f"{wanted[:90]} ({number})" for number in itertools.count(2)))
        return next(
            name for name in names if name not in taken and (name not in self._names or (own and name == wanted))
        )


def _wider(item: _Item, guard: _Item) -> bool:
    return guard.rank < item.rank and intersection(item.pattern, guard.pattern) is not None


def _path(pattern: Pattern) -> str:
    return pattern.text.partition(" ")[2].strip()


def _shown(pattern: Pattern) -> str:
    return f"{'|'.join(sorted(pattern.methods or '*'))} {_path(pattern)}"


def _joined(patterns: Iterable[Pattern]) -> list[str]:
    """The patterns as texts, those of one path in one."""
    methods: dict[str, set[str]] = {}
    for pattern in patterns:
        methods.setdefault(_path(pattern), set()).update(pattern.methods or ())
    return [f"{'|'.join(sorted(some))} {path}" for path, some in methods.items()]


def _permissions(seen: Iterable[int]) -> dict[str, tuple[str, ...]]:
    needed: dict[str, list[str]] = {}
    for operation in (operations()[rank] for rank in sorted(seen)):
        if not operation.public:
            needed.setdefault(operation.permission or "unknown", []).append(f"{operation.method} {operation.path}")
    return {name: tuple(needed[name]) for name in sorted(needed)}
