"""Answers to questions that are asked again and again, as many as fit."""

from __future__ import annotations

from typing import Final, TypeVar

Answer = TypeVar("Answer")

KEY_LIMIT: Final = 2048
"""Bytes of a question that is worth remembering."""


class Memo(dict[bytes, Answer]):
    """Ask with `get`, tell with `keep`. It is emptied when full: an LRU's bookkeeping costs more than it saves."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        self._most = most

    def keep(self, question: bytes, answer: Answer) -> None:
        if len(question) <= KEY_LIMIT:
            if len(self) >= self._most:
                self.clear()
            self[question] = answer
