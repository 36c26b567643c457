"""The service user's secret keys: several may be live at once, each may end; the user sees and changes its own."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Final

from biot_sidecar.settings.secret import Secret
from biot_sidecar.simulator.options import MANUFACTURER_ID, SimulatorOptions
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, instant, timestamp

ROLE_ID: Final = "00000000-0000-4000-8000-000000000002"
"""The role that every service user here has."""


@dataclass
class SecretKey:
    """One key; times are seconds since the epoch, `expires` is None for one that does not end."""

    id: str
    created: float
    expires: float | None
    secret: Secret

    def shown(self) -> Json:
        end = {} if self.expires is None else {"expirationTime": timestamp(self.expires)}
        return {"id": self.id, "creationTime": timestamp(self.created), **end}


class SecretKeys:
    """The keys of the one service user. The first has the secret of the options."""

    def __init__(self, options: SimulatorOptions, now: float) -> None:
        self._user = options.service_user_id
        self.most = options.max_secret_keys
        self.life: float | None = None  # seconds for which a new key lives
        self._keys = [SecretKey(str(uuid.uuid4()), now, None, options.secret)]

    def accept(self, secret: str, now: float) -> bool:
        """Whether a key that has not ended has this secret."""
        return any(key.secret.reveal() == secret and (key.expires is None or now < key.expires) for key in self._keys)

    def read_self(self, call: Call) -> Answer:
        """`GET /ums/v2/services/self`."""
        return Answer(
            200,
            {
                "id": self._user,
                "name": "simulated service user",
                "active": True,
                "roleId": ROLE_ID,
                "type": "INTERNAL_SERVICE",
                "ownerOrganizationId": MANUFACTURER_ID,
                "secretKeys": self.shown(),
            },
        )

    def create(self, call: Call) -> Answer:
        """`POST /ums/v2/services/self/secret-keys`; the secret is shown this once."""
        if len(self._keys) >= self.most:
            details = {"serviceId": self._user, "maxSecretKeys": self.most}
            raise BiotError(409, "MAX_SECRET_KEYS", f"The service user has {self.most} secret keys already", details)
        expires = None if self.life is None else call.now + self.life
        key = SecretKey(str(uuid.uuid4()), call.now, expires, Secret(secrets.token_urlsafe(32)))
        self._keys.append(key)
        return Answer(201, key.shown() | {"secretKey": key.secret.reveal()})

    def delete(self, call: Call) -> Answer:
        """`DELETE /ums/v2/services/self/secret-keys/{secretKeyId}`."""
        left = [key for key in self._keys if key.id != call.variables["secretKeyId"]]
        if len(left) == len(self._keys):
            raise BiotError(404, "SECRET_KEY_ID_NOT_FOUND", "The service user has no secret key with this id")
        self._keys = left
        return Answer(204)

    def read(self, call: Call) -> Answer:
        """`GET /ums/v2/services/{id}`."""
        self._check_user(call)
        return self.read_self(call)

    def create_for(self, call: Call) -> Answer:
        """`POST /ums/v2/services/{id}/secret-keys`."""
        self._check_user(call)
        return self.create(call)

    def delete_for(self, call: Call) -> Answer:
        """`DELETE /ums/v2/services/{id}/secret-keys/{secretKeyId}`."""
        self._check_user(call)
        return self.delete(call)

    def _check_user(self, call: Call) -> None:
        """There is one service user."""
        if (identity := call.variables["id"]) != self._user:
            raise BiotError(404, "SERVICE_USER_NOT_FOUND", "There is no service user with this id", {"id": identity})

    def shown(self) -> list[Json]:
        """The keys without their secrets."""
        return [key.shown() for key in self._keys]

    def change(self, document: Json) -> None:
        """What a rehearsal sets: when the keys there are end, for how long new ones live (seconds), how many may be."""
        known = {"expirationTime", "life", "max"}
        if unknown := sorted(set(document) - known):
            raise BiotError(400, "BAD_REQUEST", f"[{unknown[0]}] is none of {', '.join(sorted(known))}")
        end, life, most = document.get("expirationTime"), document.get("life"), document.get("max", self.most)
        expires = None if end is None else instant(end)
        if end is not None and expires is None:
            raise BiotError(400, "BAD_REQUEST", "[expirationTime] must be a date-time or null")
        if life is not None and (isinstance(life, bool) or not isinstance(life, int | float) or life <= 0):
            raise BiotError(400, "BAD_REQUEST", "[life] must be a number of seconds or null")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise BiotError(400, "BAD_REQUEST", "[max] must be a whole number from 1")
        self.most = most
        if "life" in document:
            self.life = life
        if "expirationTime" in document:
            for key in self._keys:
                key.expires = expires
