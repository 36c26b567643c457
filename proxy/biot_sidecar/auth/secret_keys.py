"""The service user's own secret keys, as BioT tells of them: what its responses mean (since BioT 2.4.3).

GET    /ums/v2/services/self                          the keys: id, when made, when they end; never their secrets
POST   /ums/v2/services/self/secret-keys              makes one; the only response that holds its secret
DELETE /ums/v2/services/self/secret-keys/{id}         deletes one
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import LATEST, iso, read_iso

SELF_PATH: Final = b"/ums/v2/services/self"
KEYS_PATH: Final = SELF_PATH + b"/secret-keys"
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}"
_LARGEST_SECRET: Final = 4096
_TOO_OLD: Final = "this BioT has no such operation (404; BioT 2.4.3 and newer do)"
_NOT_PERMITTED: Final = "BioT does not permit it (403; the permission is {})"
_CREATE: Final = "UMS_SERVICES_SELF_CREATE_SECRET_KEY"
_DELETE: Final = "UMS_SERVICES_SELF_DELETE_SECRET_KEY"
_READ_REASONS: Final = {
    401: "BioT did not take the token there (401)",
    403: _NOT_PERMITTED.format("UMS_SERVICES_SELF_GET_SERVICE_USER"),
    404: "this BioT does not tell it (404; BioT 2.4.3 and newer do)",
}


class SecretKey(msgspec.Struct, frozen=True):
    """One key. Times are wall-clock seconds; `created` is None where BioT does not tell it, `expires` is infinity for a
    key that does not end.
    """

    id: str
    created: float | None
    expires: float

    def describe(self, now: float) -> str:
        """The key for people: its id and its times."""
        made = "" if self.created is None else f", made at {iso(self.created, 'seconds')}"
        ends = "" if self.expires > LATEST else f", {'ended' if self.expires <= now else 'ends'} at {self.end}"
        return f"{self.id}{made}{ends}"

    @property
    def end(self) -> str:
        return iso(self.expires, "seconds")


class NewKey(msgspec.Struct, frozen=True):
    """A key that has just been made; its secret is told this once."""

    id: str
    secret: Secret
    expires: float


class Refusal(msgspec.Struct, frozen=True):
    """BioT did not do or tell it; `reason` is the end of a sentence. `code` is BioT's, empty without one."""

    reason: str
    code: str = ""


def is_key_id(text: str) -> bool:
    """True for what may stand in a path as a key's id."""
    return re.fullmatch(_ID, text) is not None


def read_keys(status: int, body: bytes) -> tuple[SecretKey, ...] | Refusal:
    """The response to GET /ums/v2/services/self; at least one key."""
    if status != 200:
        return Refusal(_READ_REASONS.get(status, f"BioT answered {status}"))
    try:
        keys = tuple([_key(one) for one in json.loads(body)["secretKeys"]])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        keys = ()
    return keys or Refusal("BioT's answer tells of no keys, or not when they end")


def read_created(status: int, body: bytes) -> NewKey | Refusal:
    """The response to POST /ums/v2/services/self/secret-keys. Of the body only its code comes into a Refusal."""
    code = _code(body)
    if status not in (200, 201):
        most = " already; delete one that nobody uses" if code == "MAX_SECRET_KEYS" else ""
        reasons = {
            403: _NOT_PERMITTED.format(_CREATE),
            404: _TOO_OLD,
            405: _TOO_OLD,
            409: f"the service user has as many secret keys as it may have{most} (409)",
        }
        return Refusal(reasons.get(status, f"BioT answered {status}"), code)
    try:
        told = json.loads(body)
        identity, text = told["id"], told["secretKey"]
        expires = _end(told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Refusal(f"BioT answered {status}, but no key that can be read; one may have been made")
    if not (isinstance(identity, str) and is_key_id(identity) and _can_be_kept(text)):
        return Refusal(f"BioT answered {status} with a key that cannot be kept in a file; it has been made")
    return NewKey(identity, Secret(text), expires)


def read_deleted(status: int, body: bytes) -> Refusal | None:
    """The response to DELETE /ums/v2/services/self/secret-keys/{id}; None: there is no such key any more."""
    code = _code(body)
    if 200 <= status < 300 or (status == 404 and code == "SECRET_KEY_ID_NOT_FOUND"):
        return None
    reasons = {403: _NOT_PERMITTED.format(_DELETE), 404: _TOO_OLD, 405: _TOO_OLD}
    return Refusal(reasons.get(status, f"BioT answered {status}"), code)


def list_keys(keys: Iterable[SecretKey], now: float) -> str:
    """The keys for people, the oldest first."""
    return "; ".join(key.describe(now) for key in sorted(keys, key=lambda key: key.created or 0.0))


def _key(told: Any) -> SecretKey:
    """Raises ValueError and what reading nonsense raises."""
    identity = told.get("id")
    return SecretKey(identity if isinstance(identity, str) else "", read_iso(told.get("creationTime")), _end(told))


def _end(told: Any) -> float:
    """Wall-clock seconds; infinity for a key that does not end."""
    text = told.get("expirationTime")
    if text is None:
        return float("inf")
    if (end := read_iso(text)) is None:
        raise ValueError
    return end


def _can_be_kept(text: Any) -> bool:
    """True for a secret that a file gives back as it is: one line, of printable characters."""
    return isinstance(text, str) and text.isprintable() and text != "" and len(text.encode()) <= _LARGEST_SECRET


def _code(body: bytes) -> str:
    """BioT's code of an error; empty for whatever else it is."""
    try:
        code = json.loads(body)["code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return code if isinstance(code, str) and re.fullmatch(r"[A-Z0-9_]{1,80}", code) else ""
