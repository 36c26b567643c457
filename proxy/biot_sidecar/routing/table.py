"""The routes file compiled: which route a request falls under, and whether it may go at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from biot_sidecar.bounded_cache import BoundedCache
from biot_sidecar.pacing import Pace, no_pause, paced
from biot_sidecar.routing.biot_operations import operation_tree, operations, services
from biot_sidecar.routing.observers import Observers
from biot_sidecar.routing.path_normalization import BadPath, Segments, segments_of
from biot_sidecar.routing.pattern import Pattern, parse_pattern
from biot_sidecar.routing.pattern_tree import PatternTree
from biot_sidecar.routing.route import Route, Verdict
from biot_sidecar.routing.variant_matching import VariantMatcher

_CACHE_MOST: Final = 4096
_CACHED_LIMIT: Final = 512
"""Bytes of a method and a path that are worth remembering."""
DENIED_UNMATCHED: Final = "no route allows this request (unmatched: deny)"
OBSERVED_UNMATCHED: Final = "no route allows this request (unmatched: observe)"


class RouteTable:
    """Routes in the order of the file; the first that matches wins, `unmatched` stands for the rest."""

    def __init__(
        self,
        routes: Sequence[Route],
        unmatched: Route,
        *,
        deny_unmatched: bool = False,
        observe_unmatched: bool = False,
        pace: Pace = no_pause,
        patterns: Sequence[tuple[int, Pattern]] | None = None,
    ) -> None:
        """`patterns`: each route's, by its number, if they are known already."""
        self._operations = operations()  # reads a file, which no request should wait for
        self._operation_tree = operation_tree()
        self.routes = tuple(routes)
        if deny_unmatched:
            unmatched = unmatched.but(deny=DENIED_UNMATCHED)
        elif observe_unmatched:
            unmatched = unmatched.but(observe=OBSERVED_UNMATCHED)
        self.unmatched = unmatched
        self.deny_unmatched = deny_unmatched
        self._patterns = _compiled(self.routes, pace) if patterns is None else list(patterns)
        deciding = [one for one in paced(self._patterns, pace) if self.routes[one[0]].observe is None]
        self._tree = PatternTree(deciding, pace=pace)
        denies = unmatched.deny is not None or any(route.deny is not None for route in paced(self.routes, pace))
        self._variants = VariantMatcher(self._tree, deciding, pace) if denies else None
        observes = unmatched.observe is not None or any(one.observe is not None for one in paced(self.routes, pace))
        self._observers = Observers(self.routes, unmatched, self._patterns, pace) if observes else None
        self._verdicts: dict[tuple[int | None, int, str | None], Verdict] = {}
        self._cache: BoundedCache[tuple[bytes, bytes], Verdict] = BoundedCache(_CACHE_MOST)

    def parts(self, pace: Pace) -> list[object]:
        """What this table is made of, for pace.let_go() when nobody uses it any more."""
        more = [] if self._variants is None else self._variants.parts(pace)
        more += [] if self._observers is None else self._observers.parts(pace)
        return [*self.routes, *self._verdicts.values(), *self._patterns, *self._tree.parts(pace), *more]

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        """What the routes say of a request with this raw origin-form target. Never raises."""
        path = target.partition(b"?")[0]
        key = (method, path)
        known = self._cache.get(key)
        if known is not None:
            return known
        verdict = self._judge(method.decode("latin-1"), path)
        # A token in the path is not to lie about.
        if len(method) + len(path) <= _CACHED_LIMIT and not verdict.names_token:
            self._cache.keep(key, verdict)
        return verdict

    def _judge(self, method: str, path: bytes) -> Verdict:
        try:
            segments = _segments(path)
        except BadPath as error:
            return Verdict(route=self.unmatched, template="", path_refused=str(error))
        index = self._tree.find(method, segments)
        if self._variants is not None and self._route(index).deny is None:
            index = self._denying(self._variants, index, method, path, segments)
        route, observed = self._route(index), None
        if self._observers is not None:
            observed = self._observers.find(method, path, segments, None if route.deny is None else index)
        operation = self._operation_tree.find("GET" if method == "HEAD" else method, segments)
        if operation is None:
            template = self._template(route, method, segments)
            return Verdict(route=route, template=template, deny=route.deny, observed=observed)
        return self._verdict(index, operation, observed)

    def _verdict(self, index: int | None, number: int, observed: Route | None) -> Verdict:
        """The one verdict for all requests that are the operation of this number and fall under the same routes."""
        key = (index, number, None if observed is None else observed.name)
        verdict = self._verdicts.get(key)
        if verdict is None:
            route, operation = self._route(index), self._operations[number]
            verdict = Verdict(
                route=route, template=operation.path, operation=operation, deny=route.deny, observed=observed
            )
            self._verdicts[key] = verdict
        return verdict

    def _route(self, index: int | None) -> Route:
        return self.unmatched if index is None else self.routes[index]

    def _denying(
        self, variants: VariantMatcher, own: int | None, method: str, path: bytes, segments: Segments
    ) -> int | None:
        """The first route that denies some variant of the path; if there is none its `own`, which does not."""
        if variants.is_plain(method, path):
            return own  # the same route would be found again
        found = variants.first_matches(method, path, segments)
        denying = [number for number in found if number is not None and self.routes[number].deny is not None]
        if denying:
            return min(denying)
        return None if None in found and self.unmatched.deny is not None else own

    def _template(self, route: Route, method: str, segments: Segments) -> str:
        """The pattern that stands for the path where BioT's catalogue does not know it; never the path itself."""
        for pattern in patterns_of(route):
            if pattern.covers(method, segments):
                return pattern.text.partition(" ")[2].strip()
        return f"/{segments[0].decode()}/**" if segments and segments[0] in services() else ""

    def literal_route(self, method: bytes, target: bytes) -> Route:
        """The route for the path as it stands; the verdict's own may be one that denies another variant of it."""
        return self._route(self._tree.find(method.decode("latin-1"), _segments(target.partition(b"?")[0])))

    def why(self, method: bytes, target: bytes) -> list[str]:
        """Why each route before the one that matches does not; a line for each. Empty for a path that is refused."""
        try:
            segments = _segments(target.partition(b"?")[0])
        except BadPath:
            return []
        name = method.decode("latin-1")
        first = self._tree.find(name, segments)
        return [
            f"{route.name}: {reason}" for route in self.routes[:first] for reason in _reasons(route, name, segments)
        ]


