"""Templates: what attributes an entity has beside those that BioT knows, and which of them are mandatory.

Each kind starts with one template that BioT brings, too. An author's own templates are made by `POST
/settings/v1/templates`; entities of these may have no attributes but theirs. Until a kind has one of the author's, the
simulator cannot know which templates there are at BioT: it takes any name and id for one whose attributes are open,
and says so in the log. From then on unknown ones are refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from biot_sidecar.simulator.attributes import built_in_attributes, custom_attribute, shape_of_attribute, text_name
from biot_sidecar.simulator.facts import Shape, facts_of, refusal
from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.store import Collection
from biot_sidecar.simulator.values import BiotError, Call, Json, timestamp
from biot_sidecar.telemetry.redact import printable

_BY_NAME = {
    "TEMPLATE_NOT_FOUND_BY_NAME": "templateName",
    "SESSION_TEMPLATE_NOT_FOUND_BY_USAGE_TYPE": "entityName",
}
"""The codes of a template's name that is not known, and what their details call it."""


@dataclass(frozen=True)
class Template:
    """A template as the engine needs it; `reference` is what its entities show of it."""

    id: str
    kind: str
    reference: Json
    is_open: bool
    shapes: Mapping[str, Shape]
    mandatory: tuple[str, ...]
    defaults: Json

    @property
    def blank(self) -> Json:
        return dict.fromkeys(self.shapes)


