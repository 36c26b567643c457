"""The one table that turns a failure into an answer, in BioT's error shape, marked as ours (RFC 9209)."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from proxy.errors import Code, Failure


class Reply(NamedTuple):
    """`proxy_error` is the Proxy-Status error type (RFC 9209, section 2.3)."""

    status: int
    proxy_error: str
    retry_after: bool = False


# Only OVERLOADED and DRAINING carry Retry-After: the official SDKs sleep on it and send again.
REPLIES: Final = {
    Code.BAD_REQUEST: Reply(400, "http_request_error"),
    Code.PATH_REFUSED: Reply(400, "http_request_error"),
    Code.ROUTE_DENIED: Reply(403, "http_request_denied"),
    Code.BROWSER_REFUSED: Reply(403, "http_request_denied"),
    Code.NOT_FOUND: Reply(404, "http_request_error"),
    Code.METHOD_REFUSED: Reply(405, "http_request_error"),
    Code.REQUEST_TIMEOUT: Reply(408, "http_request_error"),
    Code.TARGET_TOO_LARGE: Reply(414, "http_request_error"),
    Code.HOST_REFUSED: Reply(421, "http_request_denied"),
    Code.HEAD_TOO_LARGE: Reply(431, "http_request_error"),
    Code.UPSTREAM_UNREACHABLE: Reply(502, "destination_unavailable"),
    Code.UPSTREAM_PROTOCOL: Reply(502, "http_protocol_error"),
    Code.LOGIN_REJECTED: Reply(502, "proxy_configuration_error"),
    Code.LOGIN_MALFORMED: Reply(502, "http_protocol_error"),
    Code.LOGIN_UNAVAILABLE: Reply(503, "destination_unavailable"),
    Code.OVERLOADED: Reply(503, "connection_limit_reached", retry_after=True),
    Code.DRAINING: Reply(503, "destination_unavailable", retry_after=True),
    Code.UPSTREAM_TIMEOUT: Reply(504, "http_response_timeout"),
    Code.LOGIN_TIMEOUT: Reply(504, "http_response_timeout"),
    Code.LOOP_DETECTED: Reply(508, "proxy_loop_detected"),
}

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
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    508: "Loop Detected",
}


def error_bytes(failure: Failure, *, trace_id: str, route: str, head_only: bool, close: bool) -> bytes:
    """The whole answer to a request that failed. `head_only` for HEAD: the length is told, the body left out."""
    reply = REPLIES[failure.code]
    headers = [("Proxy-Status", f"biot-sidecar; error={reply.proxy_error}")]
    if reply.retry_after:
        headers.append(("Retry-After", "1"))
    if failure.code is Code.METHOD_REFUSED and failure.hint.startswith("Allow: "):
        headers.append(("Allow", failure.hint.removeprefix("Allow: ")))
    body = error_body(failure, trace_id=trace_id, route=route)
    return answer_bytes(reply.status, "application/json", body, headers=headers, head_only=head_only, close=close)


def error_body(failure: Failure, *, trace_id: str, route: str) -> bytes:
    """The JSON of BioT's ErrorResponse (BioT API, every service); `route` is empty if the rules were not asked."""
    return json.dumps(
        {
            "code": failure.code.wire,
            "message": failure.message,
            "serviceName": "biot-sidecar",
            "traceId": trace_id,
            "environment": "",
            "details": {"route": route, "hint": failure.hint},
        }
    ).encode()


def answer_bytes(
    status: int,
    content_type: str,
    body: bytes,
    *,
    headers: list[tuple[str, str]] | None = None,
    head_only: bool = False,
    close: bool = False,
) -> bytes:
    """A whole answer of our own as it stands on the wire."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}", f"Content-Type: {content_type}"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers or ())]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else body)
