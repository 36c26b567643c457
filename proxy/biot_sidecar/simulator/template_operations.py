"""BioT's operations on templates, and the entity types that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.attributes import built_in_types
from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.facts import facts_of, fields_of, refusal
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.notifications import NOTIFIABLE
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.templates import template_not_found
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json

_SELECTS = ("SINGLE_SELECT", "MULTI_SELECT")


class TemplateOperations:
    """`/settings/v1/templates` and `/settings/v1|v2/entity-types`."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities
        self._templates = entities.templates

    def operations(self) -> Iterator[Operation]:
        path = "/settings/v1/templates"
        yield Operation("GET", path, self.search)
        yield Operation("GET", path + "/minimized", self.minimized)
        yield Operation("POST", path, self.create)
        yield Operation("GET", path + "/{templateId}", self.read)
        yield Operation("PUT", path + "/{templateId}", self.replace)
        yield Operation("DELETE", path + "/{templateId}", self.delete)
        yield Operation("GET", path + "/{templateId}/overview", self.overview)
        yield Operation("GET", "/settings/v1/attributes", self.attributes)  # undocumented; BioT's own samples ask it
        yield Operation("GET", "/settings/v1/entity-types", self.entity_types)
        yield Operation("GET", "/settings/v2/entity-types", self.search_entity_types)
        for version in ("v1", "v2"):
            yield Operation("GET", f"/settings/{version}/entity-types/action-notifications", self.actions)

    def search(self, call: Call) -> Answer:
        request = search.parse(call.parameter("searchRequest"))
        return Answer(200, self._templates.documents.page(request))

    def minimized(self, call: Call) -> Answer:
        found, names = self.search(call).body, fields_of("@TemplateMinimizedResponse")
        return Answer(200, found | {"data": [{name: one[name] for name in names} for one in found["data"]]})

    def create(self, call: Call) -> Answer:
        body = call.document()
        kind = self._templates.kinds.get(str(body.get("entityType")))
        if kind is None:
            details = {"entityTypeName": body.get("entityType")}
            raise BiotError(404, "ENTITY_TYPE_NOT_FOUND", "There is no such entity type", details)
        self._check(kind, body, call)
        return Answer(201, self._templates.create(kind, body, call.now))

    def read(self, call: Call) -> Answer:
        return Answer(200, self._get(call))

    def replace(self, call: Call) -> Answer:
        document, body = self._get(call), call.document()
        self._check(self._templates.kinds[document["entityTypeName"]], body, call, document["id"])
        return Answer(200, self._templates.replace(document["id"], body, call.now))

    def delete(self, call: Call) -> Answer:
        document = self._get(call)
        facts, identity, kind = facts_of(call.api_id), document["id"], document["entityTypeName"]
        if not document["removable"]:
            details = {"templateId": identity, "entityTypeName": kind}
            raise refusal(facts, "TEMPLATE_DELETION_DISALLOWED", "This template cannot be deleted", **details)
        if self._used(document):
            raise refusal(facts, "TEMPLATE_IN_USE_DELETE_TEMPLATE", "The template is in use", templateId=identity)
        self._templates.remove(identity)
        return Answer(204)

    def overview(self, call: Call) -> Answer:
        statistics = {"entitiesCount": self._used(self._get(call))}
        return Answer(200, {"statistics": statistics, "referencedByAttributes": []})

    def attributes(self, call: Call) -> Answer:
        """Every attribute of every template's author, with where it is."""
        found = [
            attribute | {"category": attribute["category"]["name"], "templateId": template["id"]}
            for template in self._templates.documents
            for attribute in template["customAttributes"]
        ]
        return Answer(200, search.search(found, search.parse(call.parameter("searchRequest"))))

    def entity_types(self, call: Call) -> Answer:
        return Answer(200, {"entityTypes": [_entity_type(kind) for kind in self._templates.kinds.values()]})

    def search_entity_types(self, call: Call) -> Answer:
        kinds = [_entity_type(kind) for kind in self._templates.kinds.values()]
        return Answer(200, search.search(kinds, search.parse(call.parameter("searchRequest"))))

    def actions(self, call: Call) -> Answer:
        kinds = self._templates.kinds
        actions = [
            {
                "entityName": name,
                "entityDisplayName": kinds[name].display_name,
                "actionName": action,
                "actionDisplayName": action.removeprefix("_").title(),
            }
            for name, actions in NOTIFIABLE.items()
            for action in actions
        ]
        return Answer(200, {"entityTypes": actions})

    def _get(self, call: Call) -> Json:
        identity = call.variables["templateId"]
        document = self._templates.documents.get(identity)
        if document is None:
            raise template_not_found(identity, call)
        return document

    def _used(self, document: Json) -> int:
        return len(self._entities.of(document["entityTypeName"]).having("_template.id", [document["id"]]))

    def _check(self, kind: Kind, body: Json, call: Call, identity: str = "") -> None:
        """Refuse what BioT refuses of a template beside the shape of its body."""
        facts = facts_of(call.api_id)
        same = self._templates.named(kind, str(body.get("name")))
        if same is not None and same.id != identity:
            details = {"templateName": body["name"], "templateId": same.id}
            refuse(
                call, refusal(facts, "TEMPLATE_DUPLICATE_NAME", "There is a template of this name", **details), "name"
            )
        if body.get("parentTemplateId"):
            self._check_parent(kind, str(body["parentTemplateId"]), call)
        attributes: Sequence[Json] = body.get("customAttributes") or ()
        for name in _repeated(one.get("name") for one in attributes):
            details = {"duplicateName": name, "duplicateNameAttributeId": None}
            message = "Two attributes have the same name"
            refuse(call, refusal(facts, "CUSTOM_ATTRIBUTES_DUPLICATE_NAME", message, **details), "customAttributes")
        for attribute in attributes:
            for code, details in _wrong(attribute):
                refuse(call, refusal(facts, code, f"Attribute [{attribute['name']}] is wrong: {code}", **details))

    def _check_parent(self, kind: Kind, identity: str, call: Call) -> None:
        facts, parent = facts_of(call.api_id), self._templates.documents.get(identity)
        if not kind.parent_template:
            details = {"entityTypeName": kind.name}
            message = "Templates of this entity type have no parent"
            refuse(
                call, refusal(facts, "ENTITY_DOES_NOT_SUPPORT_PARENT_TEMPLATE", message, **details), "parentTemplateId"
            )
        elif parent is None:
            refuse(call, template_not_found(identity, call), "parentTemplateId")
        elif parent["entityTypeName"] != kind.parent_template:
            details = {
                "entityTypeName": kind.name,
                "supportedParentEntityTypeName": kind.parent_template,
                "inputtedParentEntityTypeName": parent["entityTypeName"],
            }
            message = "The parent is of another entity type"
            refuse(call, refusal(facts, "PARENT_TEMPLATE_TYPE_NOT_SUPPORTED", message, **details), "parentTemplateId")


