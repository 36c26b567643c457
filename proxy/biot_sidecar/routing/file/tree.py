"""A routes file as a tree of nodes that know their positions; scalars stay the text that was written."""

from __future__ import annotations

from typing import Final

import msgspec


class Node(msgspec.Struct, frozen=True, eq=False):
    """Something in the file; `line` and `column` count from 1."""

    line: int
    column: int


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Scalar(Node, frozen=True, eq=False):
    """A text. `plain`: it stands there without quotes."""

    text: str
    plain: bool

    @property
    def nothing(self) -> bool:
        """True for what YAML calls null."""
        return self.plain and self.text in _NULLS


class Sequence(Node, frozen=True, eq=False):
    """A list."""

    items: tuple[Node, ...]


class Mapping(Node, frozen=True, eq=False):
    """Keys and values in the order of the file; no key twice."""

    entries: tuple[tuple[Scalar, Node], ...]


class Broken(Node, frozen=True, eq=False):
    """Something that was reported already."""


def parts_of(root: Node) -> list[object]:
    """What a document is made of, for pacing.let_go(): each item of its lists."""
    parts: list[object] = []
    for _, value in root.entries if isinstance(root, Mapping) else []:
        if isinstance(value, Sequence):
            parts += value.items  # at once: one by one, they would be one long step
    return parts
