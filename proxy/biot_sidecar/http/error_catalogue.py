"""The catalogue of errors: what each code means on the wire, and each error's text, label and hint, in two tables.

A code is what a plugin's program branches on; it has a status and a Proxy-Status error type (RFC 9209, section 2.3).
An error is what a plugin's developer reads; several may share a code. Texts are templates: `{0}` stands for the first
value that the raiser gives. They never hold a token, body or query value.
"""

from __future__ import annotations

from typing import Final

import msgspec

from biot_sidecar.errors import ClientError, Code, Failure, UpstreamError


class CodeMeaning(msgspec.Struct, frozen=True, eq=False):
    """What a code is in HTTP. `proxy_error` is its Proxy-Status error type."""

    status: int
    proxy_error: str
    retry_after: bool = False


# Only OVERLOADED and DRAINING carry Retry-After: the official SDKs sleep on it and send again.
CODES: Final = {
    Code.BAD_REQUEST: CodeMeaning(400, "http_request_error"),
    Code.PATH_REFUSED: CodeMeaning(400, "http_request_error"),
    Code.ROUTE_DENIED: CodeMeaning(403, "http_request_denied"),
    Code.BROWSER_REFUSED: CodeMeaning(403, "http_request_denied"),
    Code.CALLER_REFUSED: CodeMeaning(403, "http_request_denied"),
    Code.NOT_FOUND: CodeMeaning(404, "http_request_error"),
    Code.METHOD_REFUSED: CodeMeaning(405, "http_request_error"),
    Code.REQUEST_TIMEOUT: CodeMeaning(408, "http_request_error"),
    Code.HOST_REFUSED: CodeMeaning(421, "http_request_denied"),
    Code.HEAD_TOO_LARGE: CodeMeaning(431, "http_request_error"),
    Code.UPSTREAM_UNREACHABLE: CodeMeaning(502, "destination_unavailable"),
    Code.PROXY_REFUSED: CodeMeaning(502, "connection_refused"),
    Code.UPSTREAM_PROTOCOL: CodeMeaning(502, "http_protocol_error"),
    Code.LOGIN_REJECTED: CodeMeaning(502, "proxy_configuration_error"),
    Code.LOGIN_MALFORMED: CodeMeaning(502, "http_protocol_error"),
    Code.LOGIN_UNAVAILABLE: CodeMeaning(503, "destination_unavailable"),
    Code.SECRET_UNAVAILABLE: CodeMeaning(503, "proxy_configuration_error"),
    Code.OVERLOADED: CodeMeaning(503, "connection_limit_reached", retry_after=True),
    Code.DRAINING: CodeMeaning(503, "destination_unavailable", retry_after=True),
    Code.UPSTREAM_TIMEOUT: CodeMeaning(504, "http_response_timeout"),
    Code.LOGIN_TIMEOUT: CodeMeaning(504, "http_response_timeout"),
    Code.LOOP_DETECTED: CodeMeaning(508, "proxy_loop_detected"),
}


def status_of(failure: Failure) -> int:
    """The status that a failure is answered with: its own, where it differs from its code's."""
    return failure.status or CODES[failure.code].status


class Rejection(msgspec.Struct, frozen=True, eq=False):
    """A row: a client's request that is not taken. Calling it makes the error.

    `reason` is the label of `refused_total`, `logged` the access log's where that says more; `status` stands where it
    is not the code's; `allow` lists the methods that would be taken (RFC 9110, section 10.2.1).
    """

    code: Code
    reason: str
    text: str
    hint: str
    status: int = 0
    logged: str = ""
    allow: str = ""

    def __call__(self, *values: object) -> ClientError:
        return ClientError(
            self.code,
            self.text.format(*values),
            reason=self.reason,
            hint=self.hint.format(*values),
            logged=self.logged,
            allow=self.allow,
            status=self.status,
        )


LOCAL_METHODS: Final = "GET, HEAD"
FORWARDED_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_NO_PROXY: Final = (
    "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY in the plugin's environment may point here: unset it. "
    "Calls for BioT go to {0} as their base URL."
)