def _wrong(attribute: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """What is wrong with an author's attribute: codes with their details."""
    name, type_ = attribute.get("name"), attribute.get("type")
    validation = attribute.get("validation") or {}
    about = {"attributeName": name}
    if type_ == "REFERENCE" and not attribute.get("referenceConfiguration"):
        yield "REFERENCE_CONFIGURATION_MISSING", about
    if type_ == "LINK" and not attribute.get("linkConfiguration"):
        yield "LINK_CONFIGURATION_NULL", about
    if type_ != "LINK" and attribute.get("linkConfiguration"):
        yield "LINK_CONFIGURATION_NOT_NULL", about | {"type": type_}
    if validation.get("regex") and type_ not in ("LABEL", "PARAGRAPH"):
        yield "VALIDATION_DEFINITION_REGEX_NOT_SUPPORTED", about
    for value in _repeated(one.get("name") for one in attribute.get("selectableValues") or ()):
        yield "DUPLICATE_SELECTABLE_VALUE", {"propertyName": "name", "displayName": value}


def _repeated(names: Iterable[Any]) -> list[Any]:
    seen: list[Any] = []
    return [name for name in names if name in seen or seen.append(name)]  # type: ignore[func-returns-value]


def _entity_type(kind: Kind) -> Json:
    actions = [{"name": name, "displayName": name.removeprefix("_").title()} for name in NOTIFIABLE.get(kind.name, ())]
    return {
        "name": kind.name,
        "displayName": kind.display_name,
        "builtInActions": [one | {"enableNotification": True, "enableLog": True} for one in actions],
        "children": [],
        "attributeCategories": [{"name": "REGULAR", "displayName": "Regular"}],
        "builtInAttributes": built_in_types(kind),
        "templateAttributes": [],
        "parentTemplateType": kind.parent_template or None,
        "captionAttributes": [],
        "reservedTemplateNames": [],
        "addingCustomAttributeReferenceTypeSupported": True,
        "addingTemplatesSupported": True,
    }