def _compiled(routes: Sequence[Route], pace: Pace) -> list[tuple[int, Pattern]]:
    compiled: list[tuple[int, Pattern]] = []
    for index, route in enumerate(routes):
        for text in route.patterns:
            pace()
            compiled.append((index, parse_pattern(text)))
    return compiled


def patterns_of(route: Route) -> list[Pattern]:
    """The route's patterns, compiled."""
    return [parse_pattern(text) for text in route.patterns]


def _segments(path: bytes) -> Segments:
    """OPTIONS * has no path; routes see it as the root, so that a route for everything holds for it too."""
    return () if path == b"*" else segments_of(path)


def _reasons(route: Route, method: str, segments: Segments) -> list[str]:
    """Why the route does not decide, a sentence for each of its patterns; or one, if it only observes."""
    patterns = patterns_of(route)
    if route.observe is not None and any(pattern.covers(method, segments) for pattern in patterns):
        return ["it only observes"]
    return [_mismatch(pattern, method, segments) for pattern in patterns]


def _mismatch(pattern: Pattern, method: str, segments: Segments) -> str:
    if pattern.methods is not None and method not in pattern.methods:
        return f"{pattern.text}: the method is not {' or '.join(sorted(pattern.methods))}"
    for place, (own, other) in enumerate(zip(pattern.segments, segments, strict=False), 1):
        if own is not None and own != other:
            return f"{pattern.text}: segment {place} is not `{own.decode('utf-8', 'replace')}`"
    return (
        f"{pattern.text}: the path has {len(segments)} segments, not {len(pattern.segments)}{' or more' * pattern.rest}"
    )
