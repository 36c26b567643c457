"""What holds for every operation: tokens, unknown paths, public operations."""

from __future__ import annotations

import pytest
from biot_sidecar.routing import biot_operations
from biot_sidecar.simulator.catalogue import completed
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.router import SERVICES, Operation, Router
from biot_sidecar.simulator.tokens import Signer
from biot_sidecar.simulator.values import Answer

from tests.simulator.helpers import NOW, Desk


async def test_every_operation_that_is_not_public_needs_a_token(desk: Desk) -> None:
    for operation in (one for one in desk.simulator.router.operations if one.simulated):
        answer = await desk.ask(operation.method, operation.path.replace("{", "").replace("}", ""), token=None)
        if not operation.public:
            assert (answer.status, answer.body["code"]) == (401, "TOKEN_NOT_VALID"), operation.api_id
        else:
            assert answer.status in (200, 400), operation.api_id


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_has_a_health_check(desk: Desk, service: str) -> None:
    answer = await desk.ask("GET", f"/{service}/system/healthCheck", token=None)
    assert set(answer.body) == {"version", "springVersion", "traceId"}


async def test_the_properties_tell_the_version_without_a_token(desk: Desk) -> None:
    assert "biotVersion" in (await desk.ask("GET", "/settings/v1/system/properties", token=None)).body


async def test_a_public_operation_does_not_mind_a_bad_token(desk: Desk) -> None:
    assert (await desk.ask("GET", "/ums/system/healthCheck", token="a.b.c")).status == 200


async def test_unknown_paths_of_a_service_are_not_found_with_a_token_and_refused_without(desk: Desk) -> None:
    assert (await desk.ask("GET", "/device/v9/unicorns", token=None)).status == 401
    missing = await desk.ask("GET", "/device/v9/unicorns")
    assert (missing.status, missing.body["code"], missing.body["serviceName"]) == (404, "NOT_FOUND", "Device Service")


async def test_paths_of_no_service_are_not_found(desk: Desk) -> None:
    missing = await desk.ask("GET", "/nowhere", token=None)
    assert (missing.status, missing.body["serviceName"]) == (404, "BioT")


async def test_a_method_that_a_path_lacks_is_an_operation_that_biot_does_not_have(desk: Desk) -> None:
    refused = await desk.ask("DELETE", "/device/v2/devices")
    assert (refused.status, refused.body["code"]) == (404, "NOT_FOUND")
    assert "GET, POST" in refused.body["message"]


def not_simulated(desk: Desk) -> list[Operation]:
    return [operation for operation in desk.simulator.router.operations if not operation.simulated]


@pytest.mark.parametrize("token", [None, "", "a.b.c"])
async def test_what_only_the_catalogue_knows_is_501_whatever_the_token(desk: Desk, token: str | None) -> None:
    assert not_simulated(desk)
    for operation in not_simulated(desk):
        path = operation.path.replace("{", "").replace("}", "")
        refused = await desk.ask(operation.method, path, token=token)
        assert (refused.status, refused.body["code"]) == (501, "NOT_SIMULATED"), operation.api_id
        assert refused.body["details"] == {"apiId": operation.api_id}
        assert set(refused.body) == {"code", "message", "serviceName", "traceId", "environment", "details"}


async def test_every_operation_of_the_catalogue_is_answered_or_refused_as_not_simulated(desk: Desk) -> None:
    ours = {operation.api_id for operation in desk.simulator.router.operations}
    assert {one.method + one.path for one in biot_operations.operations()} <= ours


async def test_an_operation_says_which_permission_it_needs(desk: Desk) -> None:
    found = desk.simulator.router.find("GET", "/ums/v2/services/self").operation
    assert found is not None
    assert (found.permission, found.public) == ("UMS_SERVICES_SELF_GET_SERVICE_USER", False)


async def test_a_literal_path_that_is_not_simulated_is_no_id(signer: Signer) -> None:
    simulated = Operation("GET", "/device/v2/devices/{id}", lambda call: Answer(200))
    router = Router(completed([simulated]))
    found = router.find("GET", "/organization/v1/users/patients/alerts").operation
    assert found is not None
    assert (found.api_id, found.simulated) == ("GET/organization/v1/users/patients/alerts", False)


async def test_an_expired_token_is_refused(signer: Signer) -> None:
    desk = Desk(signer, SimulatorOptions(token_life=60))
    token = desk.token()
    assert (await desk.ask("GET", "/device/v2/devices", token=token)).status == 200
    desk.clock.now = NOW + 60
    assert (await desk.ask("GET", "/device/v2/devices", token=token)).body["code"] == "TOKEN_NOT_VALID"


async def test_options_never_show_the_secret() -> None:
    assert "simulator-secret" not in repr(SimulatorOptions())
