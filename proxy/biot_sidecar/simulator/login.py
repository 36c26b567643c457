"""Service-user login and the tokens it gives: real RS512 JWTs, a lock after failed logins, revocation."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, timestamp

_SCOPES = ["PROTECTED_API", "ACTION_NOTIFICATION", "SETTINGS_SEARCH_INTERCEPTION_SUBSCRIPTION_CONFIGURATIONS"]


class Signer:
    """An RSA key pair of 2048 bits, made at start: tokens of an earlier simulator are not valid at this one."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, claims: Json) -> str:
        # BioT's header is exactly {"alg": "RS512"}; PyJWT leaves `typ` out when it is empty.
        return jwt.encode(claims, self._key, algorithm="RS512", headers={"typ": None})

    def claims(self, token: str) -> Json | None:
        """The claims of a token signed with this key, or None. Expiry is not looked at: the clock is the caller's."""
        try:
            options = {"verify_signature": True, "verify_exp": False}
            claims: Json = jwt.decode(token, self._key.public_key(), algorithms=["RS512"], options=options)  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            return None
        return claims

    def public_key(self) -> str:
        """The public key as base64 of its DER form, without PEM armour."""
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode("ascii")


@dataclass
class Issued:
    """A token given out, without its text: `number` counts them from 1, times are seconds since the epoch."""

    number: int
    expires: float
    uses: int = 0
    revoked: bool = False


class ServiceLogin:
    """Knows one service user, gives it tokens and recognises them."""

    def __init__(self, options: SimulatorOptions, signer: Signer, keys: SecretKeys) -> None:
        self._keys = keys
        self._options = options
        self._signer = signer
        self._issued: dict[str, Issued] = {}
        self._failures = 0  # in a row
        self._locked_until = 0.0
        self.logins = 0
        self.failed = 0

    def log_in(self, call: Call) -> Answer:
        """`POST /ums/v2/services/accessToken`."""
        user, secret = _credentials(call)
        known = user == self._options.service_user_id
        if known and call.now < self._locked_until:
            self.failed += 1
            raise service_locked()
        if not known or not self._keys.accept(secret, call.now):
            self._count_failure(known, call.now)
            raise login_failed()
        self._failures = 0
        self.logins += 1
        expires = call.now + self._options.token_life
        body = {"accessToken": self._issue(expires), "accessTokenExpiration": timestamp(expires, "milliseconds")}
        return Answer(200, body)

    def public_key(self, call: Call) -> Answer:
        """`GET /ums/v1/security/public-key`."""
        return Answer(200, {"publicKey": self._signer.public_key()})

    def use(self, authorization: str | None, now: float) -> bool:
        """Whether the Authorization field holds a token that is valid now; counts the use."""
        scheme, _, token = (authorization or "").partition(" ")
        claims = self._signer.claims(token.strip()) if scheme.lower() == "bearer" else None
        issued = self._issued.get(str(claims.get("jti"))) if claims else None
        if issued is None or issued.revoked or now >= issued.expires:
            return False
        issued.uses += 1
        return True

    def revoke_all(self) -> int:
        """Make every token given so far invalid; returns how many were valid until now."""
        valid = [issued for issued in self._issued.values() if not issued.revoked]
        for issued in valid:
            issued.revoked = True
        return len(valid)

    def tokens(self) -> list[Json]:
        """The tokens given out, by number and use; never their text."""
        return [
            {
                "number": issued.number,
                "uses": issued.uses,
                "expires": timestamp(issued.expires, "milliseconds"),
                "revoked": issued.revoked,
            }
            for issued in self._issued.values()
        ]

    def interceptor_token(self, now: float) -> str:
        """The platform's own token that BioT sends to interceptors."""
        claims = {"scopes": ["PLUGIN_INTERCEPTOR"], "tokenType": "SERVICE_INTERNAL", "jti": str(uuid.uuid4())}
        return self._signer.sign({"serviceUserId": _PLATFORM_USER, **claims, "exp": int(now + 1800)})

    def _issue(self, expires: float) -> str:
        jti = str(uuid.uuid4())
        self._issued[jti] = Issued(len(self._issued) + 1, expires)
        claims = {"scopes": _SCOPES, "tokenType": "SERVICE_INTERNAL", "jti": jti, "exp": int(expires)}
        return self._signer.sign({"serviceUserId": self._options.service_user_id, **claims})

    def _count_failure(self, known: bool, now: float) -> None:
        self.failed += 1
        self._failures += known
        if self._failures >= self._options.lock_after:
            self._failures = 0
            self._locked_until = now + self._options.lock_seconds
            message = "the service user is locked for %gs after %d failed logins in a row"
            log.warning(message, self._options.lock_seconds, self._options.lock_after)


_PLATFORM_USER = "00000000-0000-4000-8000-0000000000ff"


def _credentials(call: Call) -> tuple[str, str]:
    body = call.document()
    user, secret = body.get("id"), body.get("secretKey")
    if not isinstance(user, str) or not isinstance(secret, str) or not user or not secret:
        raise BiotError(400, "BAD_REQUEST", "The request body needs the texts [id] and [secretKey]")
    return user, secret


def login_failed() -> BiotError:
    return BiotError(403, "LOGIN_FAILED", "Login failed: wrong id or secret key")


def service_locked() -> BiotError:
    return BiotError(401, "SERVICE_LOCKED", "The service user is locked after too many failed logins")


def token_not_valid() -> BiotError:
    return BiotError(401, "TOKEN_NOT_VALID", "The token is missing, not valid or expired")
