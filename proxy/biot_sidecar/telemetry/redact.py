"""What a log may show of what others wrote: names of query parameters, and text that cannot break out of its line."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_KEYS: Final = 16
HIDDEN: Final = "?"
"""Stands for a parameter that has no name fit to show."""
_NAME: Final = re.compile(rb"[A-Za-z_$][A-Za-z0-9_.$:@\[\]-]{0,63}")
_MAX_NAME: Final = 3 * 64
"""Bytes of the longest name that can be shown, each of them percent-encoded."""
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def query_keys(query: bytes) -> list[str]:
    """The parameters' names, percent-decoded, 16 at most; `query` is raw.

    Only what looks like a name is one: a value may stand where a name belongs, as in ``?{"patient": "..."}``, or
    ``?dGV4dA==``, base64 whose padding looks like an empty value.
    """
    if not query:
        return []
    return [_key(parameter) for parameter in query.split(b"&", MAX_KEYS)[:MAX_KEYS] if parameter]


def _key(parameter: bytes) -> str:
    name, _, value = parameter.partition(b"=")
    return _shown(name) if value.strip(b"=") and len(name) <= _MAX_NAME else HIDDEN


@lru_cache(maxsize=512)  # plugins use few names, often
def _shown(name: bytes) -> str:
    if b"%" in name:
        name = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), name)
    return name.decode("ascii") if _NAME.fullmatch(name) else HIDDEN


def printable(text: str) -> str:
    """The text with everything escaped that a terminal or a log reader might act on, line ends first of all."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
