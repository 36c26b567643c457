"""Long work in small steps, so that whoever has something better to do can do it in between."""

from __future__ import annotations

from collections.abc import Callable

Pace = Callable[[], None]
"""Called between two steps, none of which takes longer than some tenths of a millisecond; may take its time."""


def no_pause() -> None:
    """For those who have nothing better to do."""


def let_go(parts: list[object], pace: Pace) -> None:
    """Empty the list from its end: what only it holds is freed one by one, where all at once would take long."""
    while parts:
        parts.pop()
        pace()
