"""Which routes requests can reach: those that never match, matches that add nothing, routes that cross and disagree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from biot_sidecar.pacing import let_go
from biot_sidecar.routing.file.diagnostics import Diagnostics, listed, quoted
from biot_sidecar.routing.file.parse import ParsedRoute
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.shadowing import Coverage, intersection

_NAMED_MOST: Final = 3
_VISITS_MOST: Final = 500_000  # about a second; ten times what 5,000 routes take that do not all cross each other
_EFFECTS: Final = ("interception", "authorization", "timeout", "retry")
"""What two routes that cross may disagree about, in the order of _effects, beside `deny`."""


def check_shadowing(routes: Sequence[ParsedRoute], report: Diagnostics) -> None:
    """Report unreachable routes as errors, the rest as warnings."""
    lint = _ShadowingLint(routes, report)
    lint.check()
    parts = lint.parts()
    del lint
    let_go(parts, report.pace)


def _effects(route: Route) -> tuple[Any, ...]:
    return (route.deny is not None, route.interception, route.authorization, route.timeout, route.retry)


class _ShadowingLint:
    """Goes through the routes from the top; `_earlier` holds the patterns of those before."""

    def __init__(self, routes: Sequence[ParsedRoute], report: Diagnostics) -> None:
        self._routes = routes
        self._report = report
        self._earlier = Coverage(pace=report.pace)
        self._observing = Coverage(pace=report.pace)
        # Compared for every pair that overlaps, and there may be millions.
        self._effects: list[tuple[Any, ...]] = []

    def parts(self) -> list[object]:
        """What this is made of, for pacing.let_go()."""
        return [*self._effects, *self._earlier.parts(), *self._observing.parts()]

    def check(self) -> None:
        comparing = True
        for number, parsed in enumerate(self._routes):
            self._report.pace()
            self._effects.append(_effects(parsed.route))
            if comparing and self._earlier.visits > _VISITS_MOST:
                self._report.warning(parsed.position, "too many routes cross; from here on they are not compared")
                comparing = False
            if self._reachable(parsed) and comparing and parsed.route.observe is None:
                self._warn_of_overlaps(number, parsed)
            if parsed.route.observe is not None:
                self._warn_of_observed(parsed)
            self._add(number, parsed)

    def _reachable(self, parsed: ParsedRoute) -> bool:
        taken = [self._earlier.covering(pattern) for pattern, _ in parsed.matches]
        found = [one for one in taken if one is not None]
        if not found:
            return True
        if len(found) == len(taken):
            takers = self._takers(frozenset().union(*found))
            self._report.error(
                parsed.matches[0][1],
                f"{quoted(parsed.route.name)} can never match: {takers} all of it; move it up or remove it",
            )
            return False
        for by, (pattern, position) in zip(taken, parsed.matches, strict=True):
            if by is not None:
                self._report.warning(position, f"{pattern.text} can never match: {self._takers(by)} all of it")
        return True

    def _warn_of_observed(self, parsed: ParsedRoute) -> None:
        """Of several routes that observe a call the first is counted."""
        for pattern, position in parsed.matches:
            by = self._observing.covering(pattern)
            if by is not None:
                names = listed([quoted(self._routes[number].route.name) for number in sorted(by)][:_NAMED_MOST])
                self._report.warning(position, f"{pattern.text} is never counted: {names} observes all of it before")

    def _takers(self, numbers: Iterable[int]) -> str:
        found = [self._routes[number] for number in sorted(numbers)]
        names = [f"{quoted(one.route.name)} (line {one.position.line})" for one in found[:_NAMED_MOST]]
        names += [f"{len(found) - _NAMED_MOST} more"] * (len(found) > _NAMED_MOST)
        return f"{listed(names)} {'comes first and takes' if len(found) == 1 else 'come first and take'}"

    def _add(self, number: int, parsed: ParsedRoute) -> None:
        if len(parsed.matches) > 1:
            self._warn_of_repeated(parsed)
        patterns = self._earlier if parsed.route.observe is None else self._observing
        for pattern, _ in parsed.matches:
            self._report.pace()
            patterns.add(number, pattern)

    def _warn_of_repeated(self, parsed: ParsedRoute) -> None:
        keys = Coverage()
        for pattern, position in parsed.matches:
            self._report.pace()
            if keys.covering(pattern) is not None:
                self._report.warning(
                    position, f"{pattern.text} adds nothing: what stands before it in this match takes all of it"
                )
            keys.add(0, pattern)

    # ---- overlaps

    def _warn_of_overlaps(self, number: int, parsed: ParsedRoute) -> None:
        """A narrower route before a wider one is how exceptions are written; two that only cross are an accident."""
        told: set[int] = set()
        for pattern, position in parsed.matches:
            for other in self._earlier.overlapping(pattern):
                self._report.pace()
                if not self._disagree(other, number) or other in told:
                    continue
                crossing = self._crossing(pattern, parsed, other)
                if crossing is None:
                    continue
                told.add(other)
                self._report.warning(position, self._conflict(crossing, other, number))
                if len(told) == _NAMED_MOST:
                    return

    def _disagree(self, first: int, second: int) -> bool:
        """A denial that comes first is a guard, and means what it does."""
        return self._effects[first] != self._effects[second] and not self._effects[first][0]

    def _crossing(self, pattern: Pattern, parsed: ParsedRoute, other: int) -> str | None:
        """What both match, unless one contains the other's part in it or a still earlier route decides it."""
        whole = Coverage((0, one) for one, _ in parsed.matches)
        for theirs, _ in self._routes[other].matches:
            both = intersection(theirs, pattern)
            if both is None or whole.covering(theirs) is not None:
                continue
            if self._earlier.covering(both, before=other) is None:
                return both.text
        return None

    def _conflict(self, crossing: str, first: int, second: int) -> str:
        denies = self._effects[second][0]
        pairs = zip(_EFFECTS, self._effects[first][1:], self._effects[second][1:], strict=True)
        about = ["deny"] if denies else [effect for effect, one, other in pairs if one != other]
        name, line = self._routes[first].route.name, self._routes[first].position.line
        return (
            f"{quoted(self._routes[second].route.name)} and {quoted(name)} (line {line}) "
            f"both match {crossing} and disagree about {listed(about)}; the one in line {line} decides"
        )
