"""Which known operations a pattern matches, and what somebody probably meant whose pattern matches none."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from proxy.policy.coverage import Coverage
from proxy.policy.nearest import nearest
from proxy.policy.operations import operations, pattern_of, services
from proxy.policy.pattern import Pattern
from proxy.policy.rules import Operation

_LIKENESS = 0.8


@cache
def _known() -> Coverage:
    return Coverage((number, pattern_of(one)) for number, one in enumerate(operations()))


def operations_of(pattern: Pattern) -> list[Operation]:
    """The known operations that a pattern matches; HEAD is GET without the body."""
    if pattern.methods is not None and "HEAD" in pattern.methods:
        pattern = msgspec.structs.replace(pattern, methods=pattern.methods | {"GET"})
    return [operations()[number] for number in _known().overlapping(pattern)]


def why_unknown(pattern: Pattern) -> str:
    """A sentence with what to write instead, or nothing."""
    segments = pattern.segments
    if doubled_service(segments):
        service = (segments[0] or b"").decode()
        return f"/{service} is there twice; a client whose paths begin with it already must not have it in its host"
    methods = _methods_there(pattern)
    if methods:
        return f"BioT has {', '.join(methods)} there"
    near = nearest(_outline(pattern), _outlines(), _LIKENESS)
    return "" if near is None else f"did you mean {_outlines()[near]}?"


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
