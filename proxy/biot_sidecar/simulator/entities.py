"""The engine: creates, reads, updates, deletes and searches entities of every kind, in the shapes of BioT's answers.

An entity is kept with the attributes that are set and shown with all of its template's, unset ones as null. What is
refused is refused here for all kinds (references, duplicates, attributes of the template), beside what the table of
facts says of the body (`refusals.check_body`, before any handler) and a kind's own rules (`Kind.derive`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.facts import facts_of, fields_of, refusal
from biot_sidecar.simulator.kinds import Kind, Unique
from biot_sidecar.simulator.options import MANUFACTURER_ID, ORGANIZATION_ID
from biot_sidecar.simulator.refusals import check_value, refuse
from biot_sidecar.simulator.store import Collection
from biot_sidecar.simulator.templates import Template, Templates
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Json, timestamp

_MOST_REFERENCES = 1000
"""Entities whose references are kept at hand."""


class Entities:
    """All entities of all kinds. Methods raise BiotError where BioT would refuse."""

    def __init__(self, kinds: Iterable[Kind], now: float) -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        self.templates = Templates(self.kinds.values(), now)
        self._references: dict[int, tuple[Json, Json]] = {}  # by the entity's identity as an object
        self._collections = {name: Collection() for name in self.kinds}

    def of(self, kind: str) -> Collection:
        return self._collections[kind]

    def create(
        self, kind: Kind, body: Json, call: Call, template: str = "", action: str = "_create", **system: Any
    ) -> Json:
        """A new entity as BioT shows it; `template` is a name that the path gave, `system` what BioT sets itself."""
        found = self._template(kind, body, call, template)
        identity = str(system.pop("id", "") or (body.get(kind.id_attribute) if kind.given_id else "") or uuid.uuid4())
        entity = self._attributes(kind, found, body, call) | self._system(kind, found, identity, call) | system
        if found is not None:
            entity = found.defaults | entity
            entity.setdefault("_ownerOrganization", {"id": self._owner(kind, entity)})
        self._complete(kind, entity, None, call)
        self.of(kind.name).put(identity, entity)
        return self._announced(kind, action, entity, None, call)

    def get(self, kind: Kind, identity: str, call: Call) -> Json:
        """The entity as it is kept; it must be of the parent and of the template that the path names."""
        entity = self.of(kind.name).get(identity)
        if entity is None or not self._is_of_template(entity, call):
            detail = {kind.id_detail: identity}
            raise refusal_404(call, kind.not_found, f"{kind.name} with id [{identity}] not found", detail)
        self._check_parent(kind, entity, call)
        return entity

    def update(self, kind: Kind, identity: str, body: Json, call: Call, action: str = "_update", **system: Any) -> Json:
        """Merge `body` into the entity (RFC 7396: null unsets); what only BioT sets stays as it is."""
        old = self.get(kind, identity, call)
        template = self.templates[old["_template"]["id"]] if kind.template else None
        changes = self._attributes(kind, template, body, call, old)
        entity = merged(old, changes) | {kind.own("lastModifiedTime"): timestamp(call.now)} | system
        for name in kind.mandatory:
            if entity.get(name) is None:
                refuse(call, mandatory(name, call), name)
        self._complete(kind, entity, old, call)
        self.of(kind.name).put(identity, entity)
        return self._announced(kind, action, entity, old, call)

    def delete(self, kind: Kind, identity: str, call: Call) -> None:
        entity = self.get(kind, identity, call)
        kind.guard(entity, call, self)
        self.of(kind.name).remove(identity)
        self._delete_children(kind, identity)
        self._announced(kind, "_delete", entity, None, call)

    async def prepare(self, kind: str, text: str | None) -> None:
        """Let a long search's preparations hold up nobody; a request that cannot be read is told by the search."""
        if kind in self.kinds and text:
            with suppress(BiotError):
                for _ in self.of(kind).prepare(search.parse(text)):
                    await asyncio.sleep(0)

    def search(self, kind: Kind, request: search.SearchRequest, within: Json | None = None) -> Json:
        """BioT's search answer; `within` is a filter that the path implies."""
        asked = request
        if within:
            request = replace(request, filter=within | {"$AND": {"filter": request.filter}})
        found = self.of(kind.name).page(request)
        data = [self.shown(kind, entity) for entity in found["data"]]
        return search.answer(data, found["metadata"]["page"]["totalResults"], asked)

    def shown(self, kind: Kind, entity: Json) -> Json:
        """The entity with every attribute that it could have, unset ones as null."""
        own = self.templates[entity["_template"]["id"]].blank if kind.template else {}
        return {**kind.blank, **own, **entity}

    def reference(self, kind: Kind, entity: Json) -> Json:
        """What another entity shows of this one: one object for all that show it."""
        known = self._references.get(id(entity))
        if known is None or known[0] is not entity:
            if len(self._references) >= _MOST_REFERENCES:
                self._references.clear()
            known = self._references[id(entity)] = (entity, self._reference(kind, entity))
        return known[1]

    def _reference(self, kind: Kind, entity: Json) -> Json:
        template = entity.get("_template") or {}
        return {
            "id": kind.id_of(entity),
            "name": entity.get("_caption"),
            "templateId": template.get("id"),
            "parentEntityId": None,
            "templateName": template.get("name"),
            "template": template or None,
        }

    def _owner(self, kind: Kind, entity: Json) -> str:
        """Whose an entity is that names no owner: its parent's, or everything's."""
        parent = kind.parent
        above = self.of(parent.kind).get(entity[parent.attribute]["id"]) if parent else None
        return str(above["_ownerOrganization"]["id"]) if above else ORGANIZATION_ID

    def _delete_children(self, kind: Kind, identity: str) -> None:
        for child in self.kinds.values():
            if child.parent is not None and child.parent.kind == kind.name:
                for entity in self.of(child.name).having(f"{child.parent.attribute}.id", [identity]):
                    self.of(child.name).remove(child.id_of(entity))

    def _template(self, kind: Kind, body: Json, call: Call, name: str) -> Template | None:
        if not kind.template:
            return None
        if name:
            return self.templates.by_name(kind, name, call)
        identity = body.get("_templateId")
        return self.templates.by_id(kind, identity, call) if isinstance(identity, str) else self.templates.default(kind)

    def _attributes(
        self, kind: Kind, template: Template | None, body: Json, call: Call, old: Json | None = None
    ) -> Json:
        """What of a body is the entity's: BioT's attributes that may be set, and the template's own."""
        allowed = fields_of(facts_of(call.api_id).body)
        kept = {}
        for name, value in body.items():
            if name in allowed and name != "_templateId":
                kept[name] = value
            elif name not in kind.blank and name != "_templateId":
                self._check_own(template, name, value, call)
                kept[name] = value
            elif not allowed and name in kind.blank:
                kept[name] = value  # no body of a request: what BioT itself makes
        if template is not None:
            for name in template.mandatory:
                if kept.get(name, (old or template.defaults).get(name)) is None:
                    refuse(call, mandatory(name, call), name)
        return kept if old is not None else {name: value for name, value in kept.items() if value is not None}

    def _check_own(self, template: Template | None, name: str, value: Any, call: Call) -> None:
        if template is None:
            return
        if name in template.shapes:
            if value is not None:
                check_value(call, value, template.shapes[name], name)
        elif not template.is_open:
            message = f"Attribute [{name}] is none of the template's"
            details = {"attributeName": name, "templateId": template.id}
            refuse(call, BiotError(400, "ATTRIBUTE_NOT_VALID_FOR_TEMPLATE", message, details))

    def _system(self, kind: Kind, template: Template | None, identity: str, call: Call) -> Json:
        now = timestamp(call.now)
        names = {"creationTime": now, "lastModifiedTime": now}
        system: Json = {kind.own(name): value for name, value in names.items()} | {kind.id_attribute: identity}
        return system | ({"_template": template.reference} if template else {})

    def _complete(self, kind: Kind, entity: Json, old: Json | None, call: Call) -> None:
        kind.derive(entity, old, call, self)
        for name, kinds in kind.references.items():
            if entity.get(name) is not None and entity[name] != (old or {}).get(name):
                entity[name] = self._referenced(name, entity, kinds, call)
        for unique in kind.unique:
            self._check_unique(kind, unique, entity, old, call)
        if kind.template:
            entity["_caption"] = kind.caption(entity)

    def _referenced(self, name: str, entity: Json, kinds: Iterable[str], call: Call) -> Json:
        value = entity[name]
        identity = str(value.get("id")) if isinstance(value, dict) else ""
        for one in kinds:
            target = self.of(one).get(identity)
            if target is None and identity == MANUFACTURER_ID == entity.get("_id"):
                target = entity | {"_caption": self.kinds[one].caption(entity)}  # the first organization is its own
            if target is not None:
                return self.reference(self.kinds[one], target)
        refuse(call, self._unknown_reference(name, identity, call), name)
        return value if isinstance(value, dict) else {}

    def _unknown_reference(self, name: str, identity: str, call: Call) -> BiotError:
        facts = facts_of(call.api_id)
        for kind, collection in self._collections.items():
            if collection.get(identity) is not None:
                details = {"attributeName": name, "entityId": identity, "entityTypeName": kind}
                message = f"Attribute [{name}] cannot refer to [{kind}]"
                return refusal(facts, "REFERENCED_ENTITY_TYPE_MISMATCH", message, **details)
        message = f"Attribute [{name}] refers to [{identity}], which does not exist"
        if name == "_ownerOrganization" and facts.status_of("ORGANIZATION_NOT_FOUND"):
            return refusal(facts, "ORGANIZATION_NOT_FOUND", message, id=identity)
        details = {"attributeName": name, "entityId": identity}
        return BiotError(404, "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND", message, details)

    def _check_unique(self, kind: Kind, unique: Unique, entity: Json, old: Json | None, call: Call) -> None:
        values = search.values(entity, unique.path.split("."))
        for other in self.kinds.values() if values else ():
            shared = any(one.path == unique.path and one.group == unique.group for one in other.unique)
            if not shared or (other is not kind and not unique.group):
                continue
            if any(found is not old for found in self.of(other.name).having(unique.path, values)):
                message = f"Attribute [{unique.path}] has a value that exists already"
                refuse(call, BiotError(409, unique.code, message, {unique.detail: values[0]}), unique.path)

    def _is_of_template(self, entity: Json, call: Call) -> bool:
        name = call.variables.get("templateName")
        return not name or "id" not in call.variables or entity["_template"]["name"] == name

    def _check_parent(self, kind: Kind, entity: Json, call: Call) -> None:
        parent = kind.parent
        if parent is None or parent.variable not in call.variables:
            return
        identity = call.variables[parent.variable]
        if (entity.get(parent.attribute) or {}).get("id") != identity:
            details = {parent.wrong_detail: identity, "id": kind.id_of(entity)}
            message = f"{kind.name} [{kind.id_of(entity)}] is not of [{identity}]"
            raise refusal(facts_of(call.api_id), parent.wrong, message, **details)

    def _announced(self, kind: Kind, action: str, entity: Json, old: Json | None, call: Call) -> Json:
        shown = self.shown(kind, entity)
        if kind.template:
            before = self.shown(kind, old) if old is not None else None
            actions = [action, *kind.also(entity, old)] if action != "_delete" else [action]
            call.changes.extend(Change(kind.name, one, shown, before) for one in actions)
        return shown


