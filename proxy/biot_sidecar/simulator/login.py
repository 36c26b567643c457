"""Service-user login: BioT's answers, refusals, and the lock after failed logins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.options import MANUFACTURER_ID, SimulatorOptions
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.tokens import Tokens
from biot_sidecar.simulator.values import Answer, BiotError, Call, Initiator, timestamp


class ServiceLogin:
    """Gives service users tokens. `keys_of` has the secret keys of those that may log in."""

    def __init__(self, options: SimulatorOptions, tokens: Tokens, keys_of: Callable[[str], SecretKeys | None]) -> None:
        self._keys_of = keys_of
        self._options = options
        self._tokens = tokens
        self._failures: Counter[str] = Counter()  # in a row, by user
        self._locked_until: dict[str, float] = {}
        self.logins = 0
        self.failed = 0

    def log_in(self, call: Call) -> Answer:
        """`POST /ums/v2/services/accessToken`."""
        user, secret = _credentials(call)
        keys = self._keys_of(user)
        if keys is not None and call.now < self._locked_until.get(user, 0.0):
            self.failed += 1
            raise service_locked()
        if keys is None or not keys.accept(secret, call.now):
            self._count_failure(user, keys is not None, call.now)
            raise login_failed()
        del self._failures[user]
        self.logins += 1
        expires = call.now + self._options.token_life
        body = {"accessToken": self._issue(user, expires), "accessTokenExpiration": timestamp(expires)}
        return Answer(200, body)

    def public_key(self, call: Call) -> Answer:
        """`GET /ums/v1/security/public-key`."""
        return Answer(200, {"publicKey": self._tokens.public_key()})

    def _issue(self, user: str, expires: float) -> str:
        initiator = Initiator(user, MANUFACTURER_ID, "SERVICE_INTERNAL")
        return self._tokens.issue(initiator, self._options.scopes, expires, {"serviceUserId": user})

    def _count_failure(self, user: str, known: bool, now: float) -> None:
        self.failed += 1
        self._failures[user] += known
        if self._failures[user] >= self._options.lock_after:
            del self._failures[user]
            self._locked_until[user] = now + self._options.lock_seconds
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
