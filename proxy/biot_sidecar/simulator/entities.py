"""BioT's entities in memory: create, read, update, delete and search, in the shapes of its typed models."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.options import ORGANIZATION_ID
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, mandatory, timestamp

_SYSTEM = ("_id", "_creationTime", "_lastModifiedTime", "_template", "_templateId", "_referencers", "_caption")
_REFERENCES = ("_ownerOrganization", "_caregiver", "_patient", "_registrationCode")


@dataclass(frozen=True)
class Kind:
    """An entity type: BioT's name of it, what a create must bring, and what BioT adds."""

    name: str
    mandatory: tuple[str, ...]
    completed: Callable[[Json], Json]

    @property
    def not_found(self) -> str:
        return self.name.upper().replace("-", "_") + "_NOT_FOUND"


def _person(body: Json) -> Json:
    name = body["_name"]
    return {"_invitationAccepted": False, "_enabled": "ENABLED", "_caption": f"{name['firstName']} {name['lastName']}"}


def _organization(body: Json) -> Json:
    admin = body.get("_primaryAdministrator") or {}
    name = admin.get("_name") or {}
    reference = {"id": str(uuid.uuid4()), "name": f"{name.get('firstName', 'Primary')} {name.get('lastName', 'Admin')}"}
    return {"_primaryAdministrator": reference, "_caption": body["_name"]}


def _device(body: Json) -> Json:
    status = {"_certificateStatus": "NOT_INSTALLED", "_connection": {"_connected": False}}
    return {"_status": status, "_caption": body["_id"]}


def _generic(body: Json) -> Json:
    return {"_caption": body["_name"]}


PATIENT = Kind("patient", ("_name.firstName", "_name.lastName"), _person)
CAREGIVER = Kind("caregiver", ("_name.firstName", "_name.lastName"), _person)
ORGANIZATION = Kind("organization", ("_name",), _organization)
DEVICE = Kind("device", ("_id",), _device)
GENERIC = Kind("generic-entity", ("_name",), _generic)


class EntityStore:
    """All entities of all kinds. Methods raise BiotError where BioT would refuse."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Json]] = {}

    def create(self, kind: Kind, body: Json, now: float, template: str = "", identity: str = "") -> Json:
        """A new entity; `template` is a template's name where the path gives one; without `identity` it gets one."""
        for path in kind.mandatory:
            mandatory(body, path)
        identity = body["_id"] if kind is DEVICE else identity or str(uuid.uuid4())
        if identity in self._of(kind):
            raise BiotError(
                409, f"{kind.name.upper()}_ID_ALREADY_EXISTS", f"[{identity}] exists already", {"id": identity}
            )
        entity = body | self._system(kind, body, template, now) | kind.completed(body) | {"_id": identity}
        entity.pop("_templateId", None)
        self._of(kind)[identity] = self._with_references({"_ownerOrganization": {"id": ORGANIZATION_ID}} | entity)
        return self._of(kind)[identity]

    def get(self, kind: Kind, identity: str, template: str = "") -> Json:
        """The entity, which must be of the named template where the path gives one."""
        entity = self._of(kind).get(identity)
        if entity is None or (template and entity["_template"]["name"] != template):
            raise BiotError(404, kind.not_found, f"{kind.name} with id [{identity}] not found", {"id": identity})
        return entity

    def update(self, kind: Kind, identity: str, body: Json, now: float, template: str = "") -> Json:
        """Merge `body` into the entity (RFC 7396: null removes); what only BioT sets stays as it is."""
        old = self.get(kind, identity, template)
        changes = {name: value for name, value in body.items() if name not in _SYSTEM}
        entity = merged(old, changes)
        for path in kind.mandatory:
            mandatory(entity, path)
        caption = kind.completed(entity)["_caption"]
        entity |= {"_lastModifiedTime": timestamp(now), "_caption": caption}
        self._of(kind)[identity] = self._with_references(entity)
        return self._of(kind)[identity]

    def delete(self, kind: Kind, identity: str, template: str = "") -> None:
        self.get(kind, identity, template)
        del self._of(kind)[identity]

    def search(self, kind: Kind, request: str | None, template: str = "") -> Json:
        """BioT's search answer; among equals the newest comes first."""
        newest_first = reversed(list(self._of(kind).values()))
        return search.search(
            (entity for entity in newest_first if not template or entity["_template"]["name"] == template),
            search.parse(request),
        )

    def _of(self, kind: Kind) -> dict[str, Json]:
        return self._entities.setdefault(kind.name, {})

    def _system(self, kind: Kind, body: Json, template: str, now: float) -> Json:
        name = template or f"simulator-{kind.name}"
        identity = str(body.get("_templateId") or uuid.uuid5(uuid.NAMESPACE_URL, name))
        return {
            "_template": {"id": identity, "name": name, "displayName": name},
            "_creationTime": timestamp(now),
            "_lastModifiedTime": timestamp(now),
            "_referencers": {},
        }

    def _with_references(self, entity: Json) -> Json:
        """References to entities that are known here get their names, as BioT's answers have them."""
        for name in _REFERENCES:
            reference = entity.get(name)
            identity = reference.get("id") if isinstance(reference, dict) else None
            target = self._anywhere(identity) if isinstance(identity, str) else None
            if target:
                entity[name] = {"id": identity, "name": target["_caption"]}
        return entity

    def _anywhere(self, identity: str) -> Json | None:
        return next((entities[identity] for entities in self._entities.values() if identity in entities), None)


class EntityOperations:
    """The operations of one kind as handlers; `template` in the path stands for `{templateName}`."""

    def __init__(self, store: EntityStore, kind: Kind) -> None:
        self._store = store
        self._kind = kind

    def create(self, call: Call) -> Answer:
        template = call.variables.get("templateName", "")
        return Answer(201, self._store.create(self._kind, call.document(), call.now, template))

    def read(self, call: Call) -> Answer:
        return Answer(200, self._store.get(self._kind, *_names(call)))

    def update(self, call: Call) -> Answer:
        identity, template = _names(call)
        return Answer(200, self._store.update(self._kind, identity, call.document(), call.now, template))

    def delete(self, call: Call) -> Answer:
        self._store.delete(self._kind, *_names(call))
        return Answer(204)

    def search(self, call: Call) -> Answer:
        template = call.variables.get("templateName", "")
        return Answer(200, self._store.search(self._kind, call.parameter("searchRequest"), template))

    def set_enabled(self, call: Call) -> Answer:
        """`POST .../{id}/enabled-state/{state}`."""
        state = call.variables["state"]
        if state not in ("ENABLED", "DISABLED"):
            raise BiotError(400, "BAD_REQUEST", "The state must be ENABLED or DISABLED", {"state": state})
        entity = self._store.update(self._kind, call.variables["id"], {"_enabled": state}, call.now)
        return Answer(200, entity)


def merged(old: Any, changes: Any) -> Any:
    """JSON merge patch (RFC 7396)."""
    if not isinstance(changes, dict):
        return changes
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _names(call: Call) -> tuple[str, str]:
    return call.variables["id"], call.variables.get("templateName", "")
