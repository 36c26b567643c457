"""Moments in text: ISO 8601 in UTC, from 1970 to 9999, and the dates of HTTP and of certificates."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

LATEST: Final = 253_402_300_799.0
"""9999-12-31T23:59:59Z in wall-clock seconds, the last second that a date can name; whatever is later counts as it."""
_HTTP_DATE: Final = rb"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT"
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def iso(wall: float, timespec: str = "milliseconds") -> str:
    """Wall-clock seconds as ISO 8601; what lies beyond is shown as the first or the last that can be."""
    moment = datetime.fromtimestamp(max(0.0, min(wall, LATEST)), UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def read_iso(text: Any) -> float | None:
    """Wall-clock seconds of an ISO 8601 time with 0 to 9 digits of fraction; without a zone it is UTC."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        return min(seconds, LATEST)  # a fraction of the last second, or a zone west of UTC, lies beyond
    except (ValueError, OverflowError):
        return None


def read_certificate_time(text: str) -> float | None:
    """Wall-clock seconds of "Jun  9 12:00:00 2027 GMT", as ssl.SSLObject.getpeercert tells it; None for anything else.

    As ssl.cert_time_to_seconds, which imports strptime, calendar and locale: 0.3 MB.
    """
    parts = text.split()
    if len(parts) != 5:
        return None
    month, day, time, year, zone = parts
    return read_http_date(f"Any, {day:0>2} {month} {year} {time} {zone}".encode())


def read_http_date(value: bytes) -> float | None:
    """Wall-clock seconds of an IMF-fixdate (RFC 9110, section 5.6.7), whatever the locale; None for anything else."""
    match = re.fullmatch(_HTTP_DATE, value)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