class Templates:
    """All templates, those that BioT brings at first."""

    def __init__(self, kinds: Iterable[Kind], now: float) -> None:
        self.kinds = {kind.name: kind for kind in kinds if kind.template}
        self.documents = Collection()
        self._compiled: dict[str, Template] = {}
        self._taught: set[str] = set()
        for kind in self.kinds.values():
            self._bring(kind, kind.template, _id_of(kind.template), now)

    def __getitem__(self, identity: str) -> Template:
        return self._compiled[identity]

    def default(self, kind: Kind) -> Template:
        return self._compiled[_id_of(kind.template)]

    def named(self, kind: Kind, name: str) -> Template | None:
        """The kind's template of this name."""
        found = self.documents.having("name", [name])
        return next((self._compiled[one["id"]] for one in found if one["entityTypeName"] == kind.name), None)

    def by_name(self, kind: Kind, name: str, call: Call) -> Template:
        """The template that a path names."""
        template = self.named(kind, name)
        if template is not None:
            return template
        if kind.name in self._taught:
            code = facts_of(call.api_id).declared(*_BY_NAME) or "TEMPLATE_NOT_FOUND_BY_NAME"
            refuse(call, BiotError(404, code, f"Template [{name}] not found", {_BY_NAME[code]: name}), "templateName")
        return self._taken(kind, name, str(uuid.uuid4()), call)

    def by_id(self, kind: Kind, identity: str, call: Call) -> Template:
        """The template that a body names by its id."""
        template = self._compiled.get(identity)
        if template is not None and template.kind != kind.name:
            details = {"templateId": identity, "entityType": kind.name}
            message = f"Template [{identity}] is none of [{kind.name}]"
            refuse(call, BiotError(403, "ENTITY_TYPE_TEMPLATE_MISMATCH", message, details), "_templateId")
        if template is not None:
            return template
        if kind.name in self._taught:
            message = f"Template with id [{identity}] not found"
            refuse(call, BiotError(404, "TEMPLATE_NOT_FOUND", message, {"templateId": identity}), "_templateId")
        return self._taken(kind, f"template_{identity[:8]}", identity, call)

    def add_attributes(self, kind: Kind, attributes: Iterable[tuple[str, str]]) -> None:
        """Give the kind's first template attributes of its own (name, type); it stays open to others."""
        document = self.documents.get(self.default(kind).id) or {}
        own = [custom_attribute({"name": name, "type": type_}) for name, type_ in attributes]
        self._keep(document | {"customAttributes": own}, is_open=True)

    def create(self, kind: Kind, body: Json, now: float) -> Json:
        """A new template of the author's; the body is checked already."""
        self._taught.add(kind.name)
        document = self._document(kind, body, str(uuid.uuid4()), now)
        return self._keep(document | {"removable": True}, is_open=False)

    def replace(self, identity: str, body: Json, now: float) -> Json:
        """An update, which brings everything."""
        old = self.documents.get(identity) or {}
        kind = self.kinds[old["entityTypeName"]]
        self._taught.add(kind.name)
        document = self._document(kind, body, identity, now)
        kept = {name: old[name] for name in ("creationTime", "removable")}
        if not body.get("templateAttributes"):
            kept["templateAttributes"] = old["templateAttributes"]
        return self._keep(document | kept, is_open=False)

    def remove(self, identity: str) -> None:
        self.documents.remove(identity)
        del self._compiled[identity]

    def _taken(self, kind: Kind, name: str, identity: str, call: Call) -> Template:
        message = "template [%s] of [%s] is not known here and taken as it is; POST /settings/v1/templates tells of it"
        log.warning(message, printable(name), kind.name)
        return self._bring(kind, name, identity, call.now)

    def _bring(self, kind: Kind, name: str, identity: str, now: float) -> Template:
        body = {"name": name, "displayName": text_name(name)}
        self._keep(self._document(kind, body, identity, now) | {"removable": False}, is_open=True)
        return self._compiled[identity]

    def _document(self, kind: Kind, body: Json, identity: str, now: float) -> Json:
        parent = self.documents.get(str(body.get("parentTemplateId"))) or self._default_parent(kind)
        changed = {one.get("name"): one for one in body.get("builtInAttributes") or [] if isinstance(one, dict)}
        return {
            "displayName": body["displayName"],
            "name": body["name"],
            "description": body.get("description"),
            "ownerOrganizationId": body.get("ownerOrganizationId") or None,
            "analyticsDbConfiguration": body.get("analyticsDbConfiguration"),
            "id": identity,
            "entityTypeName": kind.name,
            "removable": True,
            "creationTime": timestamp(now),
            "lastModifiedTime": timestamp(now),
            "parentTemplate": parent and {name: parent[name] for name in ("id", "name", "displayName")},
            "parentTemplateId": parent and parent["id"],
            "customAttributes": [custom_attribute(one) for one in body.get("customAttributes") or []],
            "builtInAttributes": built_in_attributes(kind, changed),
            "templateAttributes": _template_attributes(kind),
        }

    def _default_parent(self, kind: Kind) -> Json | None:
        parent = self.kinds.get(kind.parent_template)
        return self.documents.get(_id_of(parent.template)) if parent else None

    def _keep(self, document: Json, *, is_open: bool) -> Json:
        own = [one for one in document["customAttributes"] if one["category"]["name"] != "MEASUREMENT"]
        reference = {name: document[name] for name in ("id", "name", "displayName")}
        if document["parentTemplate"]:
            reference["parentTemplate"] = document["parentTemplate"]
        mandatory = [one["name"] for one in own if (one.get("validation") or {}).get("mandatory")]
        self._compiled[document["id"]] = Template(
            id=document["id"],
            kind=document["entityTypeName"],
            reference=reference
            | ({"parentTemplate": document["parentTemplate"]} if document["parentTemplate"] else {}),
            is_open=is_open,
            shapes={one["name"]: shape_of_attribute(one) for one in own},
            mandatory=tuple(mandatory),
            defaults={one["name"]: default for one in own if (default := _default_of(one)) is not None},
        )
        self.documents.put(document["id"], document)
        return document


def template_not_found(identity: str, call: Call) -> BiotError:
    message = f"Template with id [{identity}] not found"
    return refusal(facts_of(call.api_id), "TEMPLATE_NOT_FOUND", message, templateId=identity)


def _default_of(attribute: Json) -> Any:
    return (attribute.get("validation") or {}).get("defaultValue")


def _id_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulator-template-{name}"))


def _template_attributes(kind: Kind) -> list[Json]:
    """Patients may sign up; which organizations' may is said by this attribute."""
    if kind.name != "patient":
        return []
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, "simulator-sign-up"))
    return [
        {
            "name": "_signUp",
            "basePath": None,
            "id": identity,
            "displayName": "Sign Up",
            "phi": False,
            "type": "MULTI_SELECT",
            "value": ["SELF", "ANONYMOUS"],
            "category": {"name": "SIGN_UP", "displayName": "Sign Up"},
            "selectableValues": [{"name": one, "displayName": one.title()} for one in ("SELF", "ANONYMOUS")],
            "validation": {"mandatory": False},
            "organizationSelection": {"allowed": True, "configuration": {"selected": [], "all": True}},
        }
    ]
