"""What is odd about rules that read well: routes that never match, overlaps, operations that BioT does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from proxy.policy.coverage import Coverage, intersection
from proxy.policy.guards import OWN_PATHS, OWN_PREFIX
from proxy.policy.pattern import Pattern
from proxy.policy.routesfile.document import Scalar
from proxy.policy.routesfile.problem import Problems, listed, quoted
from proxy.policy.routesfile.sections import Route
from proxy.policy.rules import Interception, Rule
from proxy.policy.strangers import operations_of, why_unknown

_NAMED_MOST: Final = 3
_HINTS_MOST: Final = 20  # looking for the likeliest operation costs milliseconds each
_EFFECTS: Final = ("interception", "authorization", "timeout", "retry")


def judge(routes: Sequence[Route], problems: Problems) -> None:
    """Report unreachable routes as errors, the rest as warnings."""
    earlier = Coverage()
    for number, route in enumerate(routes):
        if _reachable(route, routes, earlier, problems):
            _warn_of_overlaps(number, route, routes, earlier, problems)
        _add(number, route, earlier, problems)
    hints = 0
    for route in routes:
        hints += _warn_of_strangers(route, problems, hint=hints < _HINTS_MOST)
        _warn_of_vain_interception(route, problems)


# ---- reach


def _reachable(route: Route, routes: Sequence[Route], earlier: Coverage, problems: Problems) -> bool:
    taken = [earlier.covering(pattern) for pattern, _ in route.matches]
    first = route.matches[0][1]
    if None not in taken:
        by = frozenset().union(*(one for one in taken if one is not None))
        problems.error(
            first,
            f"{quoted(route.rule.name)} can never match: {_takers(by, routes)} all of it; move it up or remove it",
        )
        return False
    for by_some, (pattern, place) in zip(taken, route.matches, strict=True):
        if by_some is not None:
            problems.warning(place, f"{pattern.text} can never match: {_takers(by_some, routes)} all of it")
    return True


def _takers(numbers: Iterable[int], routes: Sequence[Route]) -> str:
    found = [routes[number] for number in sorted(numbers)]
    names = [f"{quoted(one.rule.name)} (line {one.place.line})" for one in found[:_NAMED_MOST]]
    names += [f"{len(found) - _NAMED_MOST} more"] * (len(found) > _NAMED_MOST)
    return f"{listed(names)} {'comes first and takes' if len(found) == 1 else 'come first and take'}"


def _add(number: int, route: Route, earlier: Coverage, problems: Problems) -> None:
    own = Coverage()
    for pattern, place in route.matches:
        if own.covering(pattern) is not None:
            problems.warning(place, f"{pattern.text} adds nothing: what stands before it in this match takes all of it")
        own.add(0, pattern)
        earlier.add(number, pattern)


# ---- overlaps


def _warn_of_overlaps(
    number: int, route: Route, routes: Sequence[Route], earlier: Coverage, problems: Problems
) -> None:
    """A narrower route before a wider one is how exceptions are written; two that only cross are an accident."""
    told: set[int] = set()
    for pattern, place in route.matches:
        for other_number in earlier.overlapping(pattern):
            if len(told) == _NAMED_MOST:
                return
            other = routes[other_number]
            differing = [] if other_number in told else _disagreement(other.rule, route.rule)
            crossing = _crossing(pattern, route, other, other_number, earlier) if differing else None
            if crossing is not None:
                told.add(other_number)
                problems.warning(
                    place,
                    f"{quoted(route.rule.name)} and {quoted(other.rule.name)} (line {other.place.line}) both match "
                    f"{crossing} and disagree about {listed(differing)}; the one in line {other.place.line} decides",
                )


def _disagreement(first: Rule, second: Rule) -> list[str]:
    """What differs; a denial that comes first is a guard, and means what it does."""
    if first.deny is not None:
        return []
    if second.deny is not None:
        return ["deny"]
    return [one for one in _EFFECTS if getattr(first, one) != getattr(second, one)]


def _crossing(pattern: Pattern, route: Route, other: Route, number: int, earlier: Coverage) -> str | None:
    """What both match, unless one contains the other's part in it or a still earlier route decides it."""
    whole = Coverage((0, one) for one, _ in route.matches)
    for theirs, _ in other.matches:
        both = intersection(theirs, pattern)
        if both is None or whole.covering(theirs) is not None or earlier.covering(both, before=number) is not None:
            continue
        return both.text
    return None


# ---- BioT's operations


def _warn_of_strangers(route: Route, problems: Problems, *, hint: bool) -> int:
    """Report patterns that no known operation fits; how many there were."""
    found = 0
    for pattern, place in route.matches:
        if _own(pattern):
            problems.warning(place, f"{pattern.text}: the sidecar answers this path itself and never forwards it")
        elif not operations_of(pattern):
            _warn_of_stranger(pattern, place, problems, hint=hint)
            found += 1
    return found


def _warn_of_stranger(pattern: Pattern, place: Scalar, problems: Problems, *, hint: bool) -> None:
    reason = why_unknown(pattern) if hint else ""
    problems.warning(place, f"no known BioT operation is {pattern.text}{'; ' if reason else ''}{reason}")


def _own(pattern: Pattern) -> bool:
    path = b"/" + b"/".join(segment or b"{x}" for segment in pattern.segments)
    return (path in OWN_PATHS and not pattern.rest) or path == OWN_PREFIX or path.startswith(OWN_PREFIX + b"/")


def _warn_of_vain_interception(route: Route, problems: Problems) -> None:
    if "interception" not in route.own or route.rule.interception is Interception.OFF or route.rule.deny is not None:
        return
    found = [operation for pattern, _ in route.matches for operation in operations_of(pattern)]
    if found and all(operation.interceptable is False for operation in found):
        problems.warning(
            route.own["interception"][1],
            f"interception has no effect here: BioT does not intercept {found[0].method} {found[0].path}"
            + (" or any other operation that this matches" if len(found) > 1 else ""),
        )
