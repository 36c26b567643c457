"""Runs the file's own tests against its table."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from biot_sidecar.durations import show_duration
from biot_sidecar.routing.file.diagnostics import Diagnostics, quoted
from biot_sidecar.routing.file.parse import InlineTest
from biot_sidecar.routing.route import Verdict
from biot_sidecar.routing.table import RouteTable

_WHEN_REFUSED: Final = (("deny", True), ("observe", False))
"""What a test may expect of a path that no route is asked about."""


def run_tests(table: RouteTable, cases: Iterable[InlineTest], report: Diagnostics) -> None:
    """Report every expectation that does not hold, with what came out instead."""
    for case in cases:
        report.pace()
        verdict = table.verdict(case.method.encode(), case.path.encode())
        request = f"{case.method} {case.path.partition('?')[0]}"
        if verdict.path_refused is not None:
            if any((key, wanted) not in _WHEN_REFUSED for key, (wanted, _) in case.expected.items()):
                report.error(case.position, f"test failed: {request} is refused with 400: {verdict.path_refused}")
            continue
        for key, (wanted, position) in case.expected.items():
            got = _outcome(key, verdict)
            if not _holds(wanted, got):
                by = f"{verdict.route.name} ({verdict.route.source})"
                report.error(
                    position, f"test failed: {request}: {key} is {_show(got)}, not {_show(wanted)}; decided by {by}"
                )


def _outcome(key: str, verdict: Verdict) -> Any:
    if key == "route":
        return verdict.route.name
    if key == "observe":
        return None if verdict.observed is None else verdict.observed.observe
    return verdict.deny if key == "deny" else getattr(verdict.route, key)


def _holds(wanted: Any, got: Any) -> bool:
    """`wanted` true or false is about deny or observe: a reason, or none."""
    return (got is not None) is wanted if isinstance(wanted, bool) else bool(got == wanted)


def _show(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return show_duration(value)
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    return quoted(value)
