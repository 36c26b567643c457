"""What a route's `match:` says: methods and a path, `METHOD|METHOD /literal/{one segment}/**`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from biot_sidecar.routing.path_normalization import BadPath, check_segment

LONGEST: Final = 1024
METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]*")
"""A segment that stands for itself, whoever reads it."""
_NAMED: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.-]*\}")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Methods in any enumeration, the address of a server, a path without its slash: close enough to say what was meant.
_ALMOST: Final = r"(?:([A-Z]+(?:[\s,|]+[A-Z]+)*)(?:[\s,|]+|(?=/)))?(?:https?://[^/\s]*(?=/))?/?(?![A-Z]+$)([^\s?#|,]+)"
_EXAMPLE: Final = 'write METHOD /path, such as GET /ums/v2/users/{id} or "POST|PUT /file/**"'


class BadPattern(ValueError):
    """A `match:` that means nothing; the text is a sentence for the user."""


class Pattern(msgspec.Struct, frozen=True):
    """One `match:` entry.

    `methods` is None for any. A segment is its decoded bytes, or None for `{x}`: one that is not empty. `rest` is a
    final `**`: any number of further segments, none included.
    """

    text: str
    methods: frozenset[str] | None
    segments: tuple[bytes | None, ...]
    rest: bool = False

    def covers(self, method: str, segments: tuple[bytes, ...]) -> bool:
        """True for a request that this pattern matches."""
        if self.methods is not None and method not in self.methods:
            return False
        if len(segments) < len(self.segments) or (len(segments) > len(self.segments) and not self.rest):
            return False
        return all(own is None or own == other for own, other in zip(self.segments, segments, strict=False))


def parse_pattern(text: str) -> Pattern:
    """Raises BadPattern."""
    if len(text) > LONGEST:
        raise BadPattern(f"it is longer than {LONGEST} characters")
    methods, _, path = text.strip().partition(" ")
    path = path.strip()
    if not path.startswith("/"):
        raise BadPattern(f"{text!r} is no match; {_instead(text)}")
    segments = [segment for segment in path.split("/") if segment]
    rest = segments[-1:] == ["**"]
    if rest:
        segments.pop()
    return Pattern(text, _methods(methods), tuple(map(_segment, segments)), rest)


def _instead(text: str) -> str:
    """What to write for something that lacks its method, or the slash that its path begins with."""
    almost = re.fullmatch(_ALMOST, text)
    if almost is None:
        return _EXAMPLE
    methods, path = almost.groups()
    if methods is None:
        return f"the method is missing; write GET /{path}, or * for any method" if "/" in text else _EXAMPLE
    return f"write {'|'.join(re.findall('[A-Z]+', methods))} /{path}"


def _methods(text: str) -> frozenset[str] | None:
    if text == "*":
        return None
    methods = text.split("|")
    for method in methods:
        if method == "*":
            raise BadPattern(f"{text!r}: * stands alone, it is any method already")
        if not METHOD.fullmatch(method):
            raise BadPattern(f"{text!r} is no method; {_EXAMPLE}")
        if method != method.upper():
            raise BadPattern(f"{method!r} can never match: methods have capitals; write {method.upper()}")
    return frozenset(methods)


@lru_cache(maxsize=1024)  # most of a file's are in many of its patterns
def _segment(text: str) -> bytes | None:
    if _PLAIN.fullmatch(text):
        return text.encode()
    if _NAMED.fullmatch(text):
        return None
    if "**" in text:
        raise BadPattern("** stands for any number of segments, alone and at the end; write {x} for one segment")
    if "{" in text or "}" in text:
        raise BadPattern(f"{text!r}: braces hold a whole segment and a name, such as {{id}}")
    if text == "*":
        raise BadPattern("* is no segment; write {x} for one segment or a final ** for any number")
    if "*" in text:
        raise BadPattern(f"{text!r}: there are no wildcards within a segment; write {{x}} for any one")
    if "?" in text or "#" in text:
        raise BadPattern(f"{text!r}: the query plays no part in matching; leave it out")
    if _BROKEN_ESCAPE.search(text):
        raise BadPattern(f"{text!r} holds a broken percent-encoding; a percent sign itself is %25")
    if " " in text:
        raise BadPattern(
            f"{text!r} holds a space; in a path it is %20, and several matches are a list: [GET /a, PUT /b]"
        )
    decoded = unquote_to_bytes(text)
    try:
        check_segment(decoded)
    except BadPath as error:
        raise BadPattern(f"{text!r} can never match: a path is refused if {error}") from None
    return decoded
