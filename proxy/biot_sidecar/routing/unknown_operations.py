"""Which known operations a pattern matches, and what somebody probably meant whose pattern matches none."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from biot_sidecar.pacing import Pace, no_pause
from biot_sidecar.routing.biot_operations import operations, patterns, services
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.route import Operation
from biot_sidecar.routing.shadowing import Coverage
from biot_sidecar.suggest import suggest

_LIKENESS = 0.8
_NAMED = rb":[A-Za-z]|<.*>$|\$"  # how other tools write a placeholder
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_USUAL = frozenset(_METHODS)


@cache
def _known() -> Coverage:
    return Coverage(enumerate(patterns()))


def operations_of(pattern: Pattern) -> list[Operation]:
    """The known operations that a pattern matches; HEAD is GET without the body."""
    if pattern.methods is not None and "HEAD" in pattern.methods:
        pattern = msgspec.structs.replace(pattern, methods=pattern.methods | {"GET"})
    return [operations()[number] for number in _known().overlapping(pattern)]


def why_unknown(pattern: Pattern, pace: Pace = no_pause) -> str:
    """A sentence with what to write instead, or nothing."""
    segments = pattern.segments
    if doubled_service(segments):
        service = (segments[0] or b"").decode()
        return f"/{service} is there twice; a client whose paths begin with it already must not have it in its host"
    named = next(
        (segment.decode("utf-8", "replace") for segment in segments if segment and re.match(_NAMED, segment)), None
    )
    if named is not None:
        return f"{named} stands for itself; one segment of any kind is {{id}}"
    methods = _methods_there(pattern)
    if methods:
        return f"BioT has {', '.join(methods)} there"
    near = suggest(_outline(pattern), _outlines(), _LIKENESS, pace=pace)
    return "" if near is None else f"did you mean {_outlines()[near]}?"


def odd_method(pattern: Pattern) -> str:
    """A sentence about a method that no request will have, or nothing."""
    if pattern.methods is None or pattern.methods <= _USUAL:
        return ""
    for method in sorted(pattern.methods):
        if method in {"CONNECT", "TRACE"}:
            return f"{method} is refused with 405, whatever the routes say"
        near = None if method in _METHODS else suggest(method, _METHODS)
        if near is not None:
            return f"{method} is an odd method; did you mean {near}?"
    return ""


def doubled_service(segments: tuple[bytes | None, ...]) -> bool:
    """True for /organization/organization/...: a client that has the service in its host and in its paths."""
    return len(segments) > 1 and segments[0] == segments[1] and segments[0] in services()


def _methods_there(pattern: Pattern) -> list[str]:
    """The methods of the operations that fit but for the method."""
    return sorted({one.method for one in operations_of(msgspec.structs.replace(pattern, methods=None))})


def _outline(pattern: Pattern) -> str:
    shown = ["{}" if segment is None else segment.decode("utf-8", "replace") for segment in pattern.segments]
    return "/" + "/".join(shown)


@cache
def _outlines() -> dict[str, str]:
    return {re.sub(r"\{[^}]*\}", "{}", one.path): one.path for one in operations()}
