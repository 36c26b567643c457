"""The routes file as a JSON schema, so that editors complete and explain every key.

`python -m biot_sidecar.routing.file.schema` prints it.
"""

from __future__ import annotations

import json
import sys
from enum import Enum
from typing import Any, Final

from biot_sidecar.routing.file.keys import DEFAULTS, EXPECT, FILE, ROUTE, TEST
from biot_sidecar.routing.file.parse import VERSION, Unmatched
from biot_sidecar.routing.file.values import LONGEST_NAME, TRUTH, UNMATCHED
from biot_sidecar.routing.route import Authorization, Interception, Retry, Route

Schema = dict[str, Any]

_DURATION: Final = r"^([1-9][0-9]*(\.[0-9]+)?|0\.[0-9]+)(ms|s|m|h)(([0-9]+(\.[0-9]+)?)(ms|s|m|h))*$"
_PATTERN: Final = r"^\s*(\*|[^\s|a-z]+(\|[^\s|a-z]+)*)\s+/[^\s?#]*\s*$"
_REQUEST: Final = r"^\s*[A-Z][A-Z0-9_-]*\s+/[^\s{*?]*(\?\S*)?\s*$"
_PLAIN: Final = Route(name=UNMATCHED, source="")


def schema() -> Schema:
    """The schema of the whole file (JSON Schema draft 7, the newest that every editor knows)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "biot-sidecar routes",
        "description": "Routes for a plugin's calls to BioT; `biot-sidecar check` judges what a schema cannot.",
        **_object(
            FILE,
            {
                "version": {"const": int(VERSION)},
                "defaults": _nothing_or(_object(DEFAULTS, {**_settings(defaults=True), "unmatched": _unmatched()})),
                "routes": _nothing_or({"type": "array", "items": _route()}),
                "tests": _nothing_or({"type": "array", "items": _test()}),
            },
            required=["version"],
        ),
    }


def _object(descriptions: dict[str, str], properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    described = {key: {"description": text, **properties[key]} for key, text in descriptions.items()}
    result: Schema = {"type": "object", "additionalProperties": False, "properties": described}
    return result | ({"required": required} if required else {})


def _nothing_or(one: Schema) -> Schema:
    """A section whose lines are all commented out is null to YAML."""
    return {**one, "type": [one["type"], "null"]}


def _settings(*, defaults: bool) -> dict[str, Schema]:
    found: dict[str, Schema] = {
        # YAML 1.1 reads on and off as booleans, and so do some editors.
        "interception": {"enum": [*_words(Interception), *sorted(set(TRUTH.values()))]},
        "authorization": {"enum": _words(Authorization)},
        "timeout": {"type": "string", "pattern": _DURATION, "examples": ["250ms", "30s", "5m", "1h"]},
        "retry": {"enum": _words(Retry)},
    }
    if defaults:
        for key in ("interception", "authorization", "retry"):
            found[key]["default"] = getattr(_PLAIN, key).value
        found["timeout"]["default"] = f"{_PLAIN.timeout:g}s"
    return found


def _words(words: type[Enum]) -> list[str]:
    return [str(one.value) for one in words]


def _unmatched() -> Schema:
    return {"enum": _words(Unmatched), "default": Unmatched.ALLOW.value}


def _route() -> Schema:
    pattern = {"type": "string", "pattern": _PATTERN}
    example = "GET|PUT /organization/v1/users/patients/{id}"
    return _object(
        ROUTE,
        {
            "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "not": {"const": UNMATCHED}},
            "match": {"anyOf": [pattern, {"type": "array", "minItems": 1, "items": pattern}], "examples": [example]},
            **_settings(defaults=False),
            "deny": {"type": "string", "minLength": 1},
            "observe": {"type": "string", "minLength": 1},
        },
        required=["name", "match"],
    ) | {"not": {"required": ["deny", "observe"]}}


def _test() -> Schema:
    expect = _object(
        EXPECT,
        {
            "route": {"type": "string", "minLength": 1},
            **_settings(defaults=False),
            "deny": {"type": ["string", "boolean", "null"], "minLength": 1},
            "observe": {"type": ["string", "boolean", "null"], "minLength": 1},
        },
    )
    request = {"type": "string", "pattern": _REQUEST, "examples": ["GET /ums/v2/users/1"]}
    return _object(TEST, {"request": request, "expect": {**expect, "minProperties": 1}}, required=["request", "expect"])


def text() -> str:
    """The schema as config/routes.schema.json holds it."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
