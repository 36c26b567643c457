"""What is odd about routes that read well: operations that BioT does not have, or does not intercept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from biot_sidecar.routing.file.diagnostics import Diagnostics
from biot_sidecar.routing.file.keys import SETTINGS
from biot_sidecar.routing.file.parse import ParsedRoute
from biot_sidecar.routing.file.tree import Scalar
from biot_sidecar.routing.local_paths import LOCAL_PATHS, LOCAL_PREFIX, is_local
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Interception, Operation
from biot_sidecar.routing.unknown_operations import odd_method, operations_of, why_unknown

_LOCAL_BEGINNINGS: Final = {path.split(b"/")[1] for path in (*LOCAL_PATHS, LOCAL_PREFIX)}
Known = Sequence[list[Operation]]
"""The operations that each of a route's patterns matches."""
_HINTS_MOST: Final = 20  # looking for the likeliest operation costs milliseconds each


def check_operations(routes: Sequence[ParsedRoute], report: Diagnostics) -> None:
    """Report what is probably not meant, as warnings."""
    hints = 0
    for parsed in routes:
        known = [operations_of(pattern) for pattern, _ in parsed.matches]
        hints += _warn_of_unknown_operations(parsed, known, report, hint=hints < _HINTS_MOST)
        _warn_of_vain_interception(parsed, known, report)
        _warn_of_vain_settings(parsed, report)


def _warn_of_unknown_operations(parsed: ParsedRoute, known: Known, report: Diagnostics, *, hint: bool) -> int:
    """Report patterns that no known operation fits; how many there were."""
    found = 0
    for (pattern, position), operations in zip(parsed.matches, known, strict=True):
        report.pace()
        odd = odd_method(pattern)
        if odd:
            report.warning(position, f"{pattern.text}: {odd}")
        elif _is_local(pattern):
            report.warning(position, f"{pattern.text}: the sidecar answers this path itself and never forwards it")
        elif not operations:
            _warn_of_unknown_operation(pattern, position, report, hint=hint)
            found += 1
    return found


def _warn_of_unknown_operation(pattern: Pattern, position: Scalar, report: Diagnostics, *, hint: bool) -> None:
    reason = why_unknown(pattern, report.pace) if hint else ""
    report.warning(position, f"no known BioT operation is {pattern.text}{'; ' if reason else ''}{reason}")


def _is_local(pattern: Pattern) -> bool:
    if pattern.segments and pattern.segments[0] not in _LOCAL_BEGINNINGS:
        return False
    path = b"/" + b"/".join(segment or b"{x}" for segment in pattern.segments)
    return is_local(path) and not (pattern.rest and path in LOCAL_PATHS)


def _warn_of_vain_interception(parsed: ParsedRoute, known: Known, report: Diagnostics) -> None:
    if "interception" not in parsed.explicit_keys:
        return
    route = parsed.route
    if route.interception is Interception.OFF or route.deny or route.observe:
        return
    operations = [(*match, _never_intercepted(found)) for match, found in zip(parsed.matches, known, strict=True)]
    vain = [(pattern, position, found) for pattern, position, found in operations if found]
    if len(vain) < len(parsed.matches):
        for pattern, position, _ in vain:
            report.warning(position, f"interception has no effect on {pattern.text}: BioT does not intercept it")
    elif vain:
        found = [operation for _, _, several in vain for operation in several]
        report.warning(
            parsed.explicit_keys["interception"][1],
            f"interception has no effect here: BioT does not intercept {found[0].method} {found[0].path}"
            + (" or any other operation that this matches" if len(found) > 1 else ""),
        )


def _warn_of_vain_settings(parsed: ParsedRoute, report: Diagnostics) -> None:
    if parsed.route.observe is None:
        return
    for key, (position, _) in parsed.explicit_keys.items():
        if key in SETTINGS:
            report.warning(position, f"{key} has no effect beside observe: this route decides nothing")


def _never_intercepted(found: list[Operation]) -> list[Operation]:
    """These operations, if BioT intercepts none of them."""
    return found if all(operation.interceptable is False for operation in found) else []
