"""Adds up what several processes have counted, by the fields of the values: what is counted anew is summed unasked.

Numbers are added, lists element by element, dicts key by key, values that have RULES field by field. A field that is no
sum has a rule; text is the same in every process of a program.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

import msgspec


def _known_min(mine: float, other: float) -> float:
    """The smaller one; 0 is not known."""
    return min(mine, other) if mine and other else mine or other


def _known(mine: float | None, other: float | None) -> float | None:
    """One of them, if any is known."""
    return other if mine is None else mine


def _union(mine: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*mine, *other]))


class Rule(msgspec.Struct, frozen=True, eq=False):
    """How a field of two processes becomes one: `merged` of both. A gauge is `live`, which ends with its process."""

    merged: Callable[[Any, Any], Any]
    live: bool = False


class Counts(Protocol):
    """What one process counts, in fields: a msgspec.Struct, or a class with FIELDS, the fields' names."""

    RULES: ClassVar[dict[str, Rule]]
    """Of the fields that are no sums."""


def names_of(counts: Any) -> tuple[str, ...]:
    """The names of the fields."""
    return counts.__struct_fields__ if isinstance(counts, msgspec.Struct) else counts.FIELDS


def merge(mine: Any, other: Any) -> Any:
    """Both values as one, of which `mine` may be changed on the way. Raises TypeError for what has no sum."""
    if hasattr(mine, "RULES"):
        for name in names_of(mine):
            rule = mine.RULES.get(name, SUM)
            setattr(mine, name, rule.merged(getattr(mine, name), getattr(other, name)))
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


def reset_live(state: Counts, fresh: Counts) -> None:
    """Set the gauges, which end with their process, to what they were at its start: `fresh`."""
    for name, rule in state.RULES.items():
        if rule.live:
            setattr(state, name, getattr(fresh, name))


# The names are those of prometheus_client's modes for several processes.
SUM: Final = Rule(merge)
MAX: Final = Rule(max)
MIN: Final = Rule(_known_min)
EITHER: Final = Rule(operator.or_)
LIVE_KNOWN: Final = Rule(_known, live=True)
LIVE_ALL: Final = Rule(operator.and_, live=True)
LIVE_SUM: Final = Rule(merge, live=True)
LIVE_UNION: Final = Rule(_union, live=True)
LIVE_MAX: Final = Rule(max, live=True)
LIVE_MIN: Final = Rule(_known_min, live=True)
