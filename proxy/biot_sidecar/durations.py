"""Durations as people write them: 250ms, 30s, 5m, 1h, 1m30s, 0."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")
LONGEST: Final = 7 * 24 * 3600.0
_DAYS: Final = re.compile(r"([0-9]{1,3})d")
LONGEST_DAYS: Final = 365


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError with a sentence for the user."""
    if text == "0":
        return 0.0
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no duration; write a number and a unit, such as 250ms, 30s, 5m or 1h")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is longer than a week")
    return seconds


def parse_days(text: str) -> float:
    """Seconds; a number of whole days, such as 7d, is one too. Raises ValueError with a sentence for the user."""
    days = _DAYS.fullmatch(text)
    if days is not None and int(days[1]) <= LONGEST_DAYS:
        return int(days[1]) * 24 * 3600.0
    if text.endswith("d"):
        raise ValueError(f"{text!r} is no duration of 0d to {LONGEST_DAYS}d")
    return parse_duration(text)


def show_duration(seconds: float) -> str:
    """The shortest way to write it: 90.0 -> 1m30s."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms" if seconds else "0"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((f"{hours:.0f}", "h"), (f"{minutes:.0f}", "m"), (f"{rest:g}", "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value != "0")
