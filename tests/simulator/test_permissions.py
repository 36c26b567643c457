"""`simulate --scopes`: what the service user may do, by the permissions of BioT's catalogue."""

from __future__ import annotations

import json
from urllib.error import HTTPError

import pytest
from biot_sidecar.__main__ import main
from biot_sidecar.simulator import permissions
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.tokens import Issued, Signer
from biot_sidecar.simulator.values import Answer, BiotError, Initiator

from tests.deploy.programs import call
from tests.simulator.helpers import NOW, Desk
from tests.simulator.test_command import started

PATIENTS = "/organization/v1/users/patients"
SELF = "/ums/v2/services/self"


def limited(signer: Signer, *scopes: str) -> Desk:
    return Desk(signer, SimulatorOptions(scopes=scopes, only_scopes=True))


async def test_an_operation_whose_permission_is_missing_is_denied(signer: Signer) -> None:
    desk = limited(signer, "PROTECTED_API")
    assert (await desk.ask("GET", PATIENTS)).status == 200
    denied = await desk.ask("GET", SELF)
    assert (denied.status, denied.body["code"], denied.body["serviceName"]) == (403, "ACCESS_DENIED", "UMS Service")
    assert "UMS_SERVICES_SELF_GET_SERVICE_USER" in denied.body["message"]


async def test_every_operation_is_open_to_its_own_permission_and_to_no_other(signer: Signer) -> None:
    """Asked with nothing in hand, so what is let in is refused for another reason, or carried out."""
    nobody, everybody = limited(signer, "PLUGIN_INTERCEPTOR"), limited(signer, *permissions.known())
    for operation in [one for one in nobody.simulator.router.operations if one.simulated and not one.public]:
        path = operation.path.replace("{", "").replace("}", "")
        refused = await nobody.ask(operation.method, path)
        assert (refused.status == 403 and refused.body["code"] == "ACCESS_DENIED") == bool(operation.permission)
        allowed = await everybody.ask(operation.method, path)
        assert not isinstance(allowed.body, dict) or allowed.body.get("code") != "ACCESS_DENIED", operation.api_id


async def test_nothing_changes_for_who_has_no_token(signer: Signer) -> None:
    desk = limited(signer)
    assert (await desk.ask("GET", PATIENTS, token=None)).status == 401
    assert (await desk.ask("GET", "/ums/system/healthCheck", token=None)).status == 200
    assert (await desk.ask("GET", "/ums/system/healthCheck")).status == 200


def operation(permission: str) -> Operation:
    return Operation("GET", "/x", lambda call: Answer(200), permission=permission)


def token(*scopes: str, kind: str = "SERVICE_INTERNAL") -> Issued:
    return Issued(1, NOW, Initiator(id="u", token_type=kind), scopes)


def test_of_several_permissions_any_will_do() -> None:
    permissions.check(operation("A, B"), token("B"))
    with pytest.raises(BiotError):
        permissions.check(operation("A, B"), token("C"))


def test_a_persons_token_is_not_judged_by_the_service_users_scopes() -> None:
    permissions.check(operation("A"), token(kind="USER"))


async def test_without_the_flag_everything_is_open(desk: Desk) -> None:
    assert (await desk.ask("GET", SELF)).status == 200


@pytest.mark.parametrize(
    ("text", "scopes"),
    [("", ()), (" PROTECTED_API , EMAIL_SEND_EMAIL,PROTECTED_API,", ("PROTECTED_API", "EMAIL_SEND_EMAIL"))],
)
def test_scopes_are_a_list(text: str, scopes: tuple[str, ...]) -> None:
    assert permissions.parse(text) == scopes


def test_a_permission_that_biot_does_not_have_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scopes", "PROTECTED_APY"], {}) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "biot-sidecar: --scopes: BioT has no permission 'PROTECTED_APY'; did you mean PROTECTED_API?"
    )


async def test_the_tokens_name_the_scopes(signer: Signer) -> None:
    claims = signer.claims(limited(signer, "EMAIL_SEND_EMAIL").token())
    assert claims is not None
    assert claims["scopes"] == ["EMAIL_SEND_EMAIL"]


def test_the_flag_holds_in_the_program() -> None:
    with started("--scopes", "PROTECTED_API") as (ready, _):
        url = ready.split(" ")[3]
        user = {"id": "00000000-0000-4000-8000-000000000001", "secretKey": "simulator-secret"}
        jwt = call("POST", f"{url}/ums/v2/services/accessToken", user)["accessToken"]
        assert call("GET", f"{url}{PATIENTS}", authorization=f"Bearer {jwt}")["data"]
        with pytest.raises(HTTPError, match="403") as refused:
            call("GET", f"{url}{SELF}", authorization=f"Bearer {jwt}")
        refused.value.close()  # Python 3.14 minds


async def test_keys_are_made_and_deleted_by_the_users_id_too(desk: Desk) -> None:
    user = desk.simulator.options.service_user_id
    made = await desk.ask("POST", f"/ums/v2/services/{user}/secret-keys")
    assert made.status == 201
    told = (await desk.ask("GET", f"/ums/v2/services/{user}")).body["secretKeys"]
    assert [key["id"] for key in told][1] == made.body["id"]
    assert (await desk.ask("DELETE", f"/ums/v2/services/{user}/secret-keys/{made.body['id']}")).status == 204
    missing = await desk.ask("POST", "/ums/v2/services/other/secret-keys")
    assert (missing.status, missing.body["code"], missing.body["details"]) == (
        404,
        "SERVICE_USER_NOT_FOUND",
        {"id": "other"},
    )
    assert json.dumps(told).find(made.body["secretKey"]) < 0
