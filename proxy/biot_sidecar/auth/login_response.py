"""The service user's login: what BioT's answer means, and when the next login may be tried."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from biot_sidecar.errors import Code, LoginError, UpstreamError
from biot_sidecar.http.messages import Response
from biot_sidecar.http.retry_after import asked_pause

FIRST_BLOCK: Final = 60.0
LONGEST_BLOCK: Final = 15 * 60.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
LONGEST_ASKED: Final = 3600.0
PAUSE_SPREAD: Final = 0.25
LEAST_LIFE: Final = 0.5
"""Seconds; with less a token would end before a call that waits for it can use it."""
LATEST: Final = 253_402_300_799.0
"""9999-12-31T23:59:59Z in wall-clock seconds, the last second that a date can name; whatever is later counts as it."""
UNREAD: Final = "unread"
"""The outcome where BioT was not asked, for want of a secret: told in the status, never counted among logins."""
TRIED_AGAIN: Final = "The login is tried again shortly."
# A JWT's alphabet (RFC 7515), and what a Bearer token may hold besides (RFC 6750, section 2.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")


class TokenRequest(msgspec.Struct, frozen=True):
    """Which token would do: one younger than `younger_than` seconds, and not the `last` one.

    `reason` is why one is wanted: start, string, expiring or token_not_valid. Unless `shareable`, only a token of one's
    own will do.
    """

    reason: str
    younger_than: float = math.inf
    last: bytes | None = None
    shareable: bool = True

    def __repr__(self) -> str:
        last = "none" if self.last is None else "one"
        return f"Wanted(reason={self.reason!r}, younger_than={self.younger_than}, last={last})"


class IssuedToken(msgspec.Struct, frozen=True):
    """A token as BioT gave it; another sidecar logged in for it if `shared`. Times are our wall clock's.

    `age` is in seconds, when it was handed over; with it and `life` whoever takes it needs no wall clock.
    """

    jwt: str
    obtained: float
    expires: float
    shared: bool = False
    age: float = 0.0

    @property
    def life(self) -> float:
        """Seconds from its beginning to its end."""
        return self.expires - self.obtained

    def __repr__(self) -> str:
        return f"Grant(obtained={self.obtained}, expires={self.expires})"


class LoginFailure(msgspec.Struct, frozen=True):
    """A login that failed. `blocks`: BioT would lock the user if asked again soon. `asked`: Retry-After, in seconds."""

    fault: LoginError
    blocks: bool = False
    asked: float = 0.0


def login_body(user_id: str, secret: str) -> bytes:
    return json.dumps({"id": user_id, "secretKey": secret}).encode()


def read_answer(answer: Response, now: float) -> IssuedToken | LoginFailure:
    """What BioT's answer to a login means; `now` in wall-clock seconds."""
    asked = asked_pause(answer.headers, now)
    if answer.status == 200:
        return _read_grant(answer.body, now)
    code = _code(answer.body)
    if answer.status == 403 and code == "LOGIN_FAILED":
        return LoginFailure(_rejected(), blocks=True, asked=asked)
    if answer.status == 401 and code == "SERVICE_LOCKED":
        return LoginFailure(_locked(), blocks=True, asked=asked)
    return LoginFailure(_other_status(answer.status), asked=asked)


def read_fault(fault: UpstreamError) -> LoginFailure:
    """What a login that got no answer means."""
    if fault.code is Code.UPSTREAM_TIMEOUT:
        return LoginFailure(
            LoginError(
                Code.LOGIN_TIMEOUT,
                f"BioT's login gave no answer in time: {fault.message}",
                outcome="timeout",
                hint=TRIED_AGAIN,
            )
        )
    if fault.code is Code.UPSTREAM_PROTOCOL:
        return LoginFailure(_malformed(f"BioT's answer to the login is broken. {fault.message}"))
    return LoginFailure(
        LoginError(
            Code.LOGIN_UNAVAILABLE,
            f"The login did not get through. {fault.message}",
            outcome="network",
            hint=fault.hint if fault.retryable == "connect" and fault.hint else TRIED_AGAIN,
        )
    )


def in_words(fault: LoginError) -> str:
    """What the operator reads in the log."""
    return f"{fault.message} {fault.hint}".strip()


def paused_hint(hint: str, until: float, remedy: str) -> str:
    """A rejected login's hint for the calls that it fails: `until` when, in wall-clock seconds, and what ends it."""
    moment = datetime.fromtimestamp(max(0.0, min(until, LATEST)), UTC).isoformat(timespec="seconds")
    paused = f"Logins are paused until {moment.replace('+00:00', 'Z')}, so that BioT does not lock the user"
    return f"{hint} {paused}; {remedy}."


def unreadable_secret(reason: str) -> LoginFailure:
    """The secret's file cannot be read now; perhaps it is being replaced."""
    return LoginFailure(
        LoginError(
            Code.LOGIN_UNAVAILABLE,
            f"The service user's secret cannot be read: {reason}.",
            outcome=UNREAD,
            hint="Check BIOT_SERVICE_USER_SECRET_KEY_FILE.",
        )
    )


# ---- a good answer


