"""What creates and updates refuse, by the table of facts: each operation with each field missing, mistyped, unknown.

The codes that are expected stand here by hand; which operations and fields there are, the table says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from biot_sidecar.simulator import facts, seed
from biot_sidecar.simulator.options import ORGANIZATION_ID, SimulatorOptions
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.tokens import Signer

from tests.simulator import judging
from tests.simulator.helpers import Desk
from tests.simulator.judging import NAME, OWNER, TEMPLATE, UNKNOWN_ID
from tests.simulator.test_every_operation import KNOWN

PATIENTS = "/organization/v1/users/patients"
NEW = {"_name": NAME} | OWNER | TEMPLATE
CHECKED = [
    one for one in KNOWN if one.checked and one.method != "DELETE" and facts.facts_of(one.api_id).body is not None
]
PLAIN = [one for one in CHECKED if isinstance(judging.request_of(one).body, dict)]
"""All but those that take forms."""


def wrongs(operation: Operation, kind: str) -> Iterator[tuple[str, Any]]:
    """The fields that can be wrong in this way, each with the wrong value."""
    shape = facts.resolved(facts.facts_of(operation.api_id).body)
    for name, inner in shape["fields"].items():
        field = facts.resolved(inner)
        word = field if isinstance(field, str) else field.get("is", "")
        if kind == "missing" and name in shape["must"]:
            yield name, None
        elif kind == "enum" and isinstance(field, dict) and "enum" in field:
            yield name, "NO_SUCH_WORD"
        elif kind == "type" and field and word != "any":
            yield name, "text" if word in ("", "integer", "number", "boolean") else 5


def having(kind: str) -> list[Any]:
    """The operations of which a field can be wrong in this way."""
    return [pytest.param(one, id=one.api_id) for one in PLAIN if any(wrongs(one, kind))]


def named(operation: Operation, *codes: str) -> str:
    """The first of the codes that the operation declares; BAD_REQUEST where it declares none of them."""
    return facts.facts_of(operation.api_id).declared(*codes) or "BAD_REQUEST"


@pytest.mark.parametrize("operation", having("missing"))
async def test_a_missing_field_is_refused(desk: Desk, operation: Operation) -> None:
    ready = await judging.ready(desk, operation)
    for name, _ in wrongs(operation, "missing"):
        refused = await ready.ask({key: value for key, value in ready.request.body.items() if key != name})
        owner = ("OWNER_ORGANIZATION_CANNOT_BE_NULL",) if name == "_ownerOrganization" else ()
        expected = named(operation, *owner, "ATTRIBUTE_IS_MANDATORY", "MISSING_PARAMETERS")
        assert (refused.status, refused.body["code"]) == (400, expected), refused.body
        if expected == "ATTRIBUTE_IS_MANDATORY":
            assert refused.body["details"] == {"attributeName": name}


@pytest.mark.parametrize("operation", having("type"))
async def test_a_value_of_another_type_is_refused(desk: Desk, operation: Operation) -> None:
    ready = await judging.ready(desk, operation)
    for name, wrong in wrongs(operation, "type"):
        refused = await ready.ask(ready.request.body | {name: wrong})
        expected = (400, named(operation, "ATTRIBUTE_VALUE_TYPE_MISMATCH"))
        assert (refused.status, refused.body["code"]) == expected, (name, refused.body)
        if refused.body["code"] == "ATTRIBUTE_VALUE_TYPE_MISMATCH":
            assert set(refused.body["details"]) == {"attributeName", "value", "type"}


@pytest.mark.parametrize("operation", having("enum"))
async def test_a_word_that_is_none_of_the_allowed_is_refused(desk: Desk, operation: Operation) -> None:
    ready = await judging.ready(desk, operation)
    for name, wrong in wrongs(operation, "enum"):
        refused = await ready.ask(ready.request.body | {name: wrong})
        special = {"entityTypeName": "INVALID_ENTITY_TYPE_NAME", "actionName": "INVALID_ACTION_NAME"}.get(name, "")
        expected = named(operation, special, "SELECT_ATTRIBUTE_INVALID_VALUE", "ATTRIBUTE_VALUE_TYPE_MISMATCH")
        assert (refused.status, refused.body["code"]) == (400, expected), (name, refused.body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"_name": 5}, "ATTRIBUTE_VALUE_TYPE_MISMATCH"),
        ({"_name": {"firstName": "A"}} | TEMPLATE, "ATTRIBUTE_IS_MANDATORY"),
        ({"_gender": "OTHER"}, "SELECT_ATTRIBUTE_INVALID_VALUE"),
        ({}, "ATTRIBUTE_IS_MANDATORY"),
        ({"_name": NAME} | TEMPLATE, "OWNER_ORGANIZATION_CANNOT_BE_NULL"),
    ],
)
async def test_of_several_problems_the_wrong_comes_before_the_missing(desk: Desk, body: Any, code: str) -> None:
    assert (await desk.ask("POST", PATIENTS, body)).body["code"] == code


async def test_null_is_no_value_for_a_field_that_must_be_there(desk: Desk) -> None:
    refused = await desk.ask("POST", PATIENTS, NEW | {"_name": None})
    assert (refused.status, refused.body["code"]) == (400, "ATTRIBUTE_IS_MANDATORY")


DEMO_DEVICE = "/device/v2/devices/demo-device-1"
CODES = "/organization/v1/registration-codes"
TAKEN_CODE = {"_code": "demo-code-1"} | OWNER | TEMPLATE
SESSION = {"_startTime": judging.TIME, "_state": "ACTIVE"} | TEMPLATE
DEVICE = {"_id": "dev-7"} | TEMPLATE
CREATES: list[tuple[str, Any, int, str, Any]] = [
    (PATIENTS, NEW | {"_email": "nobody"}, 400, "ATTRIBUTE_REGEX_VALIDATION_FAILED", None),
    (PATIENTS, NEW | {"_phone": "0155"}, 400, "ATTRIBUTE_REGEX_VALIDATION_FAILED", None),
    (PATIENTS, NEW | {"_locale": "Klingon"}, 400, "VALIDATION_LOCALE_NOT_VALID", {"value": "Klingon"}),
    (PATIENTS, NEW | {"_dateOfBirth": "yesterday"}, 400, "ATTRIBUTE_VALUE_CONVERSION_FAILED", None),
    (PATIENTS, NEW | {"_templateId": "Patient"}, 400, "ATTRIBUTE_VALUE_CONVERSION_FAILED", None),
    (PATIENTS, NEW | {"_nationalId": ""}, 400, "ATTRIBUTE_REGEX_VALIDATION_FAILED", None),
    (
        PATIENTS,
        NEW | {"_mfa": {"expirationInMinutes": 0}},
        400,
        "VALIDATION_MINIMUM_ALLOWED_VALUE",
        {"attributeName": "_mfa.expirationInMinutes", "minimum": 1},
    ),
    (
        PATIENTS,
        NEW | {"_mfa": {"expirationInMinutes": 1441}},
        400,
        "VALIDATION_MAX_ALLOWED_VALUE",
        {"attributeName": "_mfa.expirationInMinutes", "maxValue": 1440},
    ),
    (PATIENTS, NEW | {"_name": {"firstName": "A"}}, 400, "ATTRIBUTE_IS_MANDATORY", {"attributeName": "_name.lastName"}),
    (PATIENTS, NEW | {"_address": {"city": "Rome"}}, 400, "ATTRIBUTE_IS_MANDATORY", None),
    (PATIENTS, NEW | {"_ownerOrganization": {"id": UNKNOWN_ID}}, 404, "ORGANIZATION_NOT_FOUND", {"id": UNKNOWN_ID}),
    (
        PATIENTS,
        NEW | {"_caregiver": {"id": UNKNOWN_ID}},
        404,
        "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND",
        {"attributeName": "_caregiver", "entityId": UNKNOWN_ID},
    ),
    (
        PATIENTS,
        NEW | {"_caregiver": {"id": seed.PATIENT_ID}},
        400,
        "REFERENCED_ENTITY_TYPE_MISMATCH",
        {"attributeName": "_caregiver", "entityId": seed.PATIENT_ID, "entityTypeName": "patient"},
    ),
    (
        PATIENTS,
        NEW | {"_email": "casey@example.org"},
        409,
        "EMAIL_ALREADY_EXIST",
        {"email": "casey@example.org"},
    ),
    (PATIENTS, NEW | {"_canLogin": True}, 400, "EMAIL_CANNOT_BE_EMPTY_FOR_LOGGABLE_USER", {}),
    (PATIENTS, NEW | {"_credentialType": "OTP"}, 400, "OTP_PHONE_CANNOT_BE_NULL", {}),
    (
        PATIENTS,
        NEW | {"_credentialType": "OTP", "_phone": "+15550100", "_mfa": {"enabled": True}},
        400,
        "OTP_MFA_ENABLED_CONFLICT",
        {},
    ),
    (
        "/organization/v1/organizations",
        {"_name": "Example Clinic", "_primaryAdministrator": {"_name": NAME}} | TEMPLATE,
        409,
        "ORGANIZATION_ALREADY_EXIST",
        {"name": "Example Clinic"},
    ),
    (
        "/organization/v1/organizations",
        {"_name": "New", "_primaryAdministrator": {"_name": NAME, "_email": "casey@example.org"}} | TEMPLATE,
        409,
        "EMAIL_ALREADY_EXIST",
        {"email": "casey@example.org"},
    ),
    (
        "/organization/v1/organizations",
        {"_name": "New", "_timezone": "Mars/Olympus", "_primaryAdministrator": {"_name": NAME}} | TEMPLATE,
        400,
        "VALIDATION_TIMEZONE_NOT_VALID",
        {"value": "Mars/Olympus"},
    ),
    (
        "/organization/v1/registration-codes",
        {"_code": "demo-code-1"} | OWNER | TEMPLATE,
        409,
        "REGISTRATION_CODE_ALREADY_EXISTS",
        None,
    ),
    ("/device/v2/devices", DEVICE | {"_id": "dev/1 x"}, 400, "INVALID_DEVICE_NAME", {"name": "dev/1 x"}),
    (
        "/device/v2/devices",
        DEVICE | {"_id": seed.DEVICE_ID},
        409,
        "DEVICE_ID_ALREADY_EXISTS",
        {"deviceId": seed.DEVICE_ID},
    ),
    (
        "/device/v2/devices",
        DEVICE | {"_registrationCode": {"id": seed.REGISTRATION_CODE_ID}},
        409,
        "REGISTRATION_CODE_ALREADY_IN_USE",
        {"registrationCodeId": seed.REGISTRATION_CODE_ID},
    ),
    (
        "/generic-entity/v1/generic-entities",
        {"_name": "n" * 33} | TEMPLATE,
        400,
        "ATTRIBUTE_REGEX_VALIDATION_FAILED",
        None,
    ),
    (f"{PATIENTS}/{UNKNOWN_ID}/alerts", TEMPLATE, 400, "ALERT_PARENT_ENTITY_NOT_FOUND", {"parentEntityId": UNKNOWN_ID}),
    ("/device/v1/devices/nothing/usage-sessions", SESSION, 404, "DEVICE_NOT_FOUND", {"id": "nothing"}),
    ("/ums/v2/services", {"type": "INTERNAL_SERVICE"}, 400, "MISSING_PARAMETERS", {"parameters": ["roleId"]}),
    (
        "/ums/v2/services",
        {"type": "INTERNAL_SERVICE", "roleId": ORGANIZATION_ID, "ownerOrganizationId": UNKNOWN_ID},
        404,
        "OWNER_ORGANIZATION_NOT_FOUND",
        {"id": UNKNOWN_ID},
    ),
    (
        "/ums/v2/services",
        {"type": "INTERNAL_SERVICE", "roleId": ORGANIZATION_ID, "name": "simulated service user"},
        409,
        "SERVICE_NAME_ALREADY_EXISTS",
        {"name": "simulated service user"},
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code", "details"), CREATES)
async def test_a_create_is_refused_by_biots_code(
    desk: Desk, path: str, body: Any, status: int, code: str, details: Any
) -> None:
    refused = await desk.ask("POST", path, body)
    assert (refused.status, refused.body["code"]) == (status, code), refused.body
    if details is not None:
        assert refused.body["details"] == details


UPDATES: list[tuple[str, Any, int, str]] = [
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_email": "casey@example.org"}, 409, "EMAIL_ALREADY_EXIST"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_email": None}, 400, "EMAIL_CANNOT_BE_EMPTY_FOR_LOGGABLE_USER"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_gender": "OTHER"}, 400, "SELECT_ATTRIBUTE_INVALID_VALUE"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"age": "old"}, 400, "ATTRIBUTE_VALUE_TYPE_MISMATCH"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_name": {"lastName": "A"}}, 400, "ATTRIBUTE_IS_MANDATORY"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_address": {"city": "Rome"}}, 400, "COUNTRY_CODE_CANNOT_BE_NULL"),
    (f"{PATIENTS}/{seed.PATIENT_ID}", {"_ownerOrganization": {"id": UNKNOWN_ID}}, 404, "ORGANIZATION_NOT_FOUND"),
    (
        DEMO_DEVICE,
        {"_patient": {"id": UNKNOWN_ID}},
        404,
        "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND",
    ),
    (
        DEMO_DEVICE,
        {"_registrationCode": {"id": seed.FREE_CODE_ID}},
        409,
        "REGISTRATION_CODE_ALREADY_IN_USE",
    ),
    (f"/organization/v1/organizations/{ORGANIZATION_ID}", {"_name": "BioT"}, 409, "ORGANIZATION_ALREADY_EXIST"),
    (
        f"/generic-entity/v1/generic-entities/{seed.GENERIC_ID}",
        {"_name": "n" * 33},
        400,
        "INVALID_GENERIC_ENTITY_NAME",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), UPDATES)
async def test_an_update_is_refused_by_biots_code_and_changes_nothing(
    desk: Desk, path: str, body: Any, status: int, code: str
) -> None:
    before = (await desk.ask("GET", path)).body
    refused = await desk.ask("PATCH", path, body)
    assert (refused.status, refused.body["code"]) == (status, code), refused.body
    assert (await desk.ask("GET", path)).body == before


@pytest.mark.parametrize("path", [f"{PATIENTS}/{seed.PATIENT_ID}", DEMO_DEVICE])
async def test_an_update_of_what_an_entity_has_already_is_no_duplicate(desk: Desk, path: str) -> None:
    entity = (await desk.ask("GET", path)).body
    kept = {
        name: entity[name] for name in ("_email", "_registrationCode", "_caregiver", "_patient") if entity.get(name)
    }
    assert (await desk.ask("PATCH", path, kept)).status == 200


@pytest.fixture
def lenient(signer: Signer) -> Desk:
    return Desk(signer, SimulatorOptions(lenient=True))


async def test_a_lenient_simulator_takes_what_biot_refuses_and_warns(
    lenient: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    body = {
        "_name": {"firstName": "Only"},
        "_gender": "SECRET-WORD",
        "_email": "casey@example.org",
        "_caregiver": {"id": UNKNOWN_ID},
        "age": "old",
    }
    with caplog.at_level(logging.WARNING, "biot_sidecar.simulator"):
        made = await lenient.ask("POST", f"{PATIENTS}/templates/Patient", body)
    assert (made.status, made.body["_gender"], made.body["_caregiver"]["id"]) == (201, "SECRET-WORD", UNKNOWN_ID)
    for code in (
        "OWNER_ORGANIZATION_CANNOT_BE_NULL [_ownerOrganization]",
        "ATTRIBUTE_IS_MANDATORY [_name.lastName]",
        "SELECT_ATTRIBUTE_INVALID_VALUE [_gender]",
        "EMAIL_ALREADY_EXIST [_email]",
        "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND [_caregiver]",
        "ATTRIBUTE_VALUE_TYPE_MISMATCH [age]",
    ):
        assert code in caplog.text
    assert "SECRET-WORD" not in caplog.text


IMPOSSIBLE = {
    "POST/ums/v2/services/accessToken": "id",
    "POST/ums/v2/users/login": "username",
    "POST/ums/v2/users/token/login": "refreshToken",
    "POST/ums/v2/users/token/refresh": "refreshToken",
    "POST/dispatcher/v1/hooks/interceptions/subscribe": "endpoint",
    "POST/dispatcher/v1/hooks/interceptions/unsubscribe": "endpoint",
    "POST/dispatcher/v1/hooks/notifications/subscribe": "actionName",
    "POST/dispatcher/v1/hooks/notifications/unsubscribe": "actionName",
    "POST/settings/v1/templates": "entityType",
    "POST/api-gateway/v1/sign-up/anonymous": "_deviceRegistrationCode",
    "POST/api-gateway/v1/devices/assign": "deviceRegistrationCode",
}
"""What also a lenient simulator refuses when it is empty, and the field that it names: who, whom to tell, what of."""
WITH_BODY = [one for one in KNOWN if facts.facts_of(one.api_id).body is not None]


@pytest.mark.parametrize("body", [{}, None], ids=["empty", "none"])
@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.api_id)
async def test_a_lenient_simulator_answers_an_empty_body_as_declared(
    lenient: Desk, operation: Operation, body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ready = await judging.ready(lenient, operation)
    answer = await ready.ask(body)
    if operation.api_id in IMPOSSIBLE:
        assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST")
        assert f"[{IMPOSSIBLE[operation.api_id]}]" in answer.body["message"]
    else:
        wrong = judging.verdict(operation, answer)
        # The specification demands a device of the answer, and none of the request.
        assert wrong == (["[device]: missing"] if operation.path == "/api-gateway/v1/sign-up" else [])
    for record in caplog.records:
        if "BioT would refuse this" in record.getMessage():
            assert record.getMessage().endswith("]")  # the attribute


async def test_a_lenient_change_leaves_alone_what_it_does_not_say(lenient: Desk) -> None:
    path = f"/generic-entity/v1/generic-entities/{seed.GENERIC_ID}"
    assert (await lenient.ask("PATCH", path, {"text": "new"})).body["_name"] == "Demo note"


async def test_what_also_a_lenient_simulator_cannot_read_is_named(lenient: Desk) -> None:
    file = {"name": "a", "mimeType": "text/plain", "parts": "three"}
    refused = await lenient.ask("POST", "/file/v1/files/upload/parts", file)
    assert (refused.status, refused.body["message"]) == (400, "Attribute [parts] has a value of another type")
    assert (await lenient.ask("POST", "/file/v1/files/upload", [])).status == 400


async def test_a_path_that_leads_nowhere_is_refused_also_by_a_lenient_simulator(lenient: Desk) -> None:
    assert (await lenient.ask("GET", f"{PATIENTS}/{UNKNOWN_ID}")).status == 404
