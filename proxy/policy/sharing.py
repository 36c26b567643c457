"""What sidecars of one service user share through a store they do not trust: sealed, and what of it one may take."""

from __future__ import annotations

import json
from typing import Annotated, Final, TypeVar

import msgspec

from proxy.errors import Code, LoginFault
from proxy.message import Secret, Token
from proxy.policy.freshness import renewal_time, usable
from proxy.policy.login import OPEN_GATE, Gate, Grant, Setback, Wanted, after_setback

VERSION: Final = b"\x01"
Content = TypeVar("Content")
NONCE: Final = 12
"""Bytes of nonce that AES-GCM takes (NIST SP 800-38D, section 8.2)."""
SKEW: Final = 60.0
"""Seconds by which another sidecar's clock may be ahead of ours."""
_PURPOSE: Final = "biot-sidecar token store"


class _SharedGrant(msgspec.Struct):
    jwt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~+/=-]{1,16384}$")]
    obtained: float
    expires: float

    def __repr__(self) -> str:
        return f"_SharedGrant(obtained={self.obtained}, expires={self.expires})"


class _SharedGate(msgspec.Struct):
    at: float
    until: float
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

    def seal_grant(self, grant: Grant, nonce: bytes) -> bytes:
        """`nonce`: NONCE random bytes, never used before."""
        return self._seal(self.token, _SharedGrant(grant.jwt, grant.obtained, grant.expires), nonce)

    def seal_gate(self, gate: Gate, now: float, nonce: bytes) -> bytes:
        """A gate that a setback has just closed; `nonce` as in seal_grant."""
        setback = gate.setback
        if setback is None:
            raise ValueError("an open gate is not shared")
        fault = setback.fault
        content = _SharedGate(
            now, gate.until, gate.rejections, setback.blocks, fault.code, fault.outcome, fault.message, fault.hint
        )
        return self._seal(self.gate, content, nonce)

    def open_grant(self, sealed: bytes | None, now: float) -> Grant | None:
        """None for what is not ours, or absurd."""
        content = self._open(self.token, sealed, _SharedGrant)
        if content is None or not content.obtained < content.expires or content.obtained > now + SKEW:
            return None
        return Grant(content.jwt, min(content.obtained, now), content.expires, shared=True)

    def open_gate(self, sealed: bytes | None, now: float) -> Gate:
        """The open gate for what is not ours, or was closed by a clock that is far ahead."""
        content = self._open(self.gate, sealed, _SharedGate)
        if content is None or content.at > now + SKEW:
            return OPEN_GATE
        fault = LoginFault(content.code, content.message, outcome=content.outcome, hint=content.hint)
        return Gate(content.until, content.rejections, 0, Setback(fault, blocks=content.blocks))

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


def suits(grant: Grant, wanted: Wanted, now: float) -> bool:
    """True when a shared token will do: young enough, not the refused one, and not about to be renewed."""
    token = Token(grant.jwt, grant.obtained, grant.expires, 0)
    if grant.obtained <= wanted.obtained_after or token.authorization == wanted.refused:
        return False
    return usable(token, now) and now < renewal_time(token, 0.0)


def shared_setback(gate: Gate, now: float) -> Setback | None:
    """What another sidecar's failed login means for this one; None when a login may be tried."""
    if gate.setback is None or not gate.closed(now):
        return None
    return Setback(gate.setback.fault, blocks=gate.setback.blocks, asked=gate.until - now)


def after_shared_setback(gate: Gate, setback: Setback, now: float, jitter: float) -> Gate:
    """The gate of all after one's failure.

    Only a rejected user makes the pauses of all grow: trouble on one sidecar's way to BioT need not be the others'.
    """
    return after_setback(Gate(rejections=gate.rejections), setback, now, jitter)
