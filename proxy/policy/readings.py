"""The ways in which a server might read a path: rules match one of them, denials must hold for all.

The path itself goes to BioT byte for byte. A rule sees its segments, percent-decoded one by one, `//` as `/`. A server
behind it may merge, decode, cut and fold more than that, so whatever one of those readings denies is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

Segments = tuple[bytes, ...]

_DOTS: Final = frozenset({b".", b".."})
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Numbers: bytes look for a byte string in themselves four times more slowly (they try it as a number first).
_PERCENT: Final = 0x25
_SEMICOLON: Final = 0x3B
_BACKSLASH: Final = 0x5C
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class BadPath(Exception):
    """A path that no rule can be trusted with; the text says why and quotes nothing of it."""


def segments_of(path: bytes) -> Segments:
    """The path's segments as rules see them. Raises BadPath."""
    if _PERCENT not in path and _BACKSLASH not in path and path.find(b"/.") < 0 and _CONTROL.search(path) is None:
        return tuple([segment for segment in path.split(b"/") if segment])
    return _careful(path)


def _careful(path: bytes) -> Segments:
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


def reads_one_way(path: bytes) -> bool:
    """True when even a server that decodes, cuts parameters and ignores case reads the path as it stands."""
    return _stays_whole(path) and path.isascii() and path.lower() == path


def _stays_whole(path: bytes) -> bool:
    """True when there is nothing in it to decode or to cut off."""
    return _PERCENT not in path and _SEMICOLON not in path


def readings(path: bytes, plain: Segments) -> set[Segments]:
    """Every reading of a path whose own one is `plain`; case is the matcher's business.

    Decoded once or twice; parameters cut off, and slashes taken for separators, before, between and after it or not.
    """
    if _stays_whole(path):
        return {plain}
    found: set[Segments] = set()
    level = set(_variants(tuple(path.split(b"/"))))
    for _ in range(2):
        level = {one for segments in level for one in _variants(tuple(map(unquote_to_bytes, segments)))}
        found |= level
    return set(map(_tidy, found))


def _variants(segments: Segments) -> Iterator[Segments]:
    cut, split = _cut(segments), _split(segments)
    yield from (segments, cut, split, _split(cut), _cut(split))


def _cut(segments: Segments) -> Segments:
    return tuple(segment.partition(b";")[0] for segment in segments)


def _split(segments: Segments) -> Segments:
    return tuple(part for segment in segments for part in segment.replace(b"\\", b"/").split(b"/"))


def _tidy(segments: Segments) -> Segments:
    """Without empty segments, dot segments resolved (RFC 3986, section 5.2.4)."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    return tuple(kept)
