"""People and the users that they are: self, human login, passwords, organizations and their administrators."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import MANUFACTURER_ID, ORGANIZATION_ID, USER_PASSWORD, SimulatorOptions
from biot_sidecar.simulator.tokens import Signer

from tests.simulator.helpers import NOW, Desk
from tests.simulator.judging import NAME, TEMPLATE, UNKNOWN_ID

PATIENT = "demo.patient@example.org"
LOGIN = "/ums/v2/users/login"
SELVES = [
    (PATIENT, "patients", seed.PATIENT_ID, "patient"),
    ("casey@example.org", "caregivers", seed.CAREGIVER_ID, "caregiver"),
    ("olga.office@example.org", "organizations", seed.USER_ID, "organization-user"),
]


async def logged_in(desk: Desk, username: str = PATIENT, password: str = USER_PASSWORD) -> Any:
    return (await desk.ask("POST", LOGIN, {"username": username, "password": password}, token=None)).body


@pytest.mark.parametrize(("username", "path", "identity", "kind"), SELVES)
async def test_who_is_logged_in_finds_himself(desk: Desk, username: str, path: str, identity: str, kind: str) -> None:
    token = desk.user_token(username)
    own = await desk.ask("GET", f"/organization/v1/users/{path}/self", token=token)
    assert (own.status, own.body["_id"]) == (200, identity)
    assert (await desk.ask("GET", f"/organization/v1/users/{path}/{identity}")).body == own.body
    user = (await desk.ask("GET", "/organization/v1/users/self", token=token)).body
    assert (user["_id"], user["_userType"]) == (identity, kind)
    assert (await desk.ask("GET", "/ums/v2/users/self", token=token)).body["username"] == username
    for other in {"patients", "caregivers", "organizations"} - {path}:
        missing = await desk.ask("GET", f"/organization/v1/users/{other}/self", token=token)
        assert (missing.status, missing.body["code"]) == (404, "USER_NOT_FOUND")


async def test_the_service_user_is_no_person(desk: Desk) -> None:
    for path in ("users/self", "users/patients/self"):
        missing = await desk.ask("GET", f"/organization/v1/{path}")
        assert (missing.status, missing.body["code"]) == (404, "USER_NOT_FOUND")


async def test_a_human_login_answers_two_tokens_with_biots_claims(desk: Desk) -> None:
    answer = await logged_in(desk)
    assert (answer["userId"], answer["ownerOrganizationId"]) == (seed.PATIENT_ID, ORGANIZATION_ID)
    assert answer["accessJwt"]["expiration"] == "2025-11-24T16:30:00.000Z"
    payload = answer["accessJwt"]["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(claims) == {"refreshTokenId", "tenantId", "scopes", "tokenType", "jti", "sub", "exp"}
    assert (claims["sub"], claims["tokenType"], claims["tenantId"]) == (seed.PATIENT_ID, "USER", ORGANIZATION_ID)


@pytest.mark.parametrize(
    ("username", "password"),
    [(PATIENT, "wrong"), ("nobody@example.org", USER_PASSWORD), ("sample.person@example.org", USER_PASSWORD)],
)
async def test_a_wrong_name_or_password_is_refused_alike(desk: Desk, username: str, password: str) -> None:
    refused = await desk.ask("POST", LOGIN, {"username": username, "password": password}, token=None)
    assert (refused.status, refused.body["code"]) == (403, "LOGIN_FAILED")


async def test_a_disabled_user_cannot_log_in(desk: Desk) -> None:
    await desk.ask("POST", f"/organization/v1/users/patients/{seed.PATIENT_ID}/enabled-state/DISABLED")
    assert (await logged_in(desk))["code"] == "LOGIN_FAILED"


@pytest.mark.parametrize(
    ("path", "code"), [("token/refresh", "REFRESH_TOKEN_NOT_VALID"), ("token/login", "LOGIN_FAILED")]
)
async def test_a_refresh_token_gives_new_tokens_until_it_ends(desk: Desk, path: str, code: str) -> None:
    body = {"refreshToken": (await logged_in(desk))["refreshJwt"]["token"]}
    renewed = await desk.ask("POST", f"/ums/v2/users/{path}", body, token=None)
    own = await desk.ask("GET", "/ums/v2/users/self", token=renewed.body["accessJwt"]["token"])
    assert (renewed.status, own.status) == (200, 200)
    desk.clock.now = NOW + 14 * 24 * 3600
    for text in (body["refreshToken"], "nonsense"):
        refused = await desk.ask("POST", f"/ums/v2/users/{path}", {"refreshToken": text}, token=None)
        assert (refused.status, refused.body["code"]) == (403, code)


async def test_a_logout_ends_the_tokens(desk: Desk) -> None:
    answer = await logged_in(desk)
    body = {"refreshToken": answer["refreshJwt"]["token"]}
    assert (await desk.ask("POST", "/ums/v2/users/logout", body, token=None)).status == 200
    assert (await desk.ask("POST", "/ums/v2/users/token/refresh", body, token=None)).status == 403
    own = await desk.ask("GET", "/ums/v2/users/self", token=answer["accessJwt"]["token"])
    assert (own.status, own.body["code"]) == (401, "TOKEN_NOT_VALID")
    assert (await desk.ask("POST", "/ums/v2/users/logout", body, token=None)).status == 200


async def test_a_password_is_changed_by_who_knows_it(desk: Desk) -> None:
    token = desk.user_token(PATIENT)
    change = {"password": {"current": USER_PASSWORD, "new": "another-password"}}
    for wrong, code in (
        ({"current": "guess", "new": "another-password"}, "INVALID_PASSWORD"),
        ({"current": USER_PASSWORD, "new": "short"}, "WEAK_PASSWORD"),
    ):
        refused = await desk.ask("PATCH", "/ums/v2/users/self", {"password": wrong}, token=token)
        assert (refused.status, refused.body["code"]) == (400, code)
    assert (await desk.ask("PATCH", "/ums/v2/users/self", change, token=token)).status == 200
    assert (await logged_in(desk))["code"] == "LOGIN_FAILED"
    assert (await logged_in(desk, password="another-password"))["userId"] == seed.PATIENT_ID
    made = (await desk.ask("POST", f"/ums/v2/users/{seed.PATIENT_ID}/password/generate")).body
    assert (await logged_in(desk, password=made["userPassword"]))["userId"] == seed.PATIENT_ID


async def test_a_user_is_renamed_locked_and_deleted(desk: Desk) -> None:
    one = f"/ums/v2/users/{seed.PATIENT_ID}"
    taken = await desk.ask("PATCH", one, {"username": "casey@example.org"})
    assert (taken.status, taken.body["code"]) == (409, "USERNAME_ALREADY_EXISTS")
    renamed = await desk.ask("PATCH", one, {"username": "demo.user"})
    assert renamed.body["username"] == "demo.user"
    assert (await logged_in(desk, "demo.user"))["userId"] == seed.PATIENT_ID
    locked = await desk.ask("PATCH", one, {"locked": True})
    assert locked.body["locked"] is True
    assert (await logged_in(desk, "demo.user"))["code"] == "LOGIN_FAILED"
    found = await desk.ask("GET", "/ums/v2/users", query={"searchRequest": '{"filter": {"locked": {"eq": true}}}'})
    assert [user["id"] for user in found.body["data"]] == [seed.PATIENT_ID]
    assert (await desk.ask("DELETE", one)).status == 204
    assert (await desk.ask("GET", one)).status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "somebody@example.org", "password": "long-enough"}, None),
        ({"username": "somebody@example.org", "password": "short"}, "WEAK_PASSWORD"),
        ({"username": PATIENT, "password": "long-enough"}, "USERNAME_ALREADY_EXIST"),
    ],
)
async def test_credentials_are_judged_before_they_are_used(desk: Desk, body: Any, code: str | None) -> None:
    judged = (await desk.ask("POST", "/ums/v2/users/credentials/validate", body, token=None)).body
    assert (judged["success"], judged["code"]) == (code is None, code)


async def test_a_patient_signs_up_and_takes_the_device_of_the_code(desk: Desk) -> None:
    body = {"_name": NAME, "_email": "nora@example.org", "_username": "nora", "_password": "long-enough"}
    body |= {"_ownerOrganization": {"id": ORGANIZATION_ID}, "_deviceRegistrationCode": "demo-code-2"}
    made = await desk.ask("POST", "/api-gateway/v1/sign-up", body, token=None)
    assert (made.status, made.body["device"]["_patient"]["id"]) == (201, made.body["patient"]["_id"])
    assert (await logged_in(desk, "nora", "long-enough"))["userId"] == made.body["patient"]["_id"]
    for changes, code in (
        ({}, "REGISTRATION_CODE_ALREADY_IN_USE"),
        ({"_deviceRegistrationCode": "none"}, "REGISTRATION_CODE_NOT_FOUND"),
        ({"_deviceRegistrationCode": None}, "USERNAME_ALREADY_EXIST"),
        ({"_deviceRegistrationCode": None, "_username": "other"}, "EMAIL_ALREADY_EXIST"),
    ):
        refused = await desk.ask("POST", "/api-gateway/v1/sign-up", body | changes, token=None)
        assert refused.body["code"] == code


async def test_a_patient_assigns_himself_a_device(desk: Desk) -> None:
    token, path = desk.user_token(PATIENT), "/api-gateway/v1/devices/assign"
    assigned = await desk.ask("POST", path, {"deviceRegistrationCode": "demo-code-2"}, token=token)
    assert assigned.body["_patient"]["id"] == seed.PATIENT_ID
    own = await desk.ask("POST", path, {"deviceRegistrationCode": "demo-code-1"}, token=token)
    assert own.status == 200
    assert (await desk.ask("POST", path, {"deviceRegistrationCode": "demo-code-2"})).status == 403


async def test_an_organization_gets_its_first_administrator(desk: Desk) -> None:
    admin = {"_name": NAME, "_email": "nora@example.org"}
    body = {"_name": "New clinic", "_primaryAdministrator": admin} | TEMPLATE
    made = (await desk.ask("POST", "/organization/v1/organizations", body)).body
    users = f"/organization/v1/users/organizations/{made['_primaryAdministrator']['id']}"
    user = (await desk.ask("GET", users)).body
    assert (user["_email"], user["_ownerOrganization"]["id"]) == ("nora@example.org", made["_id"])
    refused = await desk.ask("DELETE", users)
    assert (refused.status, refused.body["code"]) == (409, "USER_IS_ORGANIZATION_ADMIN")


async def test_an_organization_whose_administrator_cannot_be_is_not_made(desk: Desk) -> None:
    admin = {"_name": NAME, "_email": "casey@example.org"}
    body = {"_name": "New clinic", "_primaryAdministrator": admin} | TEMPLATE
    assert (await desk.ask("POST", "/organization/v1/organizations", body)).status == 409
    names = [one["_name"] for one in (await desk.ask("GET", "/organization/v1/organizations")).body["data"]]
    assert sorted(names) == ["BioT", "Example Clinic"]


async def test_what_others_need_stays(desk: Desk) -> None:
    first = await desk.ask("DELETE", f"/organization/v1/organizations/{MANUFACTURER_ID}")
    assert (first.status, first.body["code"]) == (403, "CANNOT_DELETE_FIRST_ORGANIZATION")
    carer = await desk.ask("DELETE", f"/organization/v1/users/caregivers/{seed.CAREGIVER_ID}")
    assert (carer.status, carer.body["code"]) == (409, "CAREGIVER_ASSIGNED_TO_PATIENT")


async def test_the_administrator_of_an_organization_is_changed(desk: Desk) -> None:
    changed = await desk.ask("POST", f"/organization/v1/organizations/admin/{seed.USER_ID}")
    assert changed.body["_primaryAdministrator"]["id"] == seed.USER_ID
    assert (await desk.ask("POST", f"/organization/v1/organizations/admin/{UNKNOWN_ID}")).status == 404


async def test_an_invitation_is_sent_again_to_who_has_one(desk: Desk) -> None:
    path = "/organization/v1/invitations"
    assert (await desk.ask("POST", f"{path}/{seed.PATIENT_ID}")).body["userId"] == seed.PATIENT_ID
    assert (await desk.ask("POST", f"{path}/{UNKNOWN_ID}")).body["code"] == "USER_NOT_FOUND"
    await desk.ask("PATCH", f"/organization/v1/users/patients/{seed.SECOND_PATIENT_ID}", {"_email": None})
    assert (await desk.ask("POST", f"{path}/{seed.SECOND_PATIENT_ID}")).body["code"] == "INVITATION_NOT_FOUND"


async def test_landing_pages_are_set_shown_and_deleted(desk: Desk) -> None:
    path = "/organization/v1/landing-pages/FORGOT_PASSWORD"
    page = {"userType": "patient", "url": "https://app.example.org/"}
    none = await desk.ask("DELETE", path, page)
    assert (none.status, none.body["code"]) == (400, "LANDING_PAGE_IS_NOT_CONFIGURED")
    assert (await desk.ask("PUT", path, page | {"url": "app"})).body["code"] == "INVALID_LANDING_PAGE_URL"
    assert (await desk.ask("PUT", path, page | {"userType": "robot"})).body["code"] == "INVALID_USER_TYPE"
    assert (await desk.ask("PUT", path, page)).body["landingPageType"] == "FORGOT_PASSWORD"
    assert [one["url"] for one in (await desk.ask("GET", path)).body["pages"]] == [page["url"]]
    assert (await desk.ask("DELETE", path, page)).status == 204
    assert (await desk.ask("GET", path)).body["pages"] == []


async def test_a_login_of_a_person_counts_as_one_of_no_service_user(signer: Signer) -> None:
    desk = Desk(signer, SimulatorOptions(lock_after=1))
    await logged_in(desk, password="wrong")
    assert desk.simulator.login.failed == 0
    assert desk.token()
