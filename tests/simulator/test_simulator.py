"""What holds for every operation: tokens, unknown paths, public operations."""

from __future__ import annotations

import pytest
from biot_sidecar.simulator.login import Signer
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.router import SERVICES

from tests.simulator.helpers import NOW, Desk


async def test_every_operation_that_is_not_public_needs_a_token(desk: Desk) -> None:
    for operation in desk.simulator.router.operations:
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


async def test_a_method_that_a_path_lacks_is_refused_naming_the_others(desk: Desk) -> None:
    refused = await desk.ask("DELETE", "/device/v2/devices")
    assert (refused.status, refused.body["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET, POST" in refused.body["message"]


async def test_an_expired_token_is_refused(signer: Signer) -> None:
    desk = Desk(signer, SimulatorOptions(token_life=60))
    token = desk.token()
    assert (await desk.ask("GET", "/device/v2/devices", token=token)).status == 200
    desk.clock.now = NOW + 60
    assert (await desk.ask("GET", "/device/v2/devices", token=token)).body["code"] == "TOKEN_NOT_VALID"


async def test_options_never_show_the_secret() -> None:
    assert "simulator-secret" not in repr(SimulatorOptions())