def _read_grant(body: bytes, now: float) -> IssuedToken | LoginFailure:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return LoginFailure(_malformed("BioT's answer to the login is not JSON."))
    jwt = answer.get("accessToken") if isinstance(answer, dict) else None
    if not isinstance(jwt, str) or not _TOKEN.fullmatch(jwt):
        return LoginFailure(_malformed("BioT's answer to the login holds no usable accessToken."))
    expires = _expiry(answer.get("accessTokenExpiration"))
    if expires is None:
        expires = _jwt_expiry(jwt)
    if expires is None:
        return LoginFailure(_malformed("BioT's answer to the login says nowhere readable when the token expires."))
    if expires < now + LEAST_LIFE:
        return LoginFailure(
            _malformed(
                "BioT's token had expired when it arrived.", hint="Check this machine's clock against the real time."
            )
        )
    return IssuedToken(jwt, now, expires)


def _expiry(text: Any) -> float | None:
    """Wall-clock seconds of an ISO 8601 time with 0 to 9 digits of fraction; without a zone it is UTC."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        return min(seconds, LATEST)  # a fraction of the last second, or a zone west of UTC, lies beyond
    except (ValueError, OverflowError):
        return None


def _jwt_expiry(jwt: str) -> float | None:
    """The JWT's own `exp` (RFC 7519, section 4.1.4); its signature is BioT's business."""
    part = jwt.split(".")[1] if jwt.count(".") == 2 else ""
    try:
        expires = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    # Python's JSON knows NaN and Infinity, and no token lives that long.
    if type(expires) is int or (type(expires) is float and math.isfinite(expires)):
        return float(max(0, min(expires, LATEST)))
    return None


# ---- the failures in words


def _rejected() -> LoginError:
    return LoginError(
        Code.LOGIN_REJECTED,
        "BioT rejected the service user's id or secret (LOGIN_FAILED).",
        outcome="rejected",
        hint="Check BIOT_SERVICE_USER_ID and the secret, whose key may have expired.",
    )


def _locked() -> LoginError:
    return LoginError(
        Code.LOGIN_REJECTED,
        "BioT has locked the service user after failed logins (SERVICE_LOCKED).",
        outcome="locked",
        hint="Find who logs in with a wrong secret, then unlock the user or wait.",
    )


def _malformed(message: str, hint: str = "Check that BIOT_BASE_URL is BioT's API address.") -> LoginError:
    return LoginError(Code.LOGIN_MALFORMED, message, outcome="malformed", hint=hint)


def _other_status(status: int) -> LoginError:
    if status in {401, 403}:
        return LoginError(
            Code.LOGIN_REJECTED,
            f"The login was refused with {status}, but not by BioT's user management.",
            outcome="rejected",
            hint="BIOT_BASE_URL may lead elsewhere (BioT's API address has no path behind its host), or a firewall on "
            "the way refused it.",
        )
    if status == 429 or status >= 500:
        return LoginError(
            Code.LOGIN_UNAVAILABLE,
            f"BioT's login answered {status}.",
            outcome="server_error",
            hint=TRIED_AGAIN,
        )
    hints = {
        400: "Check that BIOT_SERVICE_USER_ID is the service user's UUID.",
        404: "Check BIOT_BASE_URL: there is no login at that address.",
    }
    return _malformed(
        f"BioT's login answered {status}, which says nothing about the service user.",
        hints.get(status, "Check that BIOT_BASE_URL is BioT's API address."),
    )


def _code(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else ""


# ---- when to try again


class LoginBackoff(msgspec.Struct, frozen=True):
    """Whether a login may be tried. `until` is in seconds of the elapsed clock (policy.elapsed).

    `rejections` of this secret since a login went well; `troubles` of another sort in a row.
    """

    until: float = 0.0
    rejections: int = 0
    troubles: int = 0
    setback: LoginFailure | None = None

    def closed(self, now: float) -> bool:
        """True while no login may start."""
        return now < self.until

    def blocked(self, now: float) -> bool:
        """True while closed because BioT rejected the user."""
        return self.setback is not None and self.setback.blocks and self.closed(now)

    @property
    def about_secret(self) -> bool:
        """True when another secret makes it a new case."""
        return self.setback is not None and (self.setback.blocks or self.setback.fault.outcome == UNREAD)


OPEN_GATE: Final = LoginBackoff()


def after_setback(gate: LoginBackoff, setback: LoginFailure, now: float, jitter: float) -> LoginBackoff:
    """The gate after one more failure; `jitter` in [0, 1) keeps a fleet from coming back all at once."""
    rejections = gate.rejections + setback.blocks
    troubles = 0 if setback.blocks else gate.troubles + 1
    if setback.blocks:
        wait = _doubled(FIRST_BLOCK, rejections, LONGEST_BLOCK)
    else:
        wait = _doubled(FIRST_PAUSE, troubles, LONGEST_PAUSE) * (1 + PAUSE_SPREAD * jitter)
    return LoginBackoff(now + max(wait, min(setback.asked, LONGEST_ASKED)), rejections, troubles, setback)


def after_new_secret(gate: LoginBackoff) -> LoginBackoff:
    """The gate when the secret has become another one: a block is over, BioT's own trouble is not."""
    if gate.about_secret:
        return LoginBackoff(troubles=gate.troubles)
    return msgspec.structs.replace(gate, rejections=0)


def _doubled(first: float, times: int, most: float) -> float:
    return min(most, first * 2.0 ** min(times - 1, 10))
