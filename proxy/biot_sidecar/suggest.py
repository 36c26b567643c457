"""The word that somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from biot_sidecar.pacing import Pace, no_pause

_SHORTENED: Final = 3  # letters that may stand for the one word that begins with them


def suggest(word: str, known: Iterable[str], likeness: float = 0.6, *, pace: Pace = no_pause) -> str | None:
    """The known word most like `word`, or None when none is; `likeness` is difflib's ratio, 0 to 1."""
    import difflib  # 3 ms to import, and needed only for mistakes

    words = list(known)
    if len(word) >= _SHORTENED:
        longer = [one for one in words if one.startswith(word)]
        if len(longer) == 1:
            return longer[0]
    # difflib.get_close_matches(word, words, 1, likeness), in steps.
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(word)
    best: tuple[float, str] = (likeness, "")
    for one in words:
        pace()
        matcher.set_seq1(one)
        if matcher.real_quick_ratio() >= best[0] and matcher.quick_ratio() >= best[0]:
            best = max(best, (matcher.ratio(), one))
    return best[1] or None
