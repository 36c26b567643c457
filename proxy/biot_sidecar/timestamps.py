"""Moments as ISO 8601 in UTC, from 1970 to 9999."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

LATEST: Final = 253_402_300_799.0
"""9999-12-31T23:59:59Z in wall-clock seconds, the last second that a date can name; whatever is later counts as it."""


def iso(wall: float, timespec: str = "milliseconds") -> str:
    """Wall-clock seconds as ISO 8601; what lies beyond is shown as the first or the last that can be."""
    moment = datetime.fromtimestamp(max(0.0, min(wall, LATEST)), UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
