"""Entities asked through the whole simulator, without sockets: BioT's statuses, shapes and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import facts, seed
from biot_sidecar.simulator.entities import merged
from biot_sidecar.simulator.options import ORGANIZATION_ID
from biot_sidecar.simulator.organizations import ORGANIZATION
from biot_sidecar.simulator.people import PATIENT
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator import judging
from tests.simulator.helpers import NOW, Desk, relaxed

PATIENTS = "/organization/v1/users/patients"
DEMO = f"{PATIENTS}/{seed.PATIENT_ID}"
NAME = {"firstName": "Nora", "lastName": "New"}

OWNED = judging.OWNER | judging.TEMPLATE

COLLECTIONS = [
    (PATIENTS, {"_name": NAME} | OWNED, "USER_NOT_FOUND"),
    ("/organization/v1/users/caregivers", {"_name": NAME} | OWNED, "USER_NOT_FOUND"),
    ("/organization/v1/users/organizations", {"_name": NAME} | OWNED, "USER_NOT_FOUND"),
    (
        "/organization/v1/organizations",
        {"_name": "Clinic", "_primaryAdministrator": {"_name": NAME}} | judging.TEMPLATE,
        "ORGANIZATION_NOT_FOUND",
    ),
    ("/organization/v1/registration-codes", {"_code": "code-7"} | OWNED, "REGISTRATION_CODE_NOT_FOUND"),
    ("/device/v2/devices", {"_id": "dev-2"} | judging.TEMPLATE, "DEVICE_NOT_FOUND"),
    ("/generic-entity/v1/generic-entities", {"_name": "Note"} | judging.TEMPLATE, "GENERIC_ENTITY_NOT_FOUND"),
    ("/generic-entity/v3/generic-entities/memo", {"_name": "Note"}, "GENERIC_ENTITY_NOT_FOUND"),
]
NEW_PATIENT = COLLECTIONS[0][1]


@pytest.mark.parametrize(("path", "body", "missing"), COLLECTIONS)
async def test_every_kind_is_created_read_updated_found_and_deleted(
    desk: Desk, path: str, body: Any, missing: str
) -> None:
    created = await desk.ask("POST", path, body | {"custom": 1})
    assert created.status == 201
    one = f"{path}/{created.body['_id']}"
    assert (await desk.ask("GET", one)).body == created.body

    change = {"custom": 2} | ({"_name": "Changed"} if "generic" in path else {})
    updated = await desk.ask("PATCH", one, change)
    assert (updated.status, updated.body["custom"]) == (200, 2)
    request = json.dumps({"filter": {"custom": {"eq": 2}}})
    found = await desk.ask("GET", path, query={"searchRequest": request})
    assert (found.status, [entity["_id"] for entity in found.body["data"]]) == (200, [created.body["_id"]])

    deleted = await desk.ask("DELETE", one)
    assert (deleted.status, deleted.body) == (204, None)
    for method in ("GET", "DELETE", "PATCH"):
        gone = await desk.ask(method, one, {"_name": "x"} if (method, path[:8]) == ("PATCH", "/generic") else {})
        assert (gone.status, gone.body["code"]) == (404, missing)
        assert gone.body["details"] == {"id": created.body["_id"]}


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("identity", ["self", "alerts", "nobody"])
async def test_a_word_of_biots_paths_is_no_id(desk: Desk, method: str, identity: str) -> None:
    answer = await desk.ask(method, f"/organization/v1/users/caregivers/{identity}", {})
    assert (answer.status, answer.body["code"]) == (404, "USER_NOT_FOUND")


async def test_a_new_entity_gets_what_only_biot_sets(desk: Desk) -> None:
    known = {"_templateId": desk.simulator.entities.templates.default(PATIENT).id}
    body = NEW_PATIENT | known | {"_id": "mine", "_creationTime": "1999-01-01", "_nationalId": "42"}
    created = (await desk.ask("POST", PATIENTS, body)).body
    assert created["_id"] != "mine"
    assert created["_creationTime"] == created["_lastModifiedTime"] == "2025-11-24T16:00:00.000Z"
    template = {"id": known["_templateId"], "name": "Patient", "displayName": "Patient"}
    assert created["_template"] == template
    assert "_templateId" not in created
    owner = created["_ownerOrganization"]
    assert (owner["id"], owner["name"], owner["parentEntityId"]) == (ORGANIZATION_ID, "Example Clinic", None)
    assert owner["templateId"] == desk.simulator.entities.templates.default(ORGANIZATION).id
    assert (created["_invitationAccepted"], created["_enabled"]) == (False, "ENABLED")
    assert created["_caption"] == "New Nora (42)"


async def test_attributes_that_are_not_set_are_null(desk: Desk) -> None:
    created = (await desk.ask("POST", PATIENTS, NEW_PATIENT)).body
    assert set(facts.fields_of("@PatientResponse")) <= created.keys()
    for name in ("_description", "_phone", "_address", "_caregiver", "_referencers", "_username"):
        assert created[name] is None, name
    own = (await desk.ask("POST", f"{PATIENTS}/templates/Patient", {"_name": NAME} | judging.OWNER)).body
    assert own["age"] is None


async def test_an_update_merges_and_leaves_alone_what_only_biot_sets(desk: Desk) -> None:
    desk.clock.now = NOW + 60
    change = {
        "age": 43,
        "_address": {"countryCode": "US", "city": "Boston"},
        "_email": None,
        "_canLogin": False,
        "_id": "other",
        "_creationTime": "1999-01-01",
    }
    updated = (await desk.ask("PATCH", DEMO, change)).body
    assert (updated["age"], updated["_name"]) == (43, {"firstName": "Demo", "lastName": "Patient"})
    assert updated["_email"] is None
    assert updated["_id"] == seed.PATIENT_ID
    assert updated["_creationTime"] == "2025-11-24T16:00:00.000Z"
    assert updated["_lastModifiedTime"] == "2025-11-24T16:01:00.000Z"
    again = (await desk.ask("PATCH", DEMO, {"_address": {"countryCode": "US", "city": None, "state": "MA"}})).body
    assert again["_address"] == {"countryCode": "US", "state": "MA"}
    renamed = (await desk.ask("PATCH", DEMO, {"_name": {"firstName": "Demo", "lastName": "Changed"}})).body
    assert renamed["_caption"] == "Changed Demo (123456789)"


async def test_a_mandatory_attribute_cannot_be_taken_away(desk: Desk) -> None:
    before = (await desk.ask("GET", DEMO)).body
    refused = await desk.ask("PATCH", DEMO, {"_name": None})
    assert (refused.status, refused.body["code"]) == (400, "ATTRIBUTE_IS_MANDATORY")
    assert refused.body["details"] == {"attributeName": "_name"}
    owner = await desk.ask("PATCH", DEMO, {"_ownerOrganization": None})
    assert (owner.status, owner.body["code"]) == (400, "OWNER_ORGANIZATION_CANNOT_BE_NULL")
    assert (await desk.ask("GET", DEMO)).body == before


async def test_references_to_known_entities_carry_their_names(desk: Desk) -> None:
    updated = await desk.ask("PATCH", "/device/v2/devices/demo-device-1", {"_patient": {"id": seed.SECOND_PATIENT_ID}})
    patient = updated.body["_patient"]
    assert (patient["id"], patient["name"]) == (seed.SECOND_PATIENT_ID, "Person Sample")
    assert patient["templateName"] == "Patient"


async def test_a_device_id_is_taken_as_given_and_only_once(desk: Desk) -> None:
    device = {"_id": "Dev:1_x-2"} | judging.TEMPLATE
    assert (await desk.ask("POST", "/device/v2/devices", device)).body["_id"] == "Dev:1_x-2"
    assert (await desk.ask("GET", "/device/v2/devices/Dev%3A1_x-2")).status == 200
    again = await desk.ask("POST", "/device/v2/devices", device)
    assert (again.status, again.body["code"]) == (409, "DEVICE_ID_ALREADY_EXISTS")
    assert again.body["details"] == {"deviceId": "Dev:1_x-2"}


async def test_an_entity_of_one_template_is_not_found_under_another(desk: Desk) -> None:
    memo = (await desk.ask("POST", "/generic-entity/v3/generic-entities/memo", {"_name": "Note"})).body
    assert memo["_template"]["name"] == "memo"
    assert (await desk.ask("GET", f"/generic-entity/v3/generic-entities/other/{memo['_id']}")).status == 404
    assert (await desk.ask("GET", "/generic-entity/v3/generic-entities/other")).body["data"] == []
    assert (await desk.ask("GET", f"/generic-entity/v1/generic-entities/{memo['_id']}")).status == 200


async def test_a_create_by_template_name_names_the_template(desk: Desk) -> None:
    created = await desk.ask("POST", f"{PATIENTS}/templates/trial", {"_name": NAME} | judging.OWNER)
    assert (created.status, created.body["_template"]["name"]) == (201, "trial")
    found = await desk.ask("GET", PATIENTS, query={"searchRequest": '{"filter": {"_templateName": {"eq": "trial"}}}'})
    assert [one["_id"] for one in found.body["data"]] == [created.body["_id"]]


async def test_users_are_enabled_and_disabled(desk: Desk) -> None:
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/DISABLED")).body["_enabled"] == "DISABLED"
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/ENABLED")).body["_enabled"] == "ENABLED"
    assert (await desk.ask("POST", f"{DEMO}/enabled-state/MAYBE")).status == 400


async def test_a_search_without_sort_has_the_newest_first(desk: Desk) -> None:
    desk.clock.now = NOW + 1
    created = (await desk.ask("POST", PATIENTS, NEW_PATIENT)).body
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