malformed_request: Final = Rejection(
    Code.BAD_REQUEST,
    "framing",
    "The request is ambiguous or malformed: {0}.",
    "An HTTP library writes requests that every server reads alike; look for what builds this one by hand.",
)
tls_handshake: Final = Rejection(
    Code.BAD_REQUEST,
    "framing",
    "The client began a TLS handshake; plain HTTP is spoken here.",
    "Call the sidecar by http://, not by https://.",
    logged="tls_hello",
)
bad_request_limit: Final = Rejection(
    Code.BAD_REQUEST,
    "framing",
    "{0} cannot be read: {1}.",
    "Leave {0} out, and the route's own setting holds.",
)
caller_refused: Final = Rejection(
    Code.CALLER_REFUSED,
    "caller",
    "Processes of this user may not call the sidecar.",
    "SIDECAR_ALLOWED_UIDS lists the users that may; a caller of another network or user namespace is none of them.",
)
target_too_large: Final = Rejection(
    Code.HEAD_TOO_LARGE,
    "limit",
    "The request line is longer than 64 KiB.",
    "Ask for less at a time: a search for fewer ids has a shorter query.",
    status=414,
)
fields_too_large: Final = Rejection(
    Code.HEAD_TOO_LARGE,
    "limit",
    "The request's headers are more than 256, or larger than 64 KiB together.",
    "Send fewer or shorter headers; cookies may have piled up.",
)
head_timeout: Final = Rejection(
    Code.REQUEST_TIMEOUT,
    "limit",
    "The request's head did not arrive within {0:g}s.",
    "Send the whole head at once; a paused program may hold it back.",
)
body_timeout: Final = Rejection(
    Code.REQUEST_TIMEOUT,
    "limit",
    "No byte of the request's body came for {0:g}s.",
    "Send the body without such pauses, and all of what Content-Length promises.",
)
path_rejected: Final = Rejection(
    Code.PATH_REFUSED,
    "path",
    "The path is refused: {0}.",
    "Send the path as BioT documents it, each segment percent-encoded once.",
)
route_denied: Final = Rejection(
    Code.ROUTE_DENIED,
    "deny",
    "The routes file denies this request: {0}",
    "`biot-sidecar explain METHOD PATH` shows the route and where it stands.",
)
login_denied: Final = Rejection(
    Code.ROUTE_DENIED,
    "deny",
    "Plugins do not log in by themselves here (SIDECAR_PLUGIN_LOGIN=deny).",
    "Send requests without a token: the sidecar adds the service user's.",
)
_LOOP: Final = Rejection(
    Code.LOOP_DETECTED,
    "loop",
    "A loop: {1} was intercepted more than {0} times within 60s under one trace id; it triggers itself.",
    "Set interception: off for the route that the interceptor itself calls.",
)
local_method_rejected: Final = Rejection(
    Code.METHOD_REFUSED,
    "method",
    "Only GET and HEAD are answered here.",
    "The sidecar's own pages are read; nothing is changed through them.",
    allow=LOCAL_METHODS,
)
trace_rejected: Final = Rejection(
    Code.METHOD_REFUSED,
    "method",
    "TRACE is not forwarded: its answer would show the token.",
    "Ask with another method.",
    allow=FORWARDED_METHODS,
)
connect_rejected: Final = Rejection(
    Code.METHOD_REFUSED,
    "method",
    "CONNECT is not forwarded: the sidecar is no proxy for other hosts.",
    _NO_PROXY,
    allow=FORWARDED_METHODS,
)
target_host_rejected: Final = Rejection(
    Code.HOST_REFUSED,
    "host",
    "The target names a host that is not served here: the sidecar is no proxy for other hosts.",
    _NO_PROXY,
)
host_rejected: Final = Rejection(
    Code.HOST_REFUSED,
    "host",
    "The Host header names a host that is not served here.",
    "Call {0}, or add the name to SIDECAR_ALLOWED_HOSTS.",
)
browser_rejected: Final = Rejection(
    Code.BROWSER_REFUSED,
    "browser",
    "A web page of another site may not call the sidecar.",
    "If the page is yours, add its origin to SIDECAR_ALLOWED_ORIGINS.",
)
not_found: Final = Rejection(
    Code.NOT_FOUND,
    "path",
    "The sidecar has no such page, and nothing under /_sidecar/ is forwarded.",
    "/_sidecar/status and /_sidecar/explain are there; SIDECAR_INSPECT=1 opens the inspector at /_sidecar/.",
)
not_on_admin_listener: Final = Rejection(
    Code.NOT_FOUND,
    "path",
    "The admin listener serves /metrics, /healthz and /readyz, and forwards nothing.",
    "Plugins call SIDECAR_LISTEN; /_sidecar/status is there, too.",
)
no_icon: Final = Rejection(
    Code.NOT_FOUND,
    "path",
    "The sidecar has no icon, and a browser that asks for one by itself does not ask BioT.",
    "Nothing is wrong: browsers ask for /favicon.ico beside any page.",
)
bad_explain_query: Final = Rejection(
    Code.BAD_REQUEST,
    "path",
    "The question needs a method and a path that begins with a slash.",
    "GET /_sidecar/explain?method=PATCH&path=/ums/v2/users/1, the path percent-encoded",
)
overloaded: Final = Rejection(
    Code.OVERLOADED,
    "overload",
    "{0} requests are in flight and none ended within {1:g}s.",
    "Send it again in a second; SIDECAR_MAX_IN_FLIGHT sets the limit.",
)
draining: Final = Rejection(
    Code.DRAINING,
    "draining",
    "The sidecar is stopping and takes no new requests.",
    "Send it again on a new connection in a second.",
)


