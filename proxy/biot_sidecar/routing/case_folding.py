"""Text in any case as one key: what Java or Python takes for equal when they ignore case has the same one.

Java compares char by char, each upper-cased, then lower-cased (String.equalsIgnoreCase): so U+0131 and U+0130, the
Turkish i without and with a dot, are an i. Python's casefold knows none of that, but whole strings (U+00DF is ss).
"""

from __future__ import annotations

from typing import Final

_CAPITAL_DOTTED_I: Final = "\u0130"
_DOTTED_I: Final = "i\u0307"
"""What Python, and Java's String.toLowerCase, make of it."""


def fold_case(text: str) -> str:
    """The key of `text`; one that both Java's and Python's rules lead to, in any order."""
    return "".join(map(_as_java, text)).casefold().replace(_DOTTED_I, "i")


def _as_java(character: str) -> str:
    """Character.toLowerCase(Character.toUpperCase(c)): mappings of one character to one only."""
    upper = character.upper()
    if len(upper) > 1:
        upper = character
    if upper == _CAPITAL_DOTTED_I:
        return "i"
    lower = upper.lower()
    return lower if len(lower) == 1 else upper
