"""The ways in which a server might read a path: routes match one of them, denials must hold for all.

The path itself goes to BioT byte for byte. A route sees its segments, percent-decoded one by one, `//` as `/`. A server
behind it may merge, decode, cut and fold more than that, so whatever one of those variants denies is denied.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

Segments = tuple[bytes, ...]

_DOTS: Final = frozenset({b".", b".."})
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Numbers: bytes look for a byte string in themselves four times more slowly (they try it as a number first).
_PERCENT: Final = 0x25
_SEMICOLON: Final = 0x3B
_BACKSLASH: Final = 0x5C
_ASCII_BLANKS: Final = bytes(range(0x21)) + b"\x7f"
# With the controls of Latin-1, everything of which Python says isspace(), and U+FEFF, which JavaScript's trim takes.
_BLANKS: Final = (
    _ASCII_BLANKS.decode()
    + "".join(map(chr, [*range(0x80, 0xA1), *range(0x2000, 0x200B)]))
    + "\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class BadPath(Exception):
    """A path that no route can be trusted with; the text says why and quotes nothing of it."""


def segments_of(path: bytes) -> Segments:
    """The path's segments as routes see them. Raises BadPath."""
    if _PERCENT not in path and _BACKSLASH not in path and path.find(b"/.") < 0 and _CONTROL.search(path) is None:
        return tuple([segment for segment in path.split(b"/") if segment])
    return _decoded_segments(path)


def _decoded_segments(path: bytes) -> Segments:
    if _BROKEN_ESCAPE.search(path):
        raise BadPath("it holds a broken percent-encoding")
    decoded = [unquote_to_bytes(segment) for segment in path.split(b"/") if segment]
    for segment in decoded:
        check_segment(segment)
    return tuple(decoded)


def check_segment(segment: bytes) -> None:
    """Raises BadPath for a decoded segment that servers read differently."""
    if _CONTROL.search(segment):
        raise BadPath("it holds a control character")
    if b"\\" in segment:
        raise BadPath("it holds a backslash")
    # `..;x` is a dot segment to servers that cut parameters, `a%2F..` to those that decode before they split.
    if any(part.partition(b";")[0] in _DOTS for part in segment.split(b"/")):
        raise BadPath("it holds a dot segment")


def is_canonical(path: bytes) -> bool:
    """True when even a server that decodes, cuts parameters and ignores case reads the path as it stands."""
    return _has_nothing_to_decode(path) and path.lower() == path


def _has_nothing_to_decode(path: bytes) -> bool:
    """True when there is nothing in it to decode or to cut off. White space and controls stand in no target as they
    are, but beyond ASCII there is more of both.
    """
    return _PERCENT not in path and _SEMICOLON not in path and path.isascii()


def path_variants(path: bytes, plain: Segments) -> set[Segments]:
    """Every variant of a path whose own one is `plain`; case is the matcher's business.

    Decoded once or twice; before, between and after it parameters cut off, slashes taken for separators and blanks
    stripped off the segments' ends, or not, in any order.
    """
    if _has_nothing_to_decode(path):
        return {plain}
    found: set[Segments] = set()
    level = _with_variants({tuple(path.split(b"/"))})
    for _ in range(2):
        level = _with_variants({tuple(map(unquote_to_bytes, segments)) for segments in level})
        found |= level
    return set(map(_remove_dot_segments, found))


def _with_variants(level: set[Segments]) -> set[Segments]:
    """`level` and all that the three ways to read more into segments make of it, in any order."""
    found = set(level)
    fresh = level
    while fresh:
        fresh = {way(segments) for segments in fresh for way in _READ_MORE} - found
        found |= fresh
    return found


def _cut_parameters(segments: Segments) -> Segments:
    return tuple(segment.partition(b";")[0] for segment in segments)


def _split_slashes(segments: Segments) -> Segments:
    return tuple(part for segment in segments for part in segment.replace(b"\\", b"/").split(b"/"))


def _trim_blanks(segments: Segments) -> Segments:
    """As servers do that strip tokens: Java's trim takes all up to U+0020, Python's strip all that isspace()."""
    return tuple(segment.strip(_ASCII_BLANKS) if segment.isascii() else _trim_text(segment) for segment in segments)


def _trim_text(segment: bytes) -> bytes:
    return segment.decode("utf-8", "surrogateescape").strip(_BLANKS).encode("utf-8", "surrogateescape")


def _remove_dot_segments(segments: Segments) -> Segments:
    """Without empty segments, dot segments resolved (RFC 3986, section 5.2.4)."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    return tuple(kept)


_READ_MORE: Final = (_cut_parameters, _split_slashes, _trim_blanks)
"""What servers do with segments beside decoding them."""
