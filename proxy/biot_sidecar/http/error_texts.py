"""The failures of the forwarding path in words: one place for what a plugin's developer reads."""

from __future__ import annotations

from typing import Final

from biot_sidecar.errors import ClientError, Code, Failure, UpstreamError


def refused(reason: str) -> ClientError:
    return ClientError(
        Code.BAD_REQUEST,
        f"The request is ambiguous or malformed: {reason}.",
        reason="framing",
        hint="An HTTP library writes requests that every server reads alike; look for what builds this one by hand.",
    )


def tls_hello() -> ClientError:
    return ClientError(
        Code.BAD_REQUEST,
        "The client began a TLS handshake; plain HTTP is spoken here.",
        reason="framing",
        hint="Call the sidecar by http://, not by https://.",
        logged="tls_hello",
    )


def broken_off() -> ClientError:
    return refused("it broke off before its end")


def target_too_large() -> ClientError:
    return ClientError(
        Code.TARGET_TOO_LARGE,
        "The request line is longer than 64 KiB.",
        reason="limit",
        hint="Ask for less at a time: a search for fewer ids has a shorter query.",
    )


def fields_too_large() -> ClientError:
    return ClientError(
        Code.HEAD_TOO_LARGE,
        "The request's headers are more than 256, or larger than 64 KiB together.",
        reason="limit",
        hint="Send fewer or shorter headers; cookies may have piled up.",
    )


def late_head(seconds: float) -> ClientError:
    return ClientError(
        Code.REQUEST_TIMEOUT,
        f"The request's head did not arrive within {seconds:g}s.",
        reason="limit",
        hint="Send the whole head at once; a paused program may hold it back.",
    )


def stalled_upload(seconds: float) -> ClientError:
    return ClientError(
        Code.REQUEST_TIMEOUT,
        f"No byte of the request's body came for {seconds:g}s.",
        reason="limit",
        hint="Send the body without such pauses, and all of what Content-Length promises.",
    )


def path_refused(reason: str) -> ClientError:
    return ClientError(
        Code.PATH_REFUSED,
        f"The path is refused: {reason}.",
        reason="path",
        hint="Send the path as BioT documents it, each segment percent-encoded once.",
    )


def route_denied(reason: str) -> ClientError:
    return ClientError(
        Code.ROUTE_DENIED,
        f"The routes file denies this request: {reason}",
        reason="deny",
        hint="`biot-sidecar explain METHOD PATH` shows the rule and where it stands.",
    )


def login_denied() -> ClientError:
    return ClientError(
        Code.ROUTE_DENIED,
        "Plugins do not log in by themselves here (SIDECAR_PLUGIN_LOGIN=deny).",
        reason="deny",
        hint="Send requests without a token: the sidecar adds the service user's.",
    )


def loop_detected(limit: int, method: str, template: str) -> ClientError:
    where = f"{method} {template}" if template else f"this {method}"
    return ClientError(
        Code.LOOP_DETECTED,
        f"A loop: {where} was intercepted more than {limit} times within 60s under one trace id; it triggers itself.",
        reason="loop",
        hint="Set interception: off for the route that the interceptor itself calls.",
    )


def method_refused(allow: str) -> ClientError:
    return ClientError(
        Code.METHOD_REFUSED,
        f"Only {' and '.join(allow.split(', '))} are answered here.",
        reason="method",
        hint="The sidecar's own pages are read; nothing is changed through them.",
        allow=allow,
    )


FORWARDED: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def trace_refused() -> ClientError:
    return ClientError(
        Code.METHOD_REFUSED,
        "TRACE is not forwarded: its answer would show the token.",
        reason="method",
        hint="Ask with another method.",
        allow=FORWARDED,
    )


def tunnel_refused(here: str) -> ClientError:
    return ClientError(
        Code.METHOD_REFUSED,
        "CONNECT is not forwarded: the sidecar is no proxy for other hosts.",
        reason="method",
        hint=_no_proxy(here),
        allow=FORWARDED,
    )


def target_host_refused(here: str) -> ClientError:
    return ClientError(
        Code.HOST_REFUSED,
        "The target names a host that is not served here: the sidecar is no proxy for other hosts.",
        reason="host",
        hint=_no_proxy(here),
    )


def _no_proxy(here: str) -> str:
    return (
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY in the plugin's environment may point here: unset it. "
        f"Calls for BioT go to {here} as their base URL."
    )


def host_refused(here: str) -> ClientError:
    return ClientError(
        Code.HOST_REFUSED,
        "The Host header names a host that is not served here.",
        reason="host",
        hint=f"Call {here}, or add the name to SIDECAR_ALLOWED_HOSTS.",
    )


def not_found() -> ClientError:
    return ClientError(
        Code.NOT_FOUND,
        "The sidecar has no such page, and nothing under /_sidecar/ is forwarded.",
        reason="path",
        hint="/_sidecar/status and /_sidecar/explain are there; SIDECAR_INSPECT=1 opens the inspector at /_sidecar/.",
    )


def not_for_admins() -> ClientError:
    return ClientError(
        Code.NOT_FOUND,
        "The admin listener serves /metrics, /healthz and /readyz, and forwards nothing.",
        reason="path",
        hint="Plugins call SIDECAR_LISTEN; /_sidecar/status is there, too.",
    )


def no_icon() -> ClientError:
    return ClientError(
        Code.NOT_FOUND,
        "The sidecar has no icon, and a browser that asks for one by itself does not ask BioT.",
        reason="path",
        hint="Nothing is wrong: browsers ask for /favicon.ico beside any page.",
    )


def bad_question() -> ClientError:
    return ClientError(
        Code.BAD_REQUEST,
        "The question needs a method and a path that begins with a slash.",
        reason="path",
        hint="GET /_sidecar/explain?method=PATCH&path=/ums/v2/users/1, the path percent-encoded",
    )


def overloaded(limit: int) -> ClientError:
    return ClientError(
        Code.OVERLOADED,
        f"{limit} requests are in flight and none ended within 1s.",
        reason="overload",
        hint="Send it again in a second; SIDECAR_MAX_IN_FLIGHT sets the limit.",
    )


def draining() -> ClientError:
    return ClientError(
        Code.DRAINING,
        "The sidecar is stopping and takes no new requests.",
        reason="draining",
        hint="Send it again on a new connection in a second.",
    )


def untrusted_response(reason: str) -> UpstreamError:
    return UpstreamError(
        Code.UPSTREAM_PROTOCOL,
        f"BioT's answer cannot be trusted: {reason}.",
        hint="Check what answers at BIOT_BASE_URL.",
        sent=True,
    )


def lost_before_response(*, sent: bool) -> UpstreamError:
    """A connection that broke off before an answer; `sent` if any byte of the request may have left."""
    return UpstreamError(
        Code.UPSTREAM_UNREACHABLE,
        "BioT closed the connection before it answered.",
        hint="" if sent else "Nothing of the request was sent; send it again.",
        retryable="reset" if sent else "connect",
        sent=sent,
    )


def timed_out(seconds: float, *, sent: bool = True) -> UpstreamError:
    return UpstreamError(
        Code.UPSTREAM_TIMEOUT,
        f"BioT did not answer within {seconds:g}s",
        hint="A route's `timeout` says how long to wait.",
        sent=sent,
    )


def login_timed_out(seconds: float) -> Failure:
    return Failure(
        Code.LOGIN_TIMEOUT,
        f"The login at BioT took longer than the {seconds:g}s that this route allows.",
        hint="The login goes on; the next call may find its token.",
    )
