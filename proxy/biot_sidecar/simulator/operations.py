"""Which BioT operations the simulator serves, and whose handlers they are: one table."""

from __future__ import annotations

from collections.abc import Iterator

from biot_sidecar.simulator.entities import (
    CAREGIVER,
    DEVICE,
    GENERIC,
    ORGANIZATION,
    PATIENT,
    EntityOperations,
    EntityStore,
    Kind,
)
from biot_sidecar.simulator.files import Files
from biot_sidecar.simulator.login import ServiceLogin
from biot_sidecar.simulator.measurements import Measurements
from biot_sidecar.simulator.router import SERVICES, Operation
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.subscriptions import Subscriptions
from biot_sidecar.simulator.values import Answer, Call

VERSION = "2.4.2"
"""The BioT release whose shapes the simulator answers in."""

_COLLECTIONS: tuple[tuple[Kind, str, bool], ...] = (
    (PATIENT, "/organization/v1/users/patients", True),
    (CAREGIVER, "/organization/v1/users/caregivers", True),
    (ORGANIZATION, "/organization/v1/organizations", False),
    (DEVICE, "/device/v2/devices", False),
    (GENERIC, "/generic-entity/v1/generic-entities", False),
)
"""Kind, path, and whether it is a user who can be enabled and disabled."""


def operations(
    store: EntityStore,
    login: ServiceLogin,
    keys: SecretKeys,
    files: Files,
    saved: Measurements,
    subscriptions: Subscriptions,
) -> list[Operation]:
    """Every operation that is simulated; `catalogue` knows the rest of them."""
    table = [*_platform(login), *_secret_keys(keys), *_files(files), *_measurements(saved)]
    for kind, path, is_user in _COLLECTIONS:
        table += _collection(EntityOperations(store, kind), kind, path, is_user)
    table += _templated(EntityOperations(store, GENERIC), "/generic-entity/v3/generic-entities/{templateName}")
    return [*table, *_subscriptions(subscriptions)]


def _collection(handlers: EntityOperations, kind: Kind, path: str, is_user: bool) -> Iterator[Operation]:
    yield Operation("GET", path, handlers.search, kind.name)
    yield Operation("POST", path, handlers.create, kind.name)
    yield Operation("POST", path + "/templates/{templateName}", handlers.create, kind.name)
    yield Operation("GET", path + "/{id}", handlers.read, kind.name)
    yield Operation("PATCH", path + "/{id}", handlers.update, kind.name)
    yield Operation("DELETE", path + "/{id}", handlers.delete, kind.name)
    if is_user:
        state = path + "/{id}/enabled-state/{state}"
        yield Operation("POST", state, handlers.set_enabled, kind.name)


def _templated(handlers: EntityOperations, path: str) -> Iterator[Operation]:
    yield Operation("GET", path, handlers.search, GENERIC.name)
    yield Operation("POST", path, handlers.create, GENERIC.name)
    yield Operation("GET", path + "/{id}", handlers.read, GENERIC.name)
    yield Operation("PATCH", path + "/{id}", handlers.update, GENERIC.name)
    yield Operation("DELETE", path + "/{id}", handlers.delete, GENERIC.name)


def _platform(login: ServiceLogin) -> Iterator[Operation]:
    yield Operation("POST", "/ums/v2/services/accessToken", login.log_in)
    yield Operation("GET", "/ums/v1/security/public-key", login.public_key)
    yield Operation("GET", "/settings/v1/system/properties", _properties)
    for service in SERVICES:
        yield Operation("GET", f"/{service}/system/healthCheck", _health)


def _secret_keys(keys: SecretKeys) -> Iterator[Operation]:
    yield Operation("GET", "/ums/v2/services/self", keys.read_self)
    yield Operation("POST", "/ums/v2/services/self/secret-keys", keys.create)
    yield Operation("DELETE", "/ums/v2/services/self/secret-keys/{secretKeyId}", keys.delete)
    yield Operation("GET", "/ums/v2/services/{id}", keys.read)
    yield Operation("POST", "/ums/v2/services/{id}/secret-keys", keys.create_for)
    yield Operation("DELETE", "/ums/v2/services/{id}/secret-keys/{secretKeyId}", keys.delete_for)


def _files(files: Files) -> Iterator[Operation]:
    parts = "/file/v1/files/upload/parts"
    yield Operation("POST", "/file/v1/files/upload", files.upload, "file")
    yield Operation("GET", "/file/v1/files/{id}/download", files.download, "file")
    yield Operation("POST", parts, files.upload_parts, "file")
    yield Operation("POST", parts + "/{id}", files.more_urls, "file")
    yield Operation("PUT", parts + "/{id}", files.save_etags, "file")
    yield Operation("POST", parts + "/{id}/complete", files.complete, "file")
    yield Operation("DELETE", parts + "/{id}/cancel", files.cancel, "file")


def _measurements(saved: Measurements) -> Iterator[Operation]:
    path = "/measurement/v1/measurements"
    yield Operation("POST", path, saved.save, "measurement")
    yield Operation("POST", path + "/bulk", saved.save_bulk, "measurement")
    yield Operation("GET", path + "/raw", saved.raw_v1, "measurement")
    yield Operation("GET", "/measurement/v2/measurements/raw", saved.raw_v2, "measurement")


def _subscriptions(subscriptions: Subscriptions) -> Iterator[Operation]:
    path = "/dispatcher/v1/hooks/interceptions"
    yield Operation("GET", "/settings/v1/interceptions", subscriptions.configurations)
    yield Operation("GET", path, subscriptions.search)
    yield Operation("POST", path + "/subscribe", subscriptions.subscribe)
    yield Operation("POST", path + "/unsubscribe", subscriptions.unsubscribe)


def _health(call: Call) -> Answer:
    return Answer(200, {"version": VERSION, "springVersion": "simulator", "traceId": call.trace_id})


def _properties(call: Call) -> Answer:
    return Answer(200, {"biotVersion": VERSION})
