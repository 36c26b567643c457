"""The schema that editors use says what the reader says."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from biot_sidecar.routing.file import load
from biot_sidecar.routing.file import schema as schemas
from biot_sidecar.routing.file.keys import SECTIONS
from biot_sidecar.routing.file.schema import schema, text
from hypothesis import given
from hypothesis import strategies as st

CONFIG = Path(__file__).resolve().parents[3] / "config"
TOP = schema()["properties"]
ROUTE, CASE = TOP["routes"]["items"]["properties"], TOP["tests"]["items"]["properties"]


@cache
def validator() -> Any:
    import jsonschema  # for a second and a half, with the formats that other tools bring

    return jsonschema.Draft7Validator(schema())


def valid(route: dict[str, object]) -> bool:
    return bool(validator().is_valid({"version": 1, "routes": [{"name": "a", "match": "GET /a", **route}]}))


def reads(route: dict[str, object]) -> bool:
    """True when the reader takes such a route; JSON is YAML too."""
    whole = json.dumps({"version": 1, "routes": [{"name": "a", "match": "GET /a", **route}]})
    return load(whole.encode(), "f").table is not None


def test_the_file_in_config_is_the_schema():
    assert (CONFIG / "routes.schema.json").read_text() == text()


def test_it_is_a_schema():
    validator().check_schema(schema())


@pytest.mark.parametrize("truths", [True, False])
def test_the_shipped_file_is_valid_however_an_editor_reads_on(truths):
    shipped = (CONFIG / "routes.yaml").read_text()
    assert shipped.startswith("# yaml-language-server: $schema=./routes.schema.json\n")
    validator().validate(yaml.safe_load(shipped if truths else re.sub(r"\b(on|off)\b", r"'\1'", shipped)))


def test_every_key_of_every_section_is_described():
    sections = [TOP, TOP["defaults"]["properties"], ROUTE, CASE, CASE["expect"]["properties"]]
    for known, section in zip(SECTIONS.values(), sections, strict=True):
        assert {key: one["description"] for key, one in section.items()} == known


@pytest.mark.parametrize(
    "route",
    [
        {"interception": "on"},
        {"interception": True},
        {"authorization": "keep", "retry": "none", "timeout": "1m30s", "deny": "no"},
        {"match": ["GET /a", "* /b/**"]},
        {"observe": "why"},
    ],
)
def test_what_the_reader_takes_is_valid(route):
    assert reads(route)
    assert valid(route)


@pytest.mark.parametrize(
    "route",
    [
        {"interception": "maybe"},
        {"authorization": "no"},
        {"retry": "off"},
        {"timeout": "60"},
        {"timeout": "0s"},
        {"timeout": "010s"},
        {"deny": True},
        {"observe": True},
        {"observe": "why", "deny": "never"},
        {"deny": ""},
        {"name": ""},
        {"name": "unmatched"},
        {"name": "a" * 101},
        {"match": []},
        {"match": "/a"},
        {"match": "get /a"},
        {"match": "GET a"},
        {"match": "GET /a?b"},
        {"unknown": 1},
    ],
)
def test_what_the_reader_refuses_is_not_valid(route):
    assert not reads(route)
    assert not valid(route)


@given(st.from_regex(schemas._DURATION, fullmatch=True))
def test_what_the_schema_takes_for_a_duration_is_one(duration):
    report = load(json.dumps({"version": 1, "defaults": {"timeout": duration}}).encode(), "f").errors
    assert all("longer than a week" in problem.message or "0 would end" in problem.message for problem in report)


@given(
    st.sampled_from(["1s", "1", "05s", "1m30s", "1m05s", "250ms", "1.5h", "0.5s", "0s", "0", "1 s", "1S", "-1s", ""])
)
def test_durations_are_valid_where_the_reader_takes_them(duration):
    assert valid({"timeout": duration}) == reads({"timeout": duration})
