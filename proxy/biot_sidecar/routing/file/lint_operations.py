"""What is odd about routes that read well: operations that BioT does not have, or does not intercept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from biot_sidecar.routing.file.diagnostics import Problems
from biot_sidecar.routing.file.keys import SETTINGS
from biot_sidecar.routing.file.parse import ParsedRoute
from biot_sidecar.routing.file.yaml_tree import Scalar
from biot_sidecar.routing.local_paths import LOCAL_PATHS, is_local
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Interception, Operation
from biot_sidecar.routing.unknown_operations import odd_method, operations_of, why_unknown

_HINTS_MOST: Final = 20  # looking for the likeliest operation costs milliseconds each


def judge_meaning(routes: Sequence[ParsedRoute], problems: Problems) -> None:
    """Report what is probably not meant, as warnings."""
    hints = 0
    for parsed in routes:
        hints += _warn_of_strangers(parsed, problems, hint=hints < _HINTS_MOST)
        _warn_of_vain_interception(parsed, problems)
        _warn_of_vain_settings(parsed, problems)


def _warn_of_strangers(parsed: ParsedRoute, problems: Problems, *, hint: bool) -> int:
    """Report patterns that no known operation fits; how many there were."""
    found = 0
    for pattern, place in parsed.matches:
        problems.pace()
        odd = odd_method(pattern)
        if odd:
            problems.warning(place, f"{pattern.text}: {odd}")
        elif _own(pattern):
            problems.warning(place, f"{pattern.text}: the sidecar answers this path itself and never forwards it")
        elif not operations_of(pattern):
            _warn_of_stranger(pattern, place, problems, hint=hint)
            found += 1
    return found


def _warn_of_stranger(pattern: Pattern, place: Scalar, problems: Problems, *, hint: bool) -> None:
    reason = why_unknown(pattern, problems.pace) if hint else ""
    problems.warning(place, f"no known BioT operation is {pattern.text}{'; ' if reason else ''}{reason}")


def _own(pattern: Pattern) -> bool:
    path = b"/" + b"/".join(segment or b"{x}" for segment in pattern.segments)
    return is_local(path) and not (pattern.rest and path in LOCAL_PATHS)


def _warn_of_vain_interception(parsed: ParsedRoute, problems: Problems) -> None:
    if "interception" not in parsed.own:
        return
    route = parsed.route
    if route.interception is Interception.OFF or route.deny or route.observe:
        return
    vain = [(pattern, place, found) for pattern, place in parsed.matches if (found := _never_intercepted(pattern))]
    if len(vain) < len(parsed.matches):
        for pattern, place, _ in vain:
            problems.warning(place, f"interception has no effect on {pattern.text}: BioT does not intercept it")
    elif vain:
        found = [operation for _, _, several in vain for operation in several]
        problems.warning(
            parsed.own["interception"][1],
            f"interception has no effect here: BioT does not intercept {found[0].method} {found[0].path}"
            + (" or any other operation that this matches" if len(found) > 1 else ""),
        )


def _warn_of_vain_settings(parsed: ParsedRoute, problems: Problems) -> None:
    if parsed.route.observe is None:
        return
    for key in SETTINGS:
        if key in parsed.own:
            problems.warning(parsed.own[key][0], f"{key} has no effect beside observe: this route decides nothing")


def _never_intercepted(pattern: Pattern) -> list[Operation]:
    """The operations that a pattern matches, if BioT intercepts none of them."""
    found = operations_of(pattern)
    return found if all(operation.interceptable is False for operation in found) else []
