"""Adds up what several processes have counted, by the fields of the values: what is counted anew is summed unasked.

Numbers are added, lists element by element, dicts key by key, dataclasses field by field. A field that is no sum says
so where it stands, by its metadata; text is the same in every process of a program.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

MERGE: Final = "merge"
"""The metadata of a field that is no sum: a function of two processes' values."""
LIVE: Final = "live"
"""The metadata of a gauge, which ends with its process: its default is left. The names that follow are those of
prometheus_client's modes for several processes."""


def _known_min(mine: float, other: float) -> float:
    """The smaller one; 0 is not known."""
    return min(mine, other) if mine and other else mine or other


def _known(mine: float | None, other: float | None) -> float | None:
    """One of them, if any is known."""
    return other if mine is None else mine


def _union(mine: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*mine, *other]))


MAX: Final[Mapping[str, Any]] = {MERGE: max}
MIN: Final[Mapping[str, Any]] = {MERGE: _known_min}
LIVE_KNOWN: Final[Mapping[str, Any]] = {MERGE: _known, LIVE: True}
LIVE_ALL: Final[Mapping[str, Any]] = {MERGE: operator.and_, LIVE: True}
LIVE_SUM: Final[Mapping[str, Any]] = {LIVE: True}
LIVE_UNION: Final[Mapping[str, Any]] = {MERGE: _union, LIVE: True}
LIVE_MAX: Final[Mapping[str, Any]] = {MERGE: max, LIVE: True}
LIVE_MIN: Final[Mapping[str, Any]] = {MERGE: _known_min, LIVE: True}


def merge(mine: Any, other: Any) -> Any:
    """Both values as one, of which `mine` may be changed on the way. Raises TypeError for what has no sum."""
    if is_dataclass(mine):
        for field in fields(mine):
            one, two = getattr(mine, field.name), getattr(other, field.name)
            setattr(mine, field.name, field.metadata.get(MERGE, merge)(one, two))
        return mine
    if isinstance(mine, dict):
        for key, value in other.items():
            mine[key] = merge(mine[key], value) if key in mine else value
        return mine
    if isinstance(mine, list):
        return [merge(one, two) for one, two in zip(mine, other, strict=True)]
    if isinstance(mine, str):
        return mine
    if isinstance(mine, bool) or not isinstance(mine, int | float):
        raise TypeError(f"{type(mine).__name__} has no sum: its field must say how two of them become one")
    return mine + other


def reset_live(state: Any) -> None:
    """Set the gauges, which end with their process, to what they were at its start."""
    for field in fields(state):
        if field.metadata.get(LIVE):
            setattr(state, field.name, field.default)
