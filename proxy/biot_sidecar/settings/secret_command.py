"""SIDECAR_SECRET_COMMAND: its words, and what is wrong or odd about them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Final

_SHELL_WORDS: Final = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>/dev/null", "2>&1"})


def parse_command(text: str) -> tuple[str, ...]:
    """Words as a shell splits them, or a JSON array of words. Raises ValueError, which quotes nothing of the text."""
    import shlex  # for those who have a command

    reason = ""
    words: object = None
    if text.startswith("["):
        import json  # for those who write one

        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            reason = "begins with [ and is no JSON array of words"
    else:
        try:
            words = shlex.split(text)
        except ValueError:
            reason = "ends within quotes, or with a backslash"
    if not reason and not (isinstance(words, list) and all(map(_is_word, words))):
        reason = "is no JSON array of words"
    if reason:  # raised here, so that no traceback holds the text
        raise ValueError(reason)
    if not isinstance(words, list) or not words or not words[0]:
        raise ValueError("names no program")
    return tuple(words)


def _is_word(word: object) -> bool:
    """True for what can be a word of a command: text without NUL that can be encoded."""
    if not isinstance(word, str) or "\0" in word:
        return False
    with contextlib.suppress(UnicodeEncodeError):
        return os.fsencode(word) is not None
    return False


def odd_about_command(words: Sequence[str]) -> str:
    """A warning about words that only a shell understands, or nothing."""
    odd = next((word for word in words[1:] if word in _SHELL_WORDS), "")
    return odd and f"{odd} is passed on as a word, since no shell runs the command; write sh -c '...' where one should"


def command_problem(words: Sequence[str], env: Mapping[str, str]) -> str:
    """Why the program cannot be run, or nothing. Its name is not told: it may be the secret, put here by mistake."""
    import shutil  # for those who have a command

    if shutil.which(words[0], path=os.pathsep.join(os.get_exec_path(dict(env)))) is None:
        return "the program that it names first is not there, or may not be run (write a command, not the secret)"
    return ""
