"""The attributes of templates: those that BioT knows, from the table of facts, and an author's own."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from biot_sidecar.simulator.facts import Shape, fields_of, resolved
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.refusals import type_name
from biot_sidecar.simulator.shapes import TYPE, Problem
from biot_sidecar.simulator.values import Json

_WORDS: Mapping[str, Shape] = {
    "INTEGER": {"is": "integer"},
    "DECIMAL": {"is": "number"},
    "BOOLEAN": {"is": "boolean"},
    "DATE": {"is": "date"},
    "DATE_TIME": {"is": "date-time"},
    "PHONE": {"is": "phone"},
    "EMAIL": {"is": "email"},
    "TIMEZONE": {"is": "timezone"},
    "LOCALE": {"is": "locale"},
    "ADDRESS": "@Address",
    "NAME": "@Name",
    "REFERENCE": {"fields": {"id": "string"}, "must": ["id"]},
    "FILE": {"fields": {"id": "uuid"}, "must": ["id"]},
    "IMAGE": {"fields": {"id": "uuid"}, "must": ["id"]},
    "LINK": {"is": "any"},
    "WAVEFORM": {"is": "any"},
}
_SHOWN_ONLY = {"_template", "_referencers", "_caption"}


def shape_of_attribute(attribute: Json) -> Shape:
    """The shape of an attribute's values."""
    type_, validation = attribute["type"], attribute.get("validation") or {}
    names = [one["name"] for one in attribute.get("selectableValues") or []]
    if type_ == "SINGLE_SELECT":
        return {"is": "string", "enum": names}
    if type_ == "MULTI_SELECT":
        return {"list": {"is": "string", "enum": names}, "unique": True}
    shape = _WORDS.get(type_, {"is": "string"})
    if isinstance(shape, str) or shape.get("is") == "any":
        return shape
    bounds = {"least": validation.get("min"), "most": validation.get("max"), "pattern": _pattern(validation)}
    return shape | {name: value for name, value in bounds.items() if value is not None}


def _pattern(validation: Json) -> str | None:
    """The regular expression, if Python can read it: BioT's are Java's."""
    try:
        re.compile(validation.get("regex") or "")
    except (re.error, TypeError):
        return None
    return validation.get("regex") or None


def custom_attribute(attribute: Json) -> Json:
    """An author's attribute as a template shows it, from what a create or update brings."""
    category = attribute.get("category") or "REGULAR"
    name = category["name"] if isinstance(category, dict) else str(category)
    defaults: Json = {"displayName": text_name(attribute["name"]), "phi": False, "selectableValues": []}
    shown: Json = defaults | attribute | {"category": {"name": name, "displayName": text_name(name)}}
    values = [{"id": str(uuid.uuid4()), **value} for value in shown["selectableValues"] or []]
    identity = attribute.get("id") or str(uuid.uuid4())
    return shown | {"id": identity, "selectableValues": values, "typeEnum": attribute["type"]}


def built_in_attributes(kind: Kind, changed: Mapping[Any, Json]) -> list[Json]:
    """BioT's own attributes of a kind; `changed` is what a create or update says of some of them, by name."""
    known = ("displayName", "phi", "validation", "numericMetaData", "referenceConfiguration", "uiConfiguration")
    return [
        shown | {key: said[key] for key in known if (said := changed.get(shown["name"], {})).get(key) is not None}
        for shown in _built_in(kind)
    ]


def built_in_types(kind: Kind) -> list[Json]:
    """BioT's own attributes of a kind, as its entity type shows them."""
    return [{name: value for name, value in one.items() if name != "id"} for one in _built_in(kind)]


@cache
def _built_in(kind: Kind) -> Sequence[Json]:
    return tuple(_described(kind))


def _described(kind: Kind) -> Iterator[Json]:
    for base, name, shape in _flat(fields_of("@" + kind.shape), ""):
        if name in _SHOWN_ONLY:
            continue
        identity = uuid.uuid5(uuid.NAMESPACE_URL, f"simulator-{kind.name}-{base}-{name}")
        type_ = type_name(Problem(name, TYPE, shape=resolved(shape)))
        yield {
            "name": name,
            "basePath": base or None,
            "id": str(identity),
            "displayName": text_name(name),
            "phi": False,
            "type": "LABEL" if type_ == "OBJECT" else type_,
            "typeEnum": "LABEL" if type_ == "OBJECT" else type_,
            "category": {"name": "REGULAR", "displayName": "Regular"},
            "validation": {"mandatory": name in kind.mandatory},
            "readOnly": name in ("_creationTime", "_lastModifiedTime"),
            "selectableValues": [{"name": one, "displayName": text_name(one)} for one in _enum(shape)],
            "referenceConfiguration": _reference(kind, name),
        }


def _flat(fields: Mapping[str, Shape], base: str) -> Iterator[tuple[str, str, Shape]]:
    """The fields with those inside of objects that BioT spreads, such as `_status`: base path, name, shape."""
    for name, shape in fields.items():
        inner = fields_of(shape)
        if inner and all(one.startswith("_") for one in inner):
            yield from _flat(inner, f"{base}.{name}" if base else name)
        else:
            yield base, name, shape


def _enum(shape: Shape) -> Sequence[str]:
    found = resolved(shape)
    names: Sequence[str] = found.get("enum", ()) if isinstance(found, dict) else ()
    return names


def _reference(kind: Kind, name: str) -> Json | None:
    if name not in kind.references:
        return None
    return {"uniquely": False, "validTemplatesToReference": [], "entityType": kind.references[name][0]}


def text_name(name: str) -> str:
    """`firstName`, `_name`, `usage_type` as people read it."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).replace("_", " ").split()
    return " ".join(word[:1].upper() + (word[1:].lower() if word.isupper() else word[1:]) for word in words)[:36]
