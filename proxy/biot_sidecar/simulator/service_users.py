"""BioT's service users with their secret keys: the one of the options, and those made at `/ums/v2/services`."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import replace

from biot_sidecar.settings.secret import Secret
from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities, made_by_biot, refusal_404
from biot_sidecar.simulator.kinds import Kind, Unique
from biot_sidecar.simulator.options import MANUFACTURER_ID, SimulatorOptions
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.secret_keys import ROLE_ID, SecretKeys
from biot_sidecar.simulator.values import Answer, Call, Json

SERVICE_USER = Kind(
    name="service-user",
    shape="GetServiceUserV2Response",
    not_found="SERVICE_USER_NOT_FOUND",
    unique=(Unique("name", "SERVICE_NAME_ALREADY_EXISTS", "name"),),
    prefix="",
)
_TIMES = ("creationTime", "lastModifiedTime")


class ServiceUsers:
    """`/ums/v2/services`. `keys` are those of the options' service user, who is one of them."""

    def __init__(self, entities: Entities, options: SimulatorOptions, keys: SecretKeys, now: float) -> None:
        self._entities = entities
        self._options = options
        self._keys = {options.service_user_id: keys}
        own = {"name": "simulated service user", "active": True, "type": "INTERNAL_SERVICE", "roleId": ROLE_ID}
        self._add(own | {"ownerOrganizationId": MANUFACTURER_ID}, Call(now=now), options.service_user_id)

    def operations(self) -> Iterator[Operation]:
        path, keys = "/ums/v2/services", "/ums/v2/services/{id}/secret-keys"
        yield Operation("GET", path, self.search)
        yield Operation("POST", path, self.create)
        yield Operation("GET", path + "/{id}", self.read)
        yield Operation("PATCH", path + "/{id}", self.update)
        yield Operation("DELETE", path + "/{id}", self.delete)
        yield Operation("POST", keys, lambda call: self._keys_of(call).create(call))
        yield Operation("DELETE", keys + "/{secretKeyId}", lambda call: self._keys_of(call).delete(call))
        yield Operation("GET", path + "/self", self.read_self)
        yield Operation("POST", path + "/self/secret-keys", lambda call: self._own_keys(call).create(call))
        yield Operation(
            "DELETE", path + "/self/secret-keys/{secretKeyId}", lambda call: self._own_keys(call).delete(call)
        )

    def keys(self, identity: str) -> SecretKeys | None:
        """The secret keys of a service user who may log in; None for any other."""
        user = self._entities.of(SERVICE_USER.name).get(identity)
        return self._keys[identity] if user is not None and user.get("active") is not False else None

    def search(self, call: Call) -> Answer:
        users = [self._shown(one) for one in self._entities.of(SERVICE_USER.name)]
        return Answer(200, search.search(users, search.parse(call.parameter("searchRequest"))))

    def create(self, call: Call) -> Answer:
        body = call.document()
        owner = body.get("ownerOrganizationId") or MANUFACTURER_ID
        if self._entities.of("organization").get(owner) is None:
            message = "There is no such organization"
            refuse(
                call, refusal_404(call, "OWNER_ORGANIZATION_NOT_FOUND", message, {"id": owner}), "ownerOrganizationId"
            )
        identity, secret = str(uuid.uuid4()), secrets.token_urlsafe(32)
        options = replace(self._options, service_user_id=identity, secret=Secret(secret))
        self._keys[identity] = SecretKeys(options, call.now)
        user = self._add({"active": True} | body | {"ownerOrganizationId": owner}, call, identity)
        (key,) = self._keys[identity].shown()
        shown = {name: value for name, value in user.items() if name != "secretKeys" and name not in _TIMES}
        return Answer(201, shown | {"secretKeyData": key | {"secretKey": secret}})

    def read(self, call: Call) -> Answer:
        return Answer(200, self._shown(self._entities.get(SERVICE_USER, call.variables["id"], call)))

    def read_self(self, call: Call) -> Answer:
        """`GET /ums/v2/services/self`."""
        return Answer(200, self._shown(self._entities.get(SERVICE_USER, call.initiator.id, call)))

    def update(self, call: Call) -> Answer:
        identity = call.variables["id"]
        self._entities.update(SERVICE_USER, identity, call.document(), call)
        return self.read(call)

    def delete(self, call: Call) -> Answer:
        self._entities.delete(SERVICE_USER, call.variables["id"], call)
        del self._keys[call.variables["id"]]
        return Answer(204)

    def _keys_of(self, call: Call) -> SecretKeys:
        return self._keys[self._entities.get(SERVICE_USER, call.variables["id"], call)["id"]]

    def _own_keys(self, call: Call) -> SecretKeys:
        return self._keys[self._entities.get(SERVICE_USER, call.initiator.id, call)["id"]]

    def _add(self, body: Json, call: Call, identity: str) -> Json:
        return self._entities.create(SERVICE_USER, body, made_by_biot(call), id=identity)

    def _shown(self, user: Json) -> Json:
        shown = {name: value for name, value in self._entities.shown(SERVICE_USER, user).items() if name not in _TIMES}
        return shown | {"secretKeys": self._keys[user["id"]].shown()}
