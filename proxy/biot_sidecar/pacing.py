"""Long work in small steps, so that whoever has something better to do can do it in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")
ITEMS_AT_ONCE: Final = 64
"""Items of a list that are looked at between two steps; a microsecond each, at most."""
Pace = Callable[[], None]
"""Called between two steps, none of which takes longer than some tenths of a millisecond; may take its time."""


def no_pause() -> None:
    """For those who have nothing better to do."""


def paced(items: Sequence[Item], pace: Pace) -> Iterator[Item]:
    """The items, a few in each step."""
    for start in range(0, len(items), ITEMS_AT_ONCE):
        pace()
        yield from items[start : start + ITEMS_AT_ONCE]


def let_go(parts: list[object], pace: Pace) -> None:
    """Empty the list from its end: what only it holds is freed one by one, where all at once would take long."""
    while parts:
        parts.pop()
        pace()
