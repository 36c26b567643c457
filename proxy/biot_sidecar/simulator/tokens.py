"""The tokens that the simulator gives and recognises: real RS512 JWTs, of whom, with which scopes, until when.

A token's initiator is who calls with it: the service user (`login`), a person (`users`). Tokens of an earlier
simulator are not valid at this one, since the key pair is made at start.
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from biot_sidecar.simulator.values import Initiator, Json, timestamp


class Signer:
    """An RSA key pair of 2048 bits and the RS512 (RFC 7518, section 3.3) of the JWTs that it signs.

    The pair is made at start, in a thread while other things are imported: tokens of an earlier simulator are not valid
    at this one.
    """

    def __init__(self) -> None:
        self._made: list[rsa.RSAPrivateKey] = []
        self._making = threading.Thread(target=self._make, name="key pair", daemon=True)
        try:
            self._making.start()
        except RuntimeError:  # no thread can be started: at once, then
            self._make()

    def sign(self, claims: Json) -> str:
        """A JWT in the compact form (RFC 7515, section 7.1)."""
        signed = b"%b.%b" % (_HEADER, _encoded(json.dumps(claims, separators=(",", ":")).encode()))
        return (b"%b.%b" % (signed, _encoded(self._key.sign(signed, *_RS512)))).decode()

    def claims(self, token: str) -> Json | None:
        """The claims of a token signed with this key, or None. Expiry is not looked at: the clock is the caller's."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode("ascii"), *_RS512)
            header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        except (ValueError, InvalidSignature):  # no ASCII, no base64, no JSON, not two parts
            return None
        is_ours = isinstance(header, dict) and header.get("alg") == "RS512" and isinstance(claims, dict)
        return claims if is_ours else None

    def public_key(self) -> str:
        """The public key as base64 of its DER form, without PEM armour."""
        from cryptography.hazmat.primitives import serialization  # 10 ms, with all of SSH's formats

        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode("ascii")

    @property
    def _key(self) -> rsa.RSAPrivateKey:
        if not self._made:
            self._making.join()
        return self._made[0]

    def _make(self) -> None:
        self._made.append(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _encoded(data: bytes) -> bytes:
    """base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


_RS512: Final = (padding.PKCS1v15(), hashes.SHA512())
_HEADER: Final = _encoded(b'{"alg":"RS512"}')
"""BioT's header is exactly this."""


@dataclass
class Issued:
    """A token given out, without its text: `number` counts them from 1, times are seconds since the epoch."""

    number: int
    expires: float
    initiator: Initiator
    scopes: Sequence[str]
    uses: int = 0
    revoked: bool = False


class Tokens:
    """Gives tokens and recognises them."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._issued: dict[str, Issued] = {}

    def issue(self, initiator: Initiator, scopes: Sequence[str], expires: float, claims: Json) -> str:
        """A new token; `claims` say who it is for, as BioT's own do (they differ by the kind of initiator)."""
        jti = str(uuid.uuid4())
        self._issued[jti] = Issued(len(self._issued) + 1, expires, initiator, tuple(scopes))
        common = {"scopes": list(scopes), "tokenType": initiator.token_type, "jti": jti}
        return self._signer.sign(claims | common | {"exp": int(expires)})

    def recognise(self, authorization: str | None, now: float) -> Issued | None:
        """The token in an Authorization field, if it is valid now; counts the use."""
        scheme, _, token = (authorization or "").partition(" ")
        claims = self._signer.claims(token.strip()) if scheme.lower() == "bearer" else None
        issued = self._issued.get(str(claims.get("jti"))) if claims else None
        if issued is None or issued.revoked or now >= issued.expires:
            return None
        issued.uses += 1
        return issued

    def revoke_all(self) -> int:
        """Make every token given so far invalid; returns how many were valid until now."""
        valid = [issued for issued in self._issued.values() if not issued.revoked]
        for issued in valid:
            issued.revoked = True
        return len(valid)

    def revoke_of(self, identity: str) -> None:
        """Make the tokens of one initiator invalid."""
        for issued in self._issued.values():
            issued.revoked = issued.revoked or issued.initiator.id == identity

    def shown(self) -> list[Json]:
        """The tokens given out, by number and use; never their text."""
        return [
            {
                "number": issued.number,
                "uses": issued.uses,
                "expires": timestamp(issued.expires),
                "revoked": issued.revoked,
            }
            for issued in self._issued.values()
        ]

    def platform_token(self, now: float, *scopes: str) -> str:
        """The platform's own token, which BioT sends to plugins; BioT itself takes it from nobody."""
        claims = {"scopes": list(scopes), "tokenType": "SERVICE_INTERNAL", "jti": str(uuid.uuid4())}
        return self._signer.sign({"serviceUserId": _PLATFORM_USER, **claims, "exp": int(now + 1800)})

    def public_key(self) -> str:
        return self._signer.public_key()


_PLATFORM_USER = "00000000-0000-4000-8000-0000000000ff"
