"""Entities asked through the whole simulator, without sockets: BioT's statuses, shapes and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.entities import merged
from biot_sidecar.simulator.options import ORGANIZATION_ID
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.helpers import NOW, Desk, relaxed

PATIENTS = "/organization/v1/users/patients"
DEMO = f"{PATIENTS}/{seed.PATIENT_ID}"
NAME = {"firstName": "Nora", "lastName": "New"}

COLLECTIONS = [
    (PATIENTS, {"_name": NAME}, "PATIENT_NOT_FOUND"),
    ("/organization/v1/users/caregivers", {"_name": NAME}, "CAREGIVER_NOT_FOUND"),
    ("/organization/v1/organizations", {"_name": "Clinic"}, "ORGANIZATION_NOT_FOUND"),
    ("/device/v2/devices", {"_id": "dev-2"}, "DEVICE_NOT_FOUND"),
    ("/generic-entity/v1/generic-entities", {"_name": "Note"}, "GENERIC_ENTITY_NOT_FOUND"),
    ("/generic-entity/v3/generic-entities/memo", {"_name": "Note"}, "GENERIC_ENTITY_NOT_FOUND"),
]


@pytest.mark.parametrize(("path", "body", "missing"), COLLECTIONS)
async def test_every_kind_is_created_read_updated_found_and_deleted(
    desk: Desk, path: str, body: Any, missing: str
) -> None:
    created = await desk.ask("POST", path, body | {"custom": 1})
    assert created.status == 201
    one = f"{path}/{created.body['_id']}"
    assert (await desk.ask("GET", one)).body == created.body

    updated = await desk.ask("PATCH", one, {"custom": 2})
    assert (updated.status, updated.body["custom"]) == (200, 2)
    request = json.dumps({"filter": {"custom": {"eq": 2}}})
    found = await desk.ask("GET", path, query={"searchRequest": request})
    assert (found.status, [entity["_id"] for entity in found.body["data"]]) == (200, [created.body["_id"]])

    deleted = await desk.ask("DELETE", one)
    assert (deleted.status, deleted.body) == (204, None)
    for method in ("GET", "DELETE", "PATCH"):
        gone = await desk.ask(method, one, {} if method == "PATCH" else None)
        assert (gone.status, gone.body["code"]) == (404, missing)


@pytest.mark.parametrize(("path", "body", "missing"), COLLECTIONS)
async def test_what_a_name_needs_is_mandatory(desk: Desk, path: str, body: Any, missing: str) -> None:
    refused = await desk.ask("POST", path, {"custom": 1})
    assert (refused.status, refused.body["code"]) == (400, "ATTRIBUTE_IS_MANDATORY")


async def test_a_new_entity_gets_what_only_biot_sets(desk: Desk) -> None:
    body = {"_name": NAME, "_id": "mine", "_creationTime": "1999-01-01", "_templateId": seed.GENERIC_ID}
    created = (await desk.ask("POST", PATIENTS, body)).body
    assert created["_id"] != "mine"
    assert created["_creationTime"] == created["_lastModifiedTime"] == "2025-11-24T16:00:00.000Z"
    assert created["_template"]["id"] == seed.GENERIC_ID
    assert "_templateId" not in created
    assert created["_ownerOrganization"] == {"id": ORGANIZATION_ID, "name": "Example Clinic"}
    assert (created["_invitationAccepted"], created["_enabled"], created["_caption"]) == (False, "ENABLED", "Nora New")


async def test_an_update_merges_and_leaves_alone_what_only_biot_sets(desk: Desk) -> None:
    desk.clock.now = NOW + 60
    change = {
        "age": 43,
        "_name": {"lastName": "Changed"},
        "_email": None,
        "_id": "other",
        "_creationTime": "1999-01-01",
    }
    updated = (await desk.ask("PATCH", DEMO, change)).body
    assert (updated["age"], updated["_name"]) == (43, {"firstName": "Demo", "lastName": "Changed"})
    assert "_email" not in updated
    assert updated["_id"] == seed.PATIENT_ID
    assert updated["_creationTime"] == "2025-11-24T16:00:00.000Z"
    assert updated["_lastModifiedTime"] == "2025-11-24T16:01:00.000Z"
    assert updated["_caption"] == "Demo Changed"


async def test_a_mandatory_attribute_cannot_be_taken_away(desk: Desk) -> None:
    before = (await desk.ask("GET", DEMO)).body
    refused = await desk.ask("PATCH", DEMO, {"_name": None})
    assert (refused.status, refused.body["details"]) == (400, {"attributeName": "_name.firstName"})
    assert (await desk.ask("GET", DEMO)).body == before


async def test_references_to_known_entities_carry_their_names(desk: Desk) -> None:
    updated = await desk.ask("PATCH", "/device/v2/devices/demo-device-1", {"_patient": {"id": seed.SECOND_PATIENT_ID}})
    assert updated.body["_patient"] == {"id": seed.SECOND_PATIENT_ID, "name": "Sample Person"}
    unknown = await desk.ask("PATCH", DEMO, {"_caregiver": {"id": "nobody"}})
    assert unknown.body["_caregiver"]["id"] == "nobody"


async def test_a_device_id_is_taken_as_given_and_only_once(desk: Desk) -> None:
    assert (await desk.ask("POST", "/device/v2/devices", {"_id": "dev/1 x"})).body["_id"] == "dev/1 x"
    assert (await desk.ask("GET", "/device/v2/devices/dev%2F1%20x")).status == 200
    again = await desk.ask("POST", "/device/v2/devices", {"_id": "dev/1 x"})
    assert (again.status, again.body["code"]) == (409, "DEVICE_ID_ALREADY_EXISTS")


async def test_an_entity_of_one_template_is_not_found_under_another(desk: Desk) -> None:
    memo = (await desk.ask("POST", "/generic-entity/v3/generic-entities/memo", {"_name": "Note"})).body
    assert memo["_template"]["name"] == "memo"
    assert (await desk.ask("GET", f"/generic-entity/v3/generic-entities/other/{memo['_id']}")).status == 404
    assert (await desk.ask("GET", "/generic-entity/v3/generic-entities/other")).body["data"] == []
    assert (await desk.ask("GET", f"/generic-entity/v1/generic-entities/{memo['_id']}")).status == 200


async def test_a_create_by_template_name_names_the_template(desk: Desk) -> None:
    created = await desk.ask("POST", f"{PATIENTS}/templates/trial", {"_name": NAME})
    assert (created.status, created.body["_template"]["name"]) == (201, "trial")


async def test_users_are_enabled_and_disabled(desk: Desk) -> None:
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/DISABLED")).body["_enabled"] == "DISABLED"
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/ENABLED")).body["_enabled"] == "ENABLED"
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/MAYBE")).status == 400


async def test_a_search_without_sort_has_the_newest_first(desk: Desk) -> None:
    desk.clock.now = NOW + 1
    created = (await desk.ask("POST", PATIENTS, {"_name": NAME})).body
    found = (await desk.ask("GET", PATIENTS)).body
    assert found["data"][0]["_id"] == created["_id"]
    assert found["metadata"]["page"] == {"totalResults": 3, "page": 0, "limit": 100}


async def test_a_search_that_cannot_be_read_is_a_bad_request(desk: Desk) -> None:
    refused = await desk.ask("GET", PATIENTS, query={"searchRequest": "{"})
    assert (refused.status, refused.body["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'"text"', b""])
async def test_a_body_that_is_no_json_object_is_a_bad_request(desk: Desk, body: bytes) -> None:
    refused = await desk.ask("POST", PATIENTS, body)
    assert (refused.status, refused.body["code"]) == (400, "BAD_REQUEST")


async def test_the_empty_object_that_plugins_send_with_get_means_nothing(desk: Desk) -> None:
    assert (await desk.ask("GET", PATIENTS, b"{}")).status == 200
    assert (await desk.ask("GET", PATIENTS, b"{")).status == 200


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.text(max_size=2), inner)
)


@relaxed
@given(json_values, json_values)
def test_merging_twice_is_merging_once_and_leaves_no_null_behind(old: Any, changes: Any) -> None:
    def clean(value: Any) -> bool:
        return not isinstance(value, dict) or all(entry is not None and clean(entry) for entry in value.values())

    once = merged(old, changes)
    assert merged(once, changes) == once
    if isinstance(changes, dict) and clean(old):
        assert clean(once)


# The table of RFC 7396, appendix A, as far as it is about objects.
@pytest.mark.parametrize(
    ("old", "changes", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_rfc_7396(old: Any, changes: Any, result: Any) -> None:
    assert merged(old, changes) == result
