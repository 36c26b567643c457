"""How long a response asks its client to wait: Retry-After (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from biot_sidecar.http.messages import Headers


def asked_pause(headers: Headers, now: float) -> float:
    """Seconds from `now` that a response asks to wait; 0.0 if it does not."""
    values = [value for name, value in headers if name.lower() == b"retry-after"]
    return retry_after(values, now) if values else 0.0


def retry_after(values: list[bytes], now: float) -> float:
    """Seconds from `now` (wall clock) that the field's first value asks for; 0.0 if it is unreadable."""
    text = values[0].decode("latin-1") if values else ""
    if text.isascii() and text.isdigit():
        return float(text[:6])
    from email.utils import parsedate_to_datetime  # 13 ms to import, and rarely needed

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):  # no date, or one too far away
        return 0.0
