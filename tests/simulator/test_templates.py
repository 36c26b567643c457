"""Templates: what they say of attributes holds for entities; which there are; what is refused of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.notifications import NOTIFIABLE

from tests.simulator.helpers import Desk
from tests.simulator.judging import NAME, OWNER, UNKNOWN_ID

TEMPLATES = "/settings/v1/templates"
PATIENTS = "/organization/v1/users/patients"


def attribute(name: str, type_: str, **more: Any) -> Any:
    return {"name": name, "displayName": name.title(), "type": type_, "category": "REGULAR"} | more


ARMS = [{"name": "A", "displayName": "Arm A"}, {"name": "B", "displayName": "Arm B"}]
TRIAL = {
    "name": "trial",
    "displayName": "Trial",
    "entityType": "patient",
    "customAttributes": [
        attribute("arm", "SINGLE_SELECT", selectableValues=ARMS, validation={"mandatory": True}),
        attribute("arms", "MULTI_SELECT", selectableValues=ARMS),
        attribute("visits", "INTEGER", validation={"mandatory": False, "min": 1, "max": 9, "defaultValue": 1}),
        attribute("code", "LABEL", validation={"mandatory": False, "regex": "[A-Z]+"}),
        attribute("seen", "DATE_TIME"),
        attribute("pulse", "INTEGER") | {"category": "MEASUREMENT"},
    ],
}


async def made(desk: Desk, **changes: Any) -> Any:
    return (await desk.ask("POST", TEMPLATES, TRIAL | changes)).body


async def found(desk: Desk, path: str, **filters: Any) -> Any:
    wanted = {"filter": {name: {"eq": value} for name, value in filters.items()}}
    return (await desk.ask("GET", path, query={"searchRequest": json.dumps(wanted)})).body["data"]


async def test_an_entity_has_its_templates_attributes_and_defaults(desk: Desk) -> None:
    template = await made(desk)
    body = {"_name": NAME, "_templateId": template["id"], "arm": "A"} | OWNER
    patient = (await desk.ask("POST", PATIENTS, body)).body
    assert (patient["arm"], patient["arms"], patient["visits"], patient["code"]) == ("A", None, 1, None)
    assert "pulse" not in patient
    assert patient["_template"] == {"id": template["id"], "name": "trial", "displayName": "Trial"}
    by_name = await desk.ask("POST", f"{PATIENTS}/templates/trial", {"_name": NAME, "arm": "B", "visits": 2} | OWNER)
    assert (by_name.status, by_name.body["visits"]) == (201, 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"arm": None}, "ATTRIBUTE_IS_MANDATORY"),
        ({"arm": "C"}, "SELECT_ATTRIBUTE_INVALID_VALUE"),
        ({"arm": 5}, "ATTRIBUTE_VALUE_TYPE_MISMATCH"),
        ({"arms": ["A", "C"]}, "SELECT_ATTRIBUTE_INVALID_VALUE"),
        ({"arms": ["A", "A"]}, "SELECT_ATTRIBUTE_DUPLICATED_VALUES"),
        ({"visits": "many"}, "ATTRIBUTE_VALUE_TYPE_MISMATCH"),
        ({"visits": 0}, "VALIDATION_MINIMUM_ALLOWED_VALUE"),
        ({"visits": 10}, "VALIDATION_MAX_ALLOWED_VALUE"),
        ({"code": "abc"}, "ATTRIBUTE_REGEX_VALIDATION_FAILED"),
        ({"seen": "noon"}, "ATTRIBUTE_VALUE_CONVERSION_FAILED"),
        ({"unheard": 1}, "ATTRIBUTE_NOT_VALID_FOR_TEMPLATE"),
    ],
)
async def test_an_attribute_that_the_template_does_not_allow_is_refused(desk: Desk, changes: Any, code: str) -> None:
    template = await made(desk)
    body = {"_name": NAME, "_templateId": template["id"], "arm": "A"} | OWNER
    refused = await desk.ask("POST", PATIENTS, body | changes)
    assert (refused.status, refused.body["code"]) == (400, code)
    patient = (await desk.ask("POST", PATIENTS, body)).body["_id"]
    refused = await desk.ask("PATCH", f"{PATIENTS}/{patient}", changes)
    assert (refused.status, refused.body["code"]) == (400, code)


async def test_an_empty_owner_of_a_template_is_none(desk: Desk) -> None:
    assert (await made(desk, ownerOrganizationId="", parentTemplateId=""))["ownerOrganizationId"] is None


async def test_templates_that_nobody_told_of_are_taken_until_somebody_tells_of_one(desk: Desk) -> None:
    taken = await desk.ask("POST", f"{PATIENTS}/templates/mine", {"_name": NAME, "own": 1} | OWNER)
    assert (taken.status, taken.body["own"]) == (201, 1)
    await made(desk)
    unknown = await desk.ask("POST", f"{PATIENTS}/templates/yours", {"_name": NAME} | OWNER)
    assert (unknown.status, unknown.body["code"]) == (404, "TEMPLATE_NOT_FOUND_BY_NAME")
    assert unknown.body["details"] == {"templateName": "yours"}
    body = {"_name": NAME, "_templateId": UNKNOWN_ID} | OWNER
    assert (await desk.ask("POST", PATIENTS, body)).body["code"] == "TEMPLATE_NOT_FOUND"
    assert (await desk.ask("POST", f"{PATIENTS}/templates/mine", {"_name": NAME} | OWNER)).status == 201


async def test_a_template_of_another_entity_type_is_refused(desk: Desk) -> None:
    (clinician,) = await found(desk, f"{TEMPLATES}/minimized", entityTypeName="caregiver")
    refused = await desk.ask("POST", PATIENTS, {"_name": NAME, "_templateId": clinician["id"]} | OWNER)
    assert (refused.status, refused.body["code"]) == (403, "ENTITY_TYPE_TEMPLATE_MISMATCH")


async def test_each_entity_type_starts_with_a_template(desk: Desk) -> None:
    templates = (await desk.ask("GET", TEMPLATES)).body["data"]
    assert {one["entityTypeName"] for one in templates} == set(NOTIFIABLE)
    (patient,) = await found(desk, TEMPLATES, name="Patient")
    assert {"_name", "_email", "_caregiver"} <= {one["name"] for one in patient["builtInAttributes"]}
    assert [one["name"] for one in patient["customAttributes"]] == ["age"]
    (device,) = await found(desk, TEMPLATES, name="Device")
    nested = {(one["basePath"], one["name"]) for one in device["builtInAttributes"]}
    assert {("_status", "_bootTime"), ("_status._connection", "_connected"), (None, "_id")} <= nested
    (session,) = await found(desk, f"{TEMPLATES}/minimized", name="UsageSession")
    assert session["parentTemplate"]["name"] == "Device"
    assert await found(desk, f"{TEMPLATES}/minimized", parentTemplateId=session["parentTemplate"]["id"], name="Command")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"entityType": "robot"}, 404, "ENTITY_TYPE_NOT_FOUND"),
        ({"name": "Patient"}, 400, "TEMPLATE_DUPLICATE_NAME"),
        ({"name": "1st"}, 400, "BAD_REQUEST"),
        ({"parentTemplateId": UNKNOWN_ID}, 400, "ENTITY_DOES_NOT_SUPPORT_PARENT_TEMPLATE"),
        (
            {"customAttributes": [attribute("a", "LABEL"), attribute("a", "LABEL")]},
            400,
            "CUSTOM_ATTRIBUTES_DUPLICATE_NAME",
        ),
        ({"customAttributes": [attribute("a", "REFERENCE")]}, 400, "REFERENCE_CONFIGURATION_MISSING"),
        ({"customAttributes": [attribute("a", "LINK")]}, 400, "LINK_CONFIGURATION_NULL"),
        (
            {"customAttributes": [attribute("a", "SINGLE_SELECT", selectableValues=[ARMS[0], ARMS[0]])]},
            400,
            "DUPLICATE_SELECTABLE_VALUE",
        ),
        (
            {"customAttributes": [attribute("a", "INTEGER", validation={"mandatory": False, "regex": "x"})]},
            400,
            "VALIDATION_DEFINITION_REGEX_NOT_SUPPORTED",
        ),
    ],
)
async def test_a_template_that_cannot_be_is_refused(desk: Desk, changes: Any, status: int, code: str) -> None:
    refused = await desk.ask("POST", TEMPLATES, TRIAL | changes)
    assert (refused.status, refused.body["code"]) == (status, code)


async def test_an_update_of_a_template_holds_from_then_on(desk: Desk) -> None:
    (template,) = await found(desk, TEMPLATES, name="Patient")
    names = ("displayName", "name", "description", "ownerOrganizationId", "parentTemplateId", "templateAttributes")
    body = {name: template[name] for name in names} | {"builtInAttributes": template["builtInAttributes"]}
    body["customAttributes"] = [attribute("hr", "INTEGER", category="MEASUREMENT"), attribute("step", "INTEGER")]
    updated = await desk.ask("PUT", f"{TEMPLATES}/{template['id']}", body)
    assert (updated.status, updated.body["creationTime"]) == (200, template["creationTime"])
    patient = f"{PATIENTS}/{seed.PATIENT_ID}"
    assert (await desk.ask("GET", patient)).body["step"] is None
    assert (await desk.ask("PATCH", patient, {"step": "x"})).body["code"] == "ATTRIBUTE_VALUE_TYPE_MISMATCH"
    assert (await desk.ask("PATCH", patient, {"stop": 1})).body["code"] == "ATTRIBUTE_NOT_VALID_FOR_TEMPLATE"


async def test_a_template_is_deleted_when_nothing_is_of_it(desk: Desk) -> None:
    template = await made(desk, customAttributes=[])
    one = f"{TEMPLATES}/{template['id']}"
    patient = (await desk.ask("POST", f"{PATIENTS}/templates/trial", {"_name": NAME} | OWNER)).body["_id"]
    assert (await desk.ask("GET", f"{one}/overview")).body["statistics"] == {"entitiesCount": 1}
    used = await desk.ask("DELETE", one)
    assert (used.status, used.body["code"]) == (403, "TEMPLATE_IN_USE_DELETE_TEMPLATE")
    await desk.ask("DELETE", f"{PATIENTS}/{patient}")
    assert (await desk.ask("DELETE", one)).status == 204
    gone = await desk.ask("GET", one)
    assert (gone.status, gone.body["code"]) == (404, "TEMPLATE_NOT_FOUND")
    (brought,) = await found(desk, TEMPLATES, name="Device")
    stays = await desk.ask("DELETE", f"{TEMPLATES}/{brought['id']}")
    assert (stays.status, stays.body["code"]) == (403, "TEMPLATE_DELETION_DISALLOWED")


async def test_attributes_are_found_over_all_templates(desk: Desk) -> None:
    template = await made(desk)
    (pulse,) = await found(desk, "/settings/v1/attributes", category="MEASUREMENT")
    assert (pulse["name"], pulse["templateId"]) == ("pulse", template["id"])


async def test_entity_types_say_their_attributes_and_actions(desk: Desk) -> None:
    types = {one["name"]: one for one in (await desk.ask("GET", "/settings/v1/entity-types")).body["entityTypes"]}
    assert set(types) == set(NOTIFIABLE)
    assert types["patient-alert"]["parentTemplateType"] == "patient"
    actions = (await desk.ask("GET", "/settings/v2/entity-types/action-notifications")).body["entityTypes"]
    assert {"_saveMeasurement", "_create"} <= {one["actionName"] for one in actions if one["entityName"] == "patient"}
    named = await found(desk, "/settings/v2/entity-types", name="device")
    assert [one["name"] for one in named] == ["device"]
