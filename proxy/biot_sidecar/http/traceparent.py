"""traceparent, the W3C trace context that BioT and its plugins hand on (W3C Trace Context, section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LEAP: Final = 0.5
"""Seconds by which the clocks may part while nothing but their slewing happens."""
AT_ONCE: Final = 32
"""Traceparents for which random digits are drawn together."""
_DIGITS: Final = 48  # of a trace id (32) and a span id (16)
_BITS: Final = 4 * _DIGITS * AT_ONCE
_NEVER_ZERO: Final = sum(1 << 4 * _DIGITS * at | 1 << 4 * _DIGITS * at + 64 for at in range(AT_ONCE))
"""All zeros are no id, of a trace or a span."""
# Versions after 00 may go on after the flags.
_TRACEPARENT: Final = re.compile(
    rb"(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def trace_id_of(value: bytes) -> str | None:
    """The trace id in a valid traceparent, else None."""
    match = _TRACEPARENT.fullmatch(value)
    return match[1].decode() if match is not None else None


class TraceparentGenerator:
    """Makes traceparents out of random bits; `random_bits` returns as many as it is asked for.

    Bits in store are thrown away when the clocks have parted since they were drawn: the machine may be a clone, started
    from a snapshot of one that still holds the same bits.
    """

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits
        self._digits = b""
        self._left = 0
        self._apart = 0.0

    def new(self, apart: float) -> bytes:
        """A traceparent; its trace id is bytes 3 to 35. `apart`: by how many seconds the wall clock is ahead of the
        monotonic one.
        """
        end = self._left
        leap = apart - self._apart
        if not end or leap > LEAP or leap < -LEAP:
            self._apart = apart
            self._digits = (self._random_bits(_BITS) | _NEVER_ZERO).to_bytes(_BITS // 8, "big").hex().encode()
            end = len(self._digits)
        start = self._left = end - _DIGITS
        span = start + 32
        return b"00-%b-%b-01" % (self._digits[start:span], self._digits[span:end])
