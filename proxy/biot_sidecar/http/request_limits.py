"""What a request may ask for itself, within what its route gives: less time, and no second try.

`Sidecar-Timeout` and `Sidecar-Retry` are for the sidecar alone: header_fields takes both off, and every spelling that a
lenient server might read as one of them; such a spelling has no effect here.
"""

from __future__ import annotations

import re
from typing import Final

from biot_sidecar.durations import parse_duration
from biot_sidecar.http.error_catalogue import bad_request_limit
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.routing.route import Retry, Route

_LEADING_ZERO: Final = re.compile("0[0-9]")  # as a routes file has it, too
_TIMEOUT: Final = Kind.TIMEOUT
_RETRY: Final = Kind.RETRY
ASKS: Final = 1 << Kind.TIMEOUT | 1 << Kind.RETRY
"""The bits of RequestHead.kinds of which within_request() needs one to make a difference."""


def within_request(route: Route, known_fields: dict[int, list[bytes]]) -> Route:
    """`route` with what the request asks for, never with more than it gives. Raises ClientError."""
    timeout, retry = route.timeout, route.retry
    if _TIMEOUT in known_fields:
        timeout = min(timeout, _seconds(known_fields[_TIMEOUT]))
    if _RETRY in known_fields:
        if known_fields[_RETRY] != [b"none"]:
            raise bad_request_limit("Sidecar-Retry", "`none` is the one value that it has")
        retry = Retry.NONE
    if timeout == route.timeout and retry is route.retry:
        return route
    return route.but(timeout=timeout, retry=retry)


def _seconds(values: list[bytes]) -> float:
    text = values[0].decode("latin-1")
    try:
        seconds = 0.0 if len(values) > 1 or _LEADING_ZERO.match(text) else parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not seconds:
        raise bad_request_limit("Sidecar-Timeout", "it is one duration above 0 and with a unit, such as 2500ms or 30s")
    return seconds