def loop_detected(limit: int, method: str, template: str) -> ClientError:
    """`template` is the path's; empty if the request matched none."""
    return _LOOP(limit, f"{method} {template}" if template else f"this {method}")


def incomplete_request() -> ClientError:
    return malformed_request("it broke off before its end")


class UpstreamFailure(msgspec.Struct, frozen=True, eq=False):
    """A row: what went wrong with BioT or on the way to it; `retryable` and `sent` as in UpstreamError."""

    code: Code
    text: str
    hint: str = ""
    retryable: str = ""
    sent: bool = False

    def __call__(self, *values: object) -> UpstreamError:
        text = self.text.format(*values)
        return UpstreamError(self.code, text, hint=self.hint, retryable=self.retryable, sent=self.sent)


untrusted_response: Final = UpstreamFailure(
    Code.UPSTREAM_PROTOCOL,
    "BioT's answer cannot be trusted: {0}.",
    "Check what answers at BIOT_BASE_URL.",
    sent=True,
)
lost_before_sending: Final = UpstreamFailure(
    Code.UPSTREAM_UNREACHABLE,
    "BioT closed the connection before it answered.",
    "Nothing of the request was sent; send it again.",
    retryable="connect",
)
lost_before_response: Final = UpstreamFailure(
    Code.UPSTREAM_UNREACHABLE, "BioT closed the connection before it answered.", retryable="reset", sent=True
)


def upstream_timeout(seconds: float, *, sent: bool = True, via: str = "") -> UpstreamError:
    """BioT was waited for in vain; `sent` if any byte of the request may have left; `via` is the proxy on the way."""
    text = f"BioT did not answer within {seconds:g}s" + (f", through the proxy {via}" if via else "")
    hint = "A route's `timeout` says how long to wait, and a request's Sidecar-Timeout, if that is shorter."
    return UpstreamError(Code.UPSTREAM_TIMEOUT, text, hint=hint, sent=sent)


def time_is_up(seconds: float) -> UpstreamError:
    """No call may last longer, whatever its route says."""
    text = f"BioT did not answer within the {seconds:.1f}s that were left."
    hint = "SIDECAR_TIMEOUT_MOST ends every call, and on AWS Lambda the event's deadline does, 0.5 s before it."
    return UpstreamError(Code.UPSTREAM_TIMEOUT, text, hint=hint, sent=True)


def login_timeout(seconds: float, *, via: str = "") -> Failure:
    """A call's time was up before the login it waited for; `via` is the proxy on the way."""
    through = f", through the proxy {via}," if via else ""
    return Failure(
        Code.LOGIN_TIMEOUT,
        f"The login at BioT{through} took longer than the {seconds:g}s that this route allows.",
        hint="The login goes on; the next call may find its token.",
    )
