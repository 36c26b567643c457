"""Responses of the sidecar's own, written whole: a local endpoint's, and an error in BioT's shape (RFC 9209)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from biot_sidecar.errors import ClientError, Failure, UpstreamError
from biot_sidecar.http.error_catalogue import CODES, status_of

REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    414: "URI Too Long",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    508: "Loop Detected",
}


_SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def error_response_bytes(
    failure: Failure, *, method: bytes, trace_id: str, route: str, now: float, close: bool
) -> bytes:
    """The whole response to a `method` request that failed, at `now` in wall-clock seconds.

    That to HEAD tells the length and leaves the body out.
    """
    meaning = CODES[failure.code]
    headers = [("Proxy-Status", f"biot-sidecar; error={meaning.proxy_error}")]
    if meaning.retry_after:
        headers.append(("Retry-After", "1"))
    if isinstance(failure, ClientError) and failure.allow:
        headers.append(("Allow", failure.allow))
    body = error_body(failure, method=method, trace_id=trace_id, route=route)
    head_only = method == b"HEAD"
    return local_response_bytes(
        status_of(failure), "application/json", body, now=now, headers=headers, head_only=head_only, close=close
    )


def error_body(failure: Failure, *, method: bytes, trace_id: str, route: str) -> bytes:
    """The JSON of BioT's ErrorResponse (BioT API, every service); `route` is empty if the rules were not asked."""
    return json.dumps(
        {
            "code": failure.code.value,
            "message": failure.message,
            "serviceName": "biot-sidecar",
            "traceId": trace_id,
            "environment": "",
            "details": {"route": route, "hint": _hint(failure, method)},
        }
    ).encode()


def _hint(failure: Failure, method: bytes) -> str:
    """What can be done about it, and what may have happened already."""
    if not isinstance(failure, UpstreamError):
        return failure.hint
    said = [failure.hint]
    if failure.sent and method not in _SAFE:
        said.insert(0, "The request may have been carried out.")
    elif failure.sent and failure.retryable:
        said.insert(0, f"A {method.decode('latin-1')} changes nothing: send it again.")
    if failure.withheld:
        said.append("It was not tried again: at most 20 % of the last 10s' requests, but 3 always, may be retries.")
    return " ".join(filter(None, said))


def http_date(now: float) -> str:
    """IMF-fixdate (RFC 9110, section 5.6.7), in English whatever the locale."""
    at = datetime.fromtimestamp(int(now), UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def local_response_bytes(
    status: int,
    content_type: str,
    body: bytes,
    *,
    now: float,
    headers: list[tuple[str, str]] | None = None,
    head_only: bool = False,
    close: bool = False,
) -> bytes:
    """A whole response of our own, made at `now` (wall clock), as it stands on the wire; Date: RFC 9110, 6.6.1."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}", f"Date: {http_date(now)}", f"Content-Type: {content_type}"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers or ())]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else body)
