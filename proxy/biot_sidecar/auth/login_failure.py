"""Every way in which a login fails: its code, its outcome in `logins_total`, its words, and whether it blocks."""

from __future__ import annotations

from typing import Final

import msgspec

from biot_sidecar.errors import CLIENT_CERTIFICATE, Code, ProxyError, UpstreamError
from biot_sidecar.settings.names import SECRET_FILE
from biot_sidecar.timestamps import iso

SECRET_OUTCOME: Final = "secret"
"""BioT was not asked, for want of a secret."""
TRIED_AGAIN: Final = "The login is tried again shortly."
_CHECK_BASE_URL: Final = "Check that BIOT_BASE_URL is BioT's API address."


class LoginFailure(msgspec.Struct, frozen=True):
    """A login that failed. `outcome` is the label of `logins_total`; `blocks`: BioT rejects the user or the secret.

    `retry_after` is the least pause, which BioT or the fleet asked for, in seconds. `pause` is for how many
    seconds the owner of the back-off wants no other login; None: who hears of it decides (auth/backoff).
    """

    code: Code
    outcome: str
    message: str
    hint: str = ""
    blocks: bool = False
    retry_after: float = 0.0
    pause: float | None = None

    @property
    def text(self) -> str:
        """What the operator reads in the log."""
        return f"{self.message} {self.hint}".strip()


def rejected(retry_after: float = 0.0) -> LoginFailure:
    return LoginFailure(
        Code.LOGIN_REJECTED,
        "rejected",
        "BioT rejected the service user's id or secret (LOGIN_FAILED).",
        "Check BIOT_SERVICE_USER_ID and the secret, whose key may have expired.",
        blocks=True,
        retry_after=retry_after,
    )


def locked(retry_after: float = 0.0) -> LoginFailure:
    return LoginFailure(
        Code.LOGIN_REJECTED,
        "locked",
        "BioT has locked the service user after failed logins (SERVICE_LOCKED).",
        "Find who logs in with a wrong secret, then unlock the user or wait.",
        blocks=True,
        retry_after=retry_after,
    )


def unexpected_status(status: int, retry_after: float = 0.0) -> LoginFailure:
    """A response that is none of BioT's user management."""
    if status in {401, 403}:
        code, outcome = Code.LOGIN_REJECTED, "rejected"
        message = f"The login was refused with {status}, but not by BioT's user management."
        hint = (
            "BIOT_BASE_URL may lead elsewhere (BioT's API address has no path behind its host), or a firewall on "
            "the way refused it."
        )
    elif status == 429 or status >= 500:
        code, outcome = Code.LOGIN_UNAVAILABLE, "server_error"
        message, hint = f"BioT's login answered {status}.", TRIED_AGAIN
    else:
        code, outcome = Code.LOGIN_MALFORMED, "malformed"
        message = f"BioT's login answered {status}, which says nothing about the service user."
        hint = {
            400: "Check that BIOT_SERVICE_USER_ID is the service user's UUID.",
            404: "Check BIOT_BASE_URL: there is no login at that address.",
        }.get(status, _CHECK_BASE_URL)
    return LoginFailure(code, outcome, message, hint, retry_after=retry_after)


def malformed(message: str, hint: str = _CHECK_BASE_URL) -> LoginFailure:
    return LoginFailure(Code.LOGIN_MALFORMED, "malformed", message, hint)


def no_response(error: UpstreamError) -> LoginFailure:
    """The login got no response, or one that is no HTTP."""
    if isinstance(error, ProxyError):  # the same code as a call's: whoever runs the proxy can mend it, BioT cannot
        outcome = "proxy_refused" if error.code is Code.PROXY_REFUSED else "network"
        return LoginFailure(error.code, outcome, f"The login did not get through. {error.message}", error.hint)
    if error.code is Code.UPSTREAM_TIMEOUT:
        message = f"BioT's login gave no answer in time: {error.message}."
        return LoginFailure(Code.LOGIN_TIMEOUT, "timeout", message, TRIED_AGAIN)
    if error.code is Code.UPSTREAM_PROTOCOL:
        return malformed(f"BioT's answer to the login is broken. {error.message}")
    # TLS 1.3 judges our half of the handshake after it; other hints for a broken connection speak of calls.
    telling = error.hint and (error.retryable == "connect" or error.hint == CLIENT_CERTIFICATE)
    hint = error.hint if telling else TRIED_AGAIN
    return LoginFailure(Code.LOGIN_UNAVAILABLE, "network", f"The login did not get through. {error.message}", hint)


def secret_unreadable(reason: str, setting: str = SECRET_FILE) -> LoginFailure:
    """The secret's file cannot be read now (perhaps it is being replaced), or its command gives none."""
    return LoginFailure(
        Code.SECRET_UNAVAILABLE,
        SECRET_OUTCOME,
        f"The service user's secret cannot be read: {reason}.",
        f"Check {setting}.",
    )


def parent_gone() -> LoginFailure:
    """A worker's parent process, which logs in for it, has ended."""
    return LoginFailure(Code.LOGIN_UNAVAILABLE, "network", "The sidecar's parent process has gone.")


def hint_while_blocked(hint: str, until: float, remedy: str) -> str:
    """The hint for calls that fail while logins are blocked `until` a wall-clock moment, and what ends that early."""
    paused = f"Logins are paused until {iso(until, 'seconds')}, so that BioT does not lock the user"
    return f"{hint} {paused}; {remedy}."
