"""What the searches of one collection look at instead of its entities: a column for each path that was asked about.

A row is an entity's place by age. A column holds, for each row, what stands at its path in a form that is ready to be
compared. It is made when a search first asks, and kept up with every change from then on. A long one is made in
pieces (`fill`), between which others have their turn; until it is whole nobody looks at it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar

from biot_sidecar.simulator.search import COMPARISONS, Rank, rank, text_in, values
from biot_sidecar.simulator.values import Json

Rows = list[Json | None]
"""Entities by row; None is one that is gone."""
Value = TypeVar("Value")
_BLOCK: Final = 64
"""Rows whose text is looked through at once."""
_SEPARATOR: Final = "\0"


class Column:
    """One path. If it is not `plain`, some row has several values, which only looking at the entities tells."""

    def __init__(self, path: str, rows: Rows) -> None:
        self._names = path.split(".")
        self._rows = rows
        self._texts: list[str | None] | None = None
        self._orders: dict[bool, list[tuple[Rank, int]]] = {}  # by whether it is descending
        self.is_plain = True
        self.ranks: list[Rank | None] = []

    def fill(self, most: int | None = None) -> bool:
        """Make (at most so many) of the rows that are not yet there; whether all are."""
        first = len(self.ranks)
        last = len(self._rows) if most is None else min(first + most, len(self._rows))
        self.ranks += [self._rank(row) for row in range(first, last)]
        return last == len(self._rows)

    def put(self, row: int) -> None:
        """The row has another entity now, or none any more."""
        if row > len(self.ranks):
            return  # it is not made yet
        old = self.ranks[row] if row < len(self.ranks) else None
        new = self._rank(row)
        for descending, order in self._orders.items():
            age = row if descending else -row
            if old is not None:
                del order[bisect_left(order, (old, age))]
            if new is not None:
                insort(order, (new, age))
        _put(self.ranks, row, new)
        if self._texts is not None and row <= len(self._texts):
            _put(self._texts, row, self._text(row))

    def having(self, *, value: bool) -> set[int]:
        """The rows that have a value, or those that have none."""
        rows = enumerate(zip(self._rows, self.ranks, strict=True))
        return {row for row, (entity, found) in rows if entity is not None and (found is not None) is value}

    def compared(self, key: str, wanted: Any) -> set[int]:
        """The rows whose value compares so."""
        test, (kind, right) = COMPARISONS[key], rank(wanted)
        return {row for row, one in enumerate(self.ranks) if one and one[0] == kind and test(one[1], right)}

    def like(self, wanted: str) -> set[int]:
        """The rows whose text has this in it, in whatever case."""
        self.fill_texts()
        text = wanted.casefold()
        return {row for row, one in enumerate(self._texts or ()) if one is not None and text in one}

    def fill_texts(self, most: int | None = None) -> bool:
        """As `fill`."""
        self._texts = [] if self._texts is None else self._texts
        first = len(self._texts)
        last = len(self._rows) if most is None else min(first + most, len(self._rows))
        self._texts += [self._text(row) for row in range(first, last)]
        return last == len(self._rows)

    def ordered(self, *, descending: bool) -> Iterator[int]:
        """The rows with a value in their order, of equal ones the newest first."""
        if descending not in self._orders:
            sign = 1 if descending else -1
            self._orders[descending] = sorted((one, sign * row) for row, one in enumerate(self.ranks) if one)
        order = self._orders[descending]
        return (row for _, row in reversed(order)) if descending else (-row for _, row in order)

    def _rank(self, row: int) -> Rank | None:
        found = self._values(row)
        self.is_plain = self.is_plain and len(found) < 2
        return rank(found[0]) if found else None

    def _text(self, row: int) -> str | None:
        found = self._values(row)
        return found[0].casefold() if found and isinstance(found[0], str) else None

    def _values(self, row: int) -> Sequence[Any]:
        entity = self._rows[row]
        return values(entity, self._names) if entity is not None else ()


class Texts:
    """All that free text is looked for in, in blocks of rows: one long text is searched faster than many short ones."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._blocks: dict[int, tuple[str, Sequence[int]]] = {}  # the joined text, and where each row's ends

    def put(self, row: int) -> None:
        """The row has another entity now, or none any more."""
        self._blocks.pop(row // _BLOCK, None)

    def fill(self, rows: range) -> None:
        """Make the blocks of these rows that are not there."""
        for number in range(rows.start // _BLOCK, min(-(-rows.stop // _BLOCK), self._count())):
            if number not in self._blocks:
                self._made(number)

    def _count(self) -> int:
        return -(-len(self._rows) // _BLOCK)

    def having(self, words: Sequence[str]) -> set[int]:
        """The rows that hold any of the words."""
        found: set[int] = set()
        for number in range(self._count()):
            text, ends = self._blocks.get(number) or self._made(number)
            for word in words:
                found.update(number * _BLOCK + row for row in _hits(text, ends, word))
        return found

    def _made(self, number: int) -> tuple[str, Sequence[int]]:
        rows = self._rows[number * _BLOCK : (number + 1) * _BLOCK]
        known: dict[int, str] = {}
        texts = [text_in(entity, known) + _SEPARATOR if entity is not None else "" for entity in rows]
        self._blocks[number] = "".join(texts), list(accumulate(map(len, texts)))
        return self._blocks[number]


def _hits(text: str, ends: Sequence[int], word: str) -> Iterator[int]:
    """Which of the joined texts hold the word."""
    at = text.find(word)
    while at >= 0:
        number = bisect_left(ends, at + 1)
        yield number
        at = text.find(word, ends[number])


def _put(column: list[Value], row: int, value: Value) -> None:
    """At a row, which may be the next one."""
    if row < len(column):
        column[row] = value
    else:
        column.append(value)
