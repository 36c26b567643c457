"""The types of errors, by who caused them; what each becomes on the wire is one table, http/error_catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

CLIENT_CERTIFICATE: Final = "The server wants a client's certificate, and the sidecar has none to show."
"""A hint that a call and a login share."""


class Code(Enum):
    """The codes that users see, in BioT's error shape."""

    BAD_REQUEST = "SIDECAR_BAD_REQUEST"
    PATH_REFUSED = "SIDECAR_PATH_REFUSED"
    ROUTE_DENIED = "SIDECAR_ROUTE_DENIED"
    BROWSER_REFUSED = "SIDECAR_BROWSER_REFUSED"
    CALLER_REFUSED = "SIDECAR_CALLER_REFUSED"
    NOT_FOUND = "SIDECAR_NOT_FOUND"
    METHOD_REFUSED = "SIDECAR_METHOD_REFUSED"
    REQUEST_TIMEOUT = "SIDECAR_REQUEST_TIMEOUT"
    HEAD_TOO_LARGE = "SIDECAR_HEAD_TOO_LARGE"
    HOST_REFUSED = "SIDECAR_HOST_REFUSED"
    UPSTREAM_UNREACHABLE = "SIDECAR_UPSTREAM_UNREACHABLE"
    PROXY_REFUSED = "SIDECAR_PROXY_REFUSED"
    UPSTREAM_PROTOCOL = "SIDECAR_UPSTREAM_PROTOCOL"
    UPSTREAM_TIMEOUT = "SIDECAR_UPSTREAM_TIMEOUT"
    LOGIN_REJECTED = "SIDECAR_LOGIN_REJECTED"
    LOGIN_MALFORMED = "SIDECAR_LOGIN_MALFORMED"
    LOGIN_UNAVAILABLE = "SIDECAR_LOGIN_UNAVAILABLE"
    SECRET_UNAVAILABLE = "SIDECAR_SECRET_UNAVAILABLE"
    LOGIN_TIMEOUT = "SIDECAR_LOGIN_TIMEOUT"
    OVERLOADED = "SIDECAR_OVERLOADED"
    DRAINING = "SIDECAR_DRAINING"
    LOOP_DETECTED = "SIDECAR_LOOP_DETECTED"


class Failure(Exception):
    """A named failure. `message` and `hint` are ours, in plain English, and never hold a token, body or query value.

    `status` is its own, where that is not its code's.
    """

    def __init__(self, code: Code, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(code.value)
        self.code = code
        self.status = status
        self.message = message
        self.hint = hint


class ClientError(Failure):
    """The plugin's request cannot be taken.

    `reason` is the label of `refused_total`; `logged` is the log's `reason` where that says more (`tls_hello`);
    `allow` lists the methods that would be taken instead of a refused one.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        reason: str,
        hint: str = "",
        logged: str = "",
        allow: str = "",
        status: int = 0,
    ) -> None:
        super().__init__(code, message, hint=hint, status=status)
        self.reason = reason
        self.logged = logged or reason
        self.allow = allow


class UpstreamError(Failure):
    """BioT, or the network on the way to it, failed.

    `retryable` names the retry reason it would count under: `connect` (nothing was sent) or `reset` (lost before an
    answer), empty for what must not be tried again. `sent`: bytes of the request left, so BioT may have acted on it.
    `withheld`: it would have been tried again, had the retry budget not been used up.
    """

    def __init__(self, code: Code, message: str, *, hint: str = "", retryable: str = "", sent: bool = False) -> None:
        super().__init__(code, message, hint=hint)
        self.retryable = retryable
        self.sent = sent
        self.withheld = False


class ProxyError(UpstreamError):
    """The proxy on the way to BioT could not be reached, or refused the tunnel."""


class LoginError(Failure):
    """A call cannot have a token: the service user's login failed (auth.login_failure.LoginFailure)."""


class BadSettings(Exception):
    """Wrong configuration: every problem of one start, a readable line each (exit status 1).

    `warnings` are what is odd besides, such as a misspelt name, which may be the cause.
    """

    def __init__(self, problems: list[str], warnings: Sequence[str] = ()) -> None:
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = problems
        self.warnings = tuple(warnings)


class WrongCommandLine(Exception):
    """What the program was called with; the text says what is wrong (exit status 2)."""


class AddressInUse(Exception):
    """The listen address cannot be had (exit status 3)."""
