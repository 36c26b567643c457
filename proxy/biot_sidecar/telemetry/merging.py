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
LIVING: Final = "living"
"""The metadata of a field that ends with its process: what is left of it then is its default."""


def _least_known(mine: float, other: float) -> float:
    """The smaller one; 0 is not known."""
    return min(mine, other) if mine and other else mine or other


def _union(mine: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*mine, *other]))


LATEST: Final[Mapping[str, Any]] = {MERGE: max}
EARLIEST: Final[Mapping[str, Any]] = {MERGE: _least_known}
EVERY_LIVING: Final[Mapping[str, Any]] = {MERGE: operator.and_, LIVING: True}
SUM_OF_LIVING: Final[Mapping[str, Any]] = {LIVING: True}
ALL_OF_LIVING: Final[Mapping[str, Any]] = {MERGE: _union, LIVING: True}
LATEST_OF_LIVING: Final[Mapping[str, Any]] = {MERGE: max, LIVING: True}
LEAST_OF_LIVING: Final[Mapping[str, Any]] = {MERGE: _least_known, LIVING: True}


def merged(mine: Any, other: Any) -> Any:
    """Both values as one, of which `mine` may be changed on the way. Raises TypeError for what has no sum."""
    if is_dataclass(mine):
        for field in fields(mine):
            one, two = getattr(mine, field.name), getattr(other, field.name)
            setattr(mine, field.name, field.metadata.get(MERGE, merged)(one, two))
        return mine
    if isinstance(mine, dict):
        for key, value in other.items():
            mine[key] = merged(mine[key], value) if key in mine else value
        return mine
    if isinstance(mine, list):
        return [merged(one, two) for one, two in zip(mine, other, strict=True)]
    if isinstance(mine, str):
        return mine
    if isinstance(mine, bool) or not isinstance(mine, int | float):
        raise TypeError(f"{type(mine).__name__} has no sum: its field must say how two of them become one")
    return mine + other


def forget_living(state: Any) -> None:
    """Set what ends with a process to what it was at its start."""
    for field in fields(state):
        if field.metadata.get(LIVING):
            setattr(state, field.name, field.default)
