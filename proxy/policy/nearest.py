"""The word that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_SHORTENED: Final = 3  # letters that may stand for the one word that begins with them


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word most like `word`, or None when none is; `likeness` is difflib's ratio, 0 to 1."""
    import difflib  # 3 ms to import, and needed only for mistakes

    words = list(known)
    if len(word) >= _SHORTENED:
        longer = [one for one in words if one.startswith(word)]
        if len(longer) == 1:
            return longer[0]
    found = difflib.get_close_matches(word, words, 1, likeness)
    return found[0] if found else None
