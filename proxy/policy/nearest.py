"""The word that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word most like `word`, or None when none is; `likeness` is difflib's ratio, 0 to 1."""
    import difflib  # 3 ms to import, and needed only for mistakes

    found = difflib.get_close_matches(word, list(known), 1, likeness)
    return found[0] if found else None