def made_by_biot(call: Call) -> Call:
    """The call, for a body that is not its own: every attribute of BioT's may be set."""
    return replace(call, api_id="", variables={})


def refusal_404(call: Call, code: str, message: str, details: Json) -> BiotError:
    """A refusal with the status that the operation declares for the code, else 404."""
    return BiotError(facts_of(call.api_id).status_of(code) or 404, code, message, details)


def mandatory(name: str, call: Call) -> BiotError:
    """The refusal of an entity that lacks an attribute."""
    facts = facts_of(call.api_id)
    if name == "_ownerOrganization" and facts.status_of("OWNER_ORGANIZATION_CANNOT_BE_NULL"):
        return refusal(facts, "OWNER_ORGANIZATION_CANNOT_BE_NULL", "An entity needs an owner organization")
    return refusal(facts, "ATTRIBUTE_IS_MANDATORY", f"Attribute [{name}] is mandatory", attributeName=name)


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


def template_of(variables: Mapping[str, str]) -> str:
    """The name of a template that a path gives."""
    return variables.get("templateName") or variables.get("usageType") or ""


class EntityOperations:
    """The operations of one kind as handlers."""

    def __init__(self, entities: Entities, kind: Kind, created: str = "_create") -> None:
        self._entities = entities
        self._kind = kind
        self._created = created  # the action that a create is to who is notified

    def create(self, call: Call) -> Answer:
        return self.create_with(call)

    def create_with(self, call: Call, **system: Any) -> Answer:
        """A create in which BioT sets something beside the body."""
        name, system = template_of(call.variables), self._parent(call) | system
        return Answer(201, self._entities.create(self._kind, call.document(), call, name, self._created, **system))

    def read(self, call: Call) -> Answer:
        return Answer(200, self._entities.shown(self._kind, self._entities.get(self._kind, call.variables["id"], call)))

    def update(self, call: Call) -> Answer:
        return Answer(200, self._entities.update(self._kind, call.variables["id"], call.document(), call))

    def delete(self, call: Call) -> Answer:
        self._entities.delete(self._kind, call.variables["id"], call)
        return Answer(204)

    def search(self, call: Call) -> Answer:
        name = template_of(call.variables)
        within = {"_templateName": {"eq": name}} if name else None
        return Answer(200, self._entities.search(self._kind, search.parse(call.parameter("searchRequest")), within))

    def _parent(self, call: Call) -> Json:
        """The attribute that refers to the entity in whose path this is, which must exist."""
        parent = self._kind.parent
        if parent is None:
            return {}
        identity = call.variables[parent.variable]
        if self._entities.of(parent.kind).get(identity) is None:
            message = f"{parent.kind} with id [{identity}] not found"
            raise refusal_404(call, parent.missing, message, {parent.missing_detail: identity})
        return {parent.attribute: {"id": identity}}
