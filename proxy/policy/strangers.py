"""What somebody probably meant whose path is no known BioT operation."""

from __future__ import annotations

import re

import msgspec

from proxy.policy.coverage import Coverage
from proxy.policy.nearest import nearest
from proxy.policy.operations import operations, pattern_of, services
from proxy.policy.pattern import Pattern

_LIKENESS = 0.8


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
    known = Coverage((number, pattern_of(one)) for number, one in enumerate(operations()))
    anyhow = msgspec.structs.replace(pattern, methods=None)
    return sorted({operations()[number].method for number in known.overlapping(anyhow)})


def _outline(pattern: Pattern) -> str:
    shown = ["{}" if segment is None else segment.decode("utf-8", "replace") for segment in pattern.segments]
    return "/" + "/".join(shown)


def _outlines() -> dict[str, str]:
    return {re.sub(r"\{[^}]*\}", "{}", one.path): one.path for one in operations()}
