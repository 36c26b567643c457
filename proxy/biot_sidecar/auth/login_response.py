"""What BioT's response to the service user's login means: a token, or which failure (BioT API, accessToken)."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Final

from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure, locked, malformed, rejected, unexpected_status
from biot_sidecar.timestamps import LATEST, read_iso

LEAST_LIFE_SECONDS: Final = 0.5
"""With less a token would end before a call that waits for it can use it."""
LONGEST_LIFE_SECONDS: Final = 24 * 3600.0
"""With more by the response's Date, that Date is absurd."""
# A JWT's alphabet (RFC 7515), and what a Bearer token may hold besides (RFC 6750, section 2.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")


def read_login_response(
    status: int, body: bytes, now: float, *, date: float | None = None, retry_after: float = 0.0
) -> IssuedToken | LoginFailure:
    """`now` in wall-clock seconds, `date` what the response's Date said (RFC 9110, section 6.6.1); `retry_after` is for
    how many seconds BioT asked to wait.
    """
    if status == 200:
        return _read_token(body, now, date)
    code = _read_code(body)
    if status == 403 and code == "LOGIN_FAILED":
        return rejected(retry_after)
    if status == 401 and code == "SERVICE_LOCKED":
        return locked(retry_after)
    return unexpected_status(status, retry_after)


def _read_token(body: bytes, now: float, date: float | None) -> IssuedToken | LoginFailure:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return malformed("BioT's answer to the login is not JSON.")
    jwt = content.get("accessToken") if isinstance(content, dict) else None
    if not isinstance(jwt, str) or not _TOKEN.fullmatch(jwt):
        return malformed("BioT's answer to the login holds no usable accessToken.")
    expires = read_iso(content.get("accessTokenExpiration"))
    if expires is None:
        expires = _read_jwt_expiry(jwt)
    if expires is None:
        return malformed("BioT's answer to the login says nowhere readable when the token expires.")
    # A token's life is what BioT gave it, by BioT's own clock: this machine's may be wrong.
    if date is not None and LEAST_LIFE_SECONDS <= expires - date <= LONGEST_LIFE_SECONDS:
        return IssuedToken(jwt, now, now + expires - date, date=date)
    if expires < now + LEAST_LIFE_SECONDS:
        return malformed(
            "BioT's token had expired when it arrived.", "Check this machine's clock against the real time."
        )
    return IssuedToken(jwt, now, expires)


def _read_jwt_expiry(jwt: str) -> float | None:
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


def _read_code(body: bytes) -> str:
    """The `code` of BioT's ErrorResponse; empty if it is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = content.get("code") if isinstance(content, dict) else None
    return code if isinstance(code, str) else ""
