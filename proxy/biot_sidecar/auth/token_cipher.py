"""What sidecars of one service user share through a store they do not trust: sealed, and what of it one may take."""

from __future__ import annotations

import json
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec

from biot_sidecar.auth.freshness import renewal_time, usable
from biot_sidecar.auth.login_response import (
    LATEST,
    LONGEST_BLOCK,
    OPEN_GATE,
    IssuedToken,
    LoginBackoff,
    LoginFailure,
    TokenRequest,
    after_setback,
)
from biot_sidecar.auth.token import Token
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.settings.secret import Secret

VERSION: Final = b"\x02"
Content = TypeVar("Content")
NONCE: Final = 12
"""Bytes of nonce that AES-GCM takes (NIST SP 800-38D, section 8.2)."""
LONGEST_LIFE: Final = 7 * 86_400.0
"""Seconds for which a token is stored at most, however late it says it expires."""
ROUNDING: Final = 1.0
"""Seconds by which a store may say that a value will stay longer than it was asked to keep it."""
_PURPOSE: Final = "biot-sidecar token store"


class Stored(NamedTuple):
    """A value of the store, and the seconds after which the store forgets it: the one clock that all have in common."""

    value: bytes
    left: float


class _SharedGrant(msgspec.Struct):
    """Lengths only: each sidecar has a wall clock of its own. `kept` is how long the store was asked to keep it."""

    jwt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~+/=-]{1,16384}$")]
    life: float
    kept: float

    def __repr__(self) -> str:
        return f"_SharedGrant(life={self.life}, kept={self.kept})"


class _SharedGate(msgspec.Struct):
    pause: float
    rejections: Annotated[int, msgspec.Meta(ge=0)]
    blocks: bool
    code: Code
    outcome: str
    message: str
    hint: str


class Box:
    """Seals with AES-256-GCM under an HKDF of the secret (RFC 5869); `token`, `gate` and `lock` are the store's keys.

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
        self.gate = f"{name}:gate"
        self.lock = f"{name}:lock"

    def seal_grant(self, grant: IssuedToken, nonce: bytes) -> bytes:
        """`nonce`: NONCE random bytes, never used before."""
        return self._seal(self.token, _SharedGrant(grant.jwt, grant.life, keeping(grant)), nonce)

    def seal_gate(self, gate: LoginBackoff, now: float, nonce: bytes) -> bytes:
        """A gate that a setback has just closed; `nonce` as in seal_grant."""
        setback = gate.setback
        if setback is None:
            raise ValueError("an open gate is not shared")
        fault = setback.fault
        content = _SharedGate(
            gate.until - now, gate.rejections, setback.blocks, fault.code, fault.outcome, fault.message, fault.hint
        )
        return self._seal(self.gate, content, nonce)

    def open_grant(self, stored: Stored | None, now: float) -> IssuedToken | None:
        """None for what is not ours, or absurd; `now` in wall-clock seconds."""
        content = None if stored is None else self._open(self.token, stored.value, _SharedGrant)
        if content is None or stored is None or not 0 < content.life <= LATEST:
            return None
        age = content.kept - stored.left
        if not -ROUNDING <= age <= content.kept:
            return None
        age = max(0.0, age)
        return IssuedToken(content.jwt, now - age, now - age + content.life, shared=True, age=age)

    def open_gate(self, stored: Stored | None, now: float) -> LoginBackoff:
        """The open gate for what is not ours, or absurd; `now` by the elapsed clock."""
        content = None if stored is None else self._open(self.gate, stored.value, _SharedGate)
        if content is None or stored is None:
            return OPEN_GATE
        left = stored.left - LONGEST_BLOCK
        if not left <= content.pause + ROUNDING:
            return OPEN_GATE
        fault = LoginError(content.code, content.message, outcome=content.outcome, hint=content.hint)
        return LoginBackoff(now + left, content.rejections, 0, LoginFailure(fault, blocks=content.blocks))

    def _seal(self, key: str, content: msgspec.Struct, nonce: bytes) -> bytes:
        return VERSION + nonce + self._cipher.encrypt(nonce, msgspec.json.encode(content), _bound_to(key))

    def _open(self, key: str, sealed: bytes | None, form: type[Content]) -> Content | None:
        from cryptography.exceptions import InvalidTag

        if not isinstance(sealed, bytes) or not sealed.startswith(VERSION):
            return None
        nonce, rest = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
        try:
            return msgspec.json.decode(self._cipher.decrypt(nonce, rest, _bound_to(key)), type=form)
        except (InvalidTag, ValueError):  # msgspec's errors are ValueErrors too
            return None


def _bound_to(key: str) -> bytes:
    """The associated data: a value moved to another key does not open."""
    return VERSION + key.encode("ascii")


def keeping(grant: IssuedToken) -> float:
    """Seconds for which the store is to keep a token that was just obtained."""
    return min(grant.life, LONGEST_LIFE)


def gate_keeping(gate: LoginBackoff, now: float) -> float:
    """Seconds for which the store is to keep a gate: beyond its end, so that the next failure makes a longer one."""
    return gate.until - now + LONGEST_BLOCK


def suits(grant: IssuedToken, wanted: TokenRequest) -> bool:
    """True when a shared token will do: young enough, not the last one, and not about to be renewed."""
    token = Token(grant.jwt, -grant.age, grant.life - grant.age, 0)
    if grant.age >= wanted.younger_than or token.authorization == wanted.last:
        return False
    return usable(token, 0.0) and renewal_time(token, 0.0) > 0


def shared_setback(gate: LoginBackoff, now: float) -> LoginFailure | None:
    """What another sidecar's failed login means for this one; None when a login may be tried."""
    if gate.setback is None or not gate.closed(now):
        return None
    return LoginFailure(gate.setback.fault, blocks=gate.setback.blocks, asked=gate.until - now)


def after_shared_setback(gate: LoginBackoff, setback: LoginFailure, now: float, jitter: float) -> LoginBackoff:
    """The gate of all after one's failure.

    Only a rejected user makes the pauses of all grow: trouble on one sidecar's way to BioT need not be the others'.
    """
    return after_setback(LoginBackoff(rejections=gate.rejections), setback, now, jitter)
