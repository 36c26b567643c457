"""traceparent, the W3C trace context that BioT and its plugins hand on (W3C Trace Context, section 3.2)."""

from __future__ import annotations

import re
from typing import Final

TRACE_BITS: Final = 192
_NEVER_ZERO: Final = 1 | 1 << 64
"""All zeros are no id, of a trace or a span."""
# Versions after 00 may go on after the flags.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def trace_id_of(value: bytes) -> str | None:
    """The trace id in a valid traceparent, else None."""
    match = _TRACEPARENT.fullmatch(value)
    return match[1].decode() if match is not None else None


def new_traceparent(bits: int) -> str:
    """A traceparent out of 192 random bits; its trace id is characters 3 to 35."""
    digits = (bits | _NEVER_ZERO).to_bytes(TRACE_BITS // 8, "big").hex()
    return f"00-{digits[:32]}-{digits[32:]}-01"
