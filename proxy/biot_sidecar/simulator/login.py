"""Service-user login: BioT's answers, refusals, and the lock after failed logins."""

from __future__ import annotations

from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.options import MANUFACTURER_ID, SimulatorOptions
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.tokens import Tokens
from biot_sidecar.simulator.values import Answer, BiotError, Call, Initiator, timestamp


class ServiceLogin:
    """Knows one service user and gives it tokens."""

    def __init__(self, options: SimulatorOptions, tokens: Tokens, keys: SecretKeys) -> None:
        self._keys = keys
        self._options = options
        self._tokens = tokens
        self._failures = 0  # in a row
        self._locked_until = 0.0
        self.logins = 0
        self.failed = 0
        self.initiator = Initiator(options.service_user_id, MANUFACTURER_ID, "SERVICE_INTERNAL")

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
        body = {"accessToken": self._issue(expires), "accessTokenExpiration": timestamp(expires)}
        return Answer(200, body)

    def public_key(self, call: Call) -> Answer:
        """`GET /ums/v1/security/public-key`."""
        return Answer(200, {"publicKey": self._tokens.public_key()})

    def _issue(self, expires: float) -> str:
        claims = {"serviceUserId": self._options.service_user_id}
        return self._tokens.issue(self.initiator, self._options.scopes, expires, claims)

    def _count_failure(self, known: bool, now: float) -> None:
        self.failed += 1
        self._failures += known
        if self._failures >= self._options.lock_after:
            self._failures = 0
            self._locked_until = now + self._options.lock_seconds
            message = "the service user is locked for %gs after %d failed logins in a row"
            log.warning(message, self._options.lock_seconds, self._options.lock_after)


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
