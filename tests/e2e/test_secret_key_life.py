"""When the secret key ends, in the running program: asked once, beside everything else, and never with a login."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from biot_sidecar.timestamps import iso

from tests.e2e.test_telemetry import counted, key, logged
from tests.support.exchanges import Exchange
from tests.support.live import LIVE
from tests.support.sidecar import House
from tests.support.wire import DEADLINE, response

pytestmark = LIVE

SELF = b"/ums/v2/services/self"
METRIC = key("secret_key_expiry_timestamp_seconds")


def keys(*days: float) -> bytes:
    ends = [{"id": "k", "expirationTime": iso(time.time() + one * 86_400)} for one in days]
    return response(200, b"Content-Type: application/json", body=json.dumps({"secretKeys": ends}).encode())


async def asked(house: House, script: bytes) -> list[Exchange]:
    """The questions, after the first login and a few calls."""
    house.upstream.on(SELF.decode(), script)
    for _ in range(3):
        assert (await house.get("/x")).status == 200
    async with asyncio.timeout(DEADLINE):
        while not (questions := [one for one in house.upstream.requests if one.target == SELF]):
            await asyncio.sleep(0.02)
    await house.get("/x")
    return questions


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_is_asked_once_and_told_everywhere(start, workers):
    house = await start(SIDECAR_SECRET_KEY_CHECK="1", SIDECAR_WORKERS=workers, SIDECAR_LOGIN_AT_START="0")
    (question,) = await asked(house, keys(40, 6.5))
    assert question.method == b"GET"
    assert len(house.upstream.logins) == 1
    async with asyncio.timeout(DEADLINE):
        while METRIC not in (metrics := await counted(house)):
            await asyncio.sleep(0.02)
    assert metrics[METRIC] == pytest.approx(time.time() + 6.5 * 86_400, abs=60)
    assert sum(value for (name, _), value in metrics.items() if name == "requests_total") == 4
    told = (await house.get("/_sidecar/status")).json["secret_key"]
    assert (told["keys"], told["expires"][:4]) == (2, iso(metrics[METRIC])[:4])
    (line,) = [line for line in await logged(house) if line["event"] == "secret_key"]
    assert (line["level"], line["message"][:29]) == ("warning", "one of 2 secret keys ends at ")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_whatever_else_comes_is_said_once_and_calls_go_on(start, status):
    house = await start(SIDECAR_SECRET_KEY_CHECK="1", SIDECAR_LOGIN_AT_START="0")
    await asked(house, response(status, b"Content-Type: application/json", body=b'{"code": "TOKEN_NOT_VALID"}'))
    assert (await house.get("/x")).status == 200
    assert len(house.upstream.logins) == 1
    await house.sidecar.until_logged("secret_key")
    assert METRIC not in await counted(house)
    (line,) = [line for line in await logged(house) if line["event"] == "secret_key"]
    assert str(status) in line["message"]
