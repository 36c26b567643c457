"""Writes the simulator's table of facts from BioT's published specifications, which stay outside the project.

    python -m tests.facts_of_specs FOLDER      # of <service>-<release>.json, OpenAPI 3

What goes in: methods, paths, statuses, permissions, error codes with the names of their details, and the shapes of
bodies (required fields, types, enums, formats, bounds). No prose. Of several releases the newest that has an operation
counts. The form is told in `biot_sidecar.simulator.facts`, which reads the file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from biot_sidecar import simulator

Json = dict[str, Any]
TABLE = Path(simulator.__path__[0]) / "biot_facts.json"

_METHODS = ("get", "post", "put", "patch", "delete")
_CODE = re.compile(r"Code\s*:\s*([A-Z0-9_]+)(?:,\s*Details\s*:\s*\[([^\]]*)\])?")
_PERMISSION = re.compile(r"This API requires \*\*([^*]+)\*\* permission")
_FORMATS = {
    "RFC-5322": "email",
    r"E\.164 formatted phone number$": "phone",
    "java time zone": "timezone",
    "Locale in the following format": "locale",
    "A UTC date in the ISO-8601": "date",
}
"""Formats that the specifications tell in prose only, by what the prose says."""

NEWER: dict[str, Json] = {
    "GET/ums/v2/services/self": {
        "answers": {"200": "@GetServiceUserV2Response"},
        "permission": "UMS_SERVICES_SELF_GET_SERVICE_USER",
    },
    "POST/ums/v2/services/self/secret-keys": {
        "answers": {"201": "@CreateSecretKeyResponse"},
        "errors": {"409": ["MAX_SECRET_KEYS"]},
        "permission": "UMS_SERVICES_SELF_CREATE_SECRET_KEY",
    },
    "DELETE/ums/v2/services/self/secret-keys/{secretKeyId}": {
        "answers": {"204": None},
        "errors": {"404": ["SECRET_KEY_ID_NOT_FOUND"]},
        "permission": "UMS_SERVICES_SELF_DELETE_SECRET_KEY",
    },
}
"""Operations that only the newest SDK (2.4.3) knows and the simulator has."""


class Table:
    """What is gathered over all files; the first description of a name stays, later ones get their service's name."""

    def __init__(self) -> None:
        self.shapes: Json = {}
        self.operations: Json = {}
        self.details: dict[str, list[str]] = {}

    def add(self, service: str, release: str, spec: Json) -> None:
        schemas = spec["components"]["schemas"]
        names = {name: self._name(service, name, shape_of(schema)) for name, schema in schemas.items()}
        for name, schema in schemas.items():
            self.shapes[names[name]] = _renamed(shape_of(schema), names)
        prefix = spec["servers"][0]["url"].rstrip("/")
        for path, methods in spec["paths"].items():
            for method in _METHODS & methods.keys():
                self._operation(method.upper() + prefix + path, release, methods[method], names)

    def _name(self, service: str, name: str, shape: Any) -> str:
        return name if self.shapes.get(name, shape) == shape else f"{service}.{name}"

    def _operation(self, key: str, release: str, operation: Json, names: dict[str, str]) -> None:
        if key in self.operations:
            return
        found = _PERMISSION.search(operation.get("description", ""))
        fact: Json = {"release": release, "permission": found[1] if found else ""}
        if body := _content(operation.get("requestBody") or {}):
            fact["body"] = _renamed(shape_of(body), names)
            fact["required"] = bool(operation["requestBody"].get("required"))
        if "multipart/form-data" in (operation.get("requestBody") or {}).get("content", {}):
            fact["multipart"] = True
        if asked := [one["name"] for one in operation.get("parameters", ()) if _must_be_asked(one)]:
            fact["query"] = asked
        answers: Json = {}
        errors: Json = {}
        for status, response in operation["responses"].items():
            if status < "400":
                content = _content(response)
                answers[status] = _renamed(shape_of(content), names) if content else None
            else:
                errors[status] = list(self._codes(response))
        self.operations[key] = fact | {"answers": answers, "errors": errors}

    def _codes(self, response: Json) -> Iterator[str]:
        for code, details in _CODE.findall(response.get("description", "")):
            self.details.setdefault(code, [name.strip() for name in details.split(",") if name.strip()])
            yield code


def shape_of(schema: Json) -> Any:
    """A schema in the project's own form."""
    if "$ref" in schema:
        return "@" + schema["$ref"].rpartition("/")[2]
    kind = schema.get("type", "any")
    if kind == "array":
        return _bounded({"list": shape_of(schema.get("items", {}))}, schema, "minItems", "maxItems", "uniqueItems")
    if kind == "object" and "properties" in schema:
        fields = {name: shape_of(inner) for name, inner in schema["properties"].items()}
        return {"fields": fields, "must": sorted(schema.get("required", ()))}
    if kind == "object":
        inner = schema.get("additionalProperties")
        return {"map": shape_of(inner) if isinstance(inner, dict) else "any"}
    plain = schema.get("format") if schema.get("format") in ("uuid", "date-time", "date") else kind
    told = next((name for words, name in _FORMATS.items() if re.search(words, schema.get("description", ""))), plain)
    shape = _bounded({"is": told if plain == "string" else plain}, schema, "minimum", "maximum", "uniqueItems")
    shape = _bounded(shape, schema, "minLength", "maxLength", "uniqueItems")
    for name in ("enum", "pattern"):
        if name in schema:
            shape[name] = schema[name]
    return shape["is"] if len(shape) == 1 else shape


def _bounded(shape: Json, schema: Json, least: str, most: str, unique: str) -> Json:
    wanted = {"least": schema.get(least) or None, "most": schema.get(most), "unique": schema.get(unique) or None}
    return shape | {name: value for name, value in wanted.items() if value is not None}


def _renamed(shape: Any, names: dict[str, str]) -> Any:
    if isinstance(shape, str):
        return "@" + names[shape[1:]] if shape.startswith("@") else shape
    if isinstance(shape, dict):
        kept = ("enum", "pattern", "must")
        return {key: value if key in kept else _renamed(value, names) for key, value in shape.items()}
    return shape


def _content(message: Json) -> Json | None:
    contents = message.get("content") or {}
    content = contents.get("application/json") or next(iter(contents.values()), None)
    return content.get("schema") if content else None


def _must_be_asked(parameter: Json) -> bool:
    return parameter["in"] == "query" and bool(parameter.get("required"))


def table_of(folder: Path) -> Json:
    """The whole table; the newest release is read first, and the organization service, which has most names."""
    table = Table()
    files = [(*path.stem.rpartition("-")[::2], path) for path in folder.glob("*.json")]
    files.sort(key=lambda file: (file[0] != "organization", file[0]))
    for service, release, path in sorted(files, key=lambda file: file[1], reverse=True):
        table.add(service, release, json.loads(path.read_text()))
    added = {key: {"release": "2.4.3", "errors": {}} | fact for key, fact in NEWER.items()}
    return {
        "operations": table.operations | added,
        "shapes": table.shapes,
        "details": table.details,
    }


def written(table: Json) -> str:
    """JSON with one line for each entry, so that a change is seen for what it is."""
    parts = []
    for part, entries in table.items():
        lines = [f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(entries.items())]
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(written(table_of(Path(sys.argv[1]))), encoding="ascii")
