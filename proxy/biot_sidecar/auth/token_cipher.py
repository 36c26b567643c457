"""Seals the token and the back-off of a fleet for a store that it does not trust, and judges what the store gives back.

Lengths of time only are sealed: each sidecar has a wall clock of its own. How long ago a value was sealed is told by
the time for which the store will still keep it, the one clock that all have in common.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec

from biot_sidecar.auth.backoff import LONGEST_BLOCK_SECONDS, NO_BACKOFF, LoginBackoff
from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import LATEST

VERSION: Final = b"\x03"
NONCE_BYTES: Final = 12
"""What AES-GCM takes (NIST SP 800-38D, section 8.2)."""
LONGEST_TTL_SECONDS: Final = 7 * 86_400.0
"""For how long a token is stored at most, however late it says it expires."""
ROUNDING_SECONDS: Final = 1.0
"""By how much longer than it was asked a store may say that it will keep a value."""
_PURPOSE: Final = "biot-sidecar token store"
Content = TypeVar("Content")


class StoredValue(NamedTuple):
    """A value of the store, and the seconds after which the store forgets it."""

    value: bytes
    left: float


class _SealedToken(msgspec.Struct):
    """`ttl` is for how many seconds the store was asked to keep it; `date` is BioT's, the same for all."""

    jwt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~+/=-]{1,16384}$")]
    life: float
    ttl: float
    date: float | None

    def __repr__(self) -> str:
        return f"_SealedToken(life={self.life}, ttl={self.ttl})"


class _SealedBackoff(msgspec.Struct):
    """`pause` is in seconds from when it was sealed."""

    pause: float
    rejections: Annotated[int, msgspec.Meta(ge=0)]
    failure: LoginFailure


class TokenCipher:
    """Seals with AES-256-GCM under an HKDF of the secret (RFC 5869). `token`, `backoff`, `lock` are the store's keys.

    The keys' names come from the same HKDF: they tell nothing, and another secret, service user or base URL has others.
    """

    def __init__(self, secret: Secret, user_id: str, base_url: str) -> None:
        # Some 30 ms and 10 MB to import, for those who share tokens only.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = json.dumps([_PURPOSE, user_id, base_url]).encode()
        derived = HKDF(SHA256(), 48, None, info).derive(secret.reveal().encode("utf-8", "surrogateescape"))
        self._cipher = AESGCM(derived[:32])
        name = f"biot-sidecar:{{{derived[32:].hex()}}}"  # braces keep the keys in one slot of a Redis Cluster
        self.token = f"{name}:token"
        self.backoff = f"{name}:backoff"
        self.lock = f"{name}:lock"

    def seal_token(self, issued: IssuedToken, nonce: bytes) -> bytes:
        """`nonce`: NONCE_BYTES random bytes, never used before."""
        return self._seal(self.token, _SealedToken(issued.jwt, issued.life, token_ttl(issued), issued.date), nonce)

    def open_token(self, stored: StoredValue | None, now: float) -> IssuedToken | None:
        """None for what is not ours, or absurd; `now` in wall-clock seconds."""
        content = None if stored is None else self._open(self.token, stored.value, _SealedToken)
        if content is None or stored is None or not 0 < content.life <= LATEST:
            return None
        age = content.ttl - stored.left
        if not -ROUNDING_SECONDS <= age <= content.ttl:
            return None
        age = max(0.0, age)
        return IssuedToken(content.jwt, now - age, now - age + content.life, shared=True, age=age, date=content.date)

    def seal_backoff(self, backoff: LoginBackoff, now: float, nonce: bytes) -> bytes:
        """A back-off that a failure has just begun, at `now` by the elapsed clock; `nonce` as in seal_token."""
        if backoff.failure is None:
            raise ValueError("without a failure there is no back-off to share")
        return self._seal(self.backoff, _SealedBackoff(backoff.until - now, backoff.rejections, backoff.failure), nonce)

    def open_backoff(self, stored: StoredValue | None, now: float) -> LoginBackoff:
        """NO_BACKOFF for what is not ours, or absurd; `now` by the elapsed clock."""
        content = None if stored is None else self._open(self.backoff, stored.value, _SealedBackoff)
        if content is None or stored is None:
            return NO_BACKOFF
        left = stored.left - LONGEST_BLOCK_SECONDS
        if not left <= content.pause + ROUNDING_SECONDS:
            return NO_BACKOFF
        return LoginBackoff(now + left, content.rejections, 0, content.failure)

    def _seal(self, key: str, content: msgspec.Struct, nonce: bytes) -> bytes:
        return VERSION + nonce + self._cipher.encrypt(nonce, msgspec.json.encode(content), _bound_to(key))

    def _open(self, key: str, sealed: bytes | None, form: type[Content]) -> Content | None:
        from cryptography.exceptions import InvalidTag

        if not isinstance(sealed, bytes) or not sealed.startswith(VERSION):
            return None
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return msgspec.json.decode(self._cipher.decrypt(nonce, rest, _bound_to(key)), type=form)
        except (InvalidTag, ValueError):  # msgspec's errors are ValueErrors too
            return None


def _bound_to(key: str) -> bytes:
    """The associated data: a value moved to another key does not open."""
    return VERSION + key.encode("ascii")


def token_ttl(issued: IssuedToken) -> float:
    """Seconds for which the store is to keep a token that was just obtained."""
    return min(issued.life, LONGEST_TTL_SECONDS)


def backoff_ttl(backoff: LoginBackoff, now: float) -> float:
    """Seconds for which the store is to keep a back-off: beyond its end, so that the next one is longer."""
    return backoff.until - now + LONGEST_BLOCK_SECONDS
