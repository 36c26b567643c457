"""Answers to questions that are asked again and again, as many as fit."""

from __future__ import annotations

from typing import Final, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

KEY_LIMIT: Final = 2048
"""Bytes of what others wrote that are worth remembering as a question, or part of one."""


class BoundedCache(dict[Key, Value]):
    """Ask with `get`, tell with `keep`. It is emptied when full: an LRU's bookkeeping costs more than it saves."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        self._most = most

    def keep(self, key: Key, value: Value) -> None:
        if len(self) >= self._most:
            self.clear()
        self[key] = value
