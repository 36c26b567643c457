"""The table of facts: what it holds, and how the script makes it from a specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from biot_sidecar.routing import biot_operations
from biot_sidecar.simulator import facts

from tests import facts_of_specs

MAIL = {"type": "string", "description": "In the RFC-5322 form"}
BOOLEANS = {"type": "array", "items": {"type": "boolean"}}
SPEC = {
    "servers": [{"url": "/zoo"}],
    "components": {
        "schemas": {
            "Animal": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Prose.", "minLength": 1, "maxLength": 9},
                    "kind": {"type": "string", "enum": ["CAT", "DOG"]},
                    "legs": {"type": "integer", "format": "int32", "minimum": 2},
                    "keeper": {"$ref": "#/components/schemas/Keeper"},
                    "born": {"type": "string", "format": "date-time"},
                    "notes": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "Keeper": {
                "properties": {"mail": {"type": "string", "description": "In the RFC-5322 form"}},
                "type": "object",
            },
        }
    },
    "paths": {
        "/v1/animals": {
            "post": {
                "description": "Prose.\n\nThis API requires **FEED** permission(s).",
                "parameters": [{"name": "why", "in": "query", "required": True}, {"name": "how", "in": "query"}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Animal"}}},
                },
                "responses": {
                    "201": {
                        "content": {"application/json": {"schema": {"type": "array", "items": {"type": "boolean"}}}}
                    },
                    "204": {"description": "Prose."},
                    "409": {"description": "Code : BITES, Details: [id, where]\n\nCode : SLEEPS, Details: []"},
                },
            }
        }
    },
}


def test_the_script_keeps_facts_and_no_prose(tmp_path: Path) -> None:
    (tmp_path / "zoo-1.2.json").write_text(json.dumps(SPEC))
    table = facts_of_specs.table_of(tmp_path)
    assert table["operations"]["POST/zoo/v1/animals"] == {
        "release": "1.2",
        "permission": "FEED",
        "body": "@Animal",
        "required": True,
        "query": ["why"],
        "answers": {"201": {"list": "boolean"}, "204": None},
        "errors": {"409": ["BITES", "SLEEPS"]},
    }
    assert table["details"] == {"BITES": ["id", "where"], "SLEEPS": []}
    assert table["shapes"]["Keeper"] == {"fields": {"mail": "email"}, "must": []}
    assert table["shapes"]["Animal"] == {
        "fields": {
            "name": {"is": "string", "least": 1, "most": 9},
            "kind": {"is": "string", "enum": ["CAT", "DOG"]},
            "legs": {"is": "integer", "least": 2},
            "keeper": "@Keeper",
            "born": "date-time",
            "notes": {"map": "string"},
        },
        "must": ["name"],
    }
    assert "Prose" not in facts_of_specs.written(table)
    assert json.loads(facts_of_specs.written(table)) == table


def test_of_two_releases_the_newer_counts_and_of_two_names_both_stay(tmp_path: Path) -> None:
    other = json.loads(json.dumps(SPEC))
    other["components"]["schemas"]["Keeper"] = {"type": "object", "properties": {"badge": {"type": "integer"}}}
    other["servers"][0]["url"] = "/farm"
    for name, spec in (("zoo-1.2.json", SPEC), ("zoo-1.1.json", SPEC), ("farm-1.2.json", other)):
        (tmp_path / name).write_text(json.dumps(spec))
    table = facts_of_specs.table_of(tmp_path)
    assert table["operations"]["POST/zoo/v1/animals"]["release"] == "1.2"
    keepers = {name for name in table["shapes"] if name.endswith("Keeper")}
    assert keepers == {"Keeper", "zoo.Keeper"}


def test_228_operations_are_of_the_release_and_the_catalogue_agrees() -> None:
    table = facts.operations()
    assert sum(one.release == facts.RELEASE for one in table.values()) == 228
    catalogue = {one.method + one.path: one for one in biot_operations.operations()}
    for key, one in table.items():
        assert key in catalogue
        assert one.permission.split(",")[0] == catalogue[key].permission, key
        assert bool(one.permission) is not catalogue[key].public, key


def test_every_reference_leads_to_a_shape() -> None:
    for one in facts.operations().values():
        for shape in (one.body, *one.answers.values()):
            assert shape is None or facts.resolved(shape), one.key


@pytest.mark.parametrize(
    ("code", "status"), [("EMAIL_ALREADY_EXIST", 409), ("ATTRIBUTE_IS_MANDATORY", 400), ("NO_SUCH_CODE", None)]
)
def test_an_operation_says_under_which_status_it_declares_a_code(code: str, status: int | None) -> None:
    assert facts.facts_of("POST/organization/v1/users/patients").status_of(code) == status


def test_an_operation_of_no_specification_has_no_facts() -> None:
    unknown = facts.facts_of("GET/nowhere")
    assert (unknown.body, unknown.answers, unknown.declared("ACCESS_DENIED")) == (None, {}, "")


def test_an_error_has_the_declared_status_and_its_details() -> None:
    error = facts.refusal(facts.facts_of("POST/device/v2/devices"), "DEVICE_ID_ALREADY_EXISTS", "no", deviceId="d")
    assert (error.status, error.code, error.details) == (409, "DEVICE_ID_ALREADY_EXISTS", {"deviceId": "d"})
    assert list(facts.details_of("DEVICE_ID_ALREADY_EXISTS")) == ["deviceId"]
