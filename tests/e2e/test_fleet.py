"""Fifty sidecars and one Redis: one login between them; without Redis each goes on alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.support.exchanges import Exchange
from tests.support.form import FORM
from tests.support.rawclient import Answer, RawClient
from tests.support.redis import NEEDS_REDIS, RedisServer, redis_server
from tests.support.scripted_upstream import TOKEN_CANARY, ScriptedUpstream
from tests.support.sidecar import ROOT, SECRET, USER, Sidecar, start_sidecar
from tests.support.wire import request, response

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240), NEEDS_REDIS]

NOT_VALID = response(401, b"Content-Type: application/json", body=b'{"code": "TOKEN_NOT_VALID"}')


class Fleet:
    def __init__(self, sidecars: list[Sidecar], upstream: ScriptedUpstream, redis: RedisServer) -> None:
        self.sidecars = sidecars
        self.upstream = upstream
        self.redis = redis

    async def ask_all(self, path: str = "/x") -> list[Answer]:
        """One call to each of them, all at once."""
        return await asyncio.gather(*(ask(sidecar, path) for sidecar in self.sidecars))

    def tokens(self, path: str = "/x") -> set[bytes | None]:
        return {exchange.authorization for exchange in self.upstream.seen(path)}


async def ask(sidecar: Sidecar, path: str) -> Answer:
    client = await RawClient.open(sidecar.port)
    try:
        return await client.ask(request("GET", path), "GET")
    finally:
        client.close()


@asynccontextmanager
async def fleet(folder: Path, size: int, **settings: str) -> AsyncIterator[Fleet]:
    """That many programs, started at once; they end cleanly, and nothing secret lies in their logs or in Redis."""
    async with redis_server(folder) as redis, ScriptedUpstream() as upstream:

        async def start(number: int) -> Sidecar:
            own = folder / str(number)
            own.mkdir()
            store = settings.get("SIDECAR_TOKEN_STORE", redis.url)
            return await start_sidecar(own, upstream.url, **{**settings, "SIDECAR_TOKEN_STORE": store})

        sidecars = await asyncio.gather(*(start(number) for number in range(size)))
        try:
            yield Fleet(sidecars, upstream, redis)
        finally:
            await asyncio.gather(*(sidecar.stop() for sidecar in sidecars))


@pytest.mark.slow
async def test_fifty_sidecars_cost_one_login(tmp_path):
    for attempt in count():
        folder = tmp_path / str(attempt)
        folder.mkdir()
        try:
            await start_fifty(folder)
        except AssertionError:
            # On a busy machine one may get no time for 3 s, then rightly logs in alone.
            if not any(b"token store fails (TimeoutError)" in log.read_bytes() for log in folder.glob("*/stderr")):
                raise
        else:
            break


async def start_fifty(folder: Path) -> None:
    async with fleet(folder, 50) as house:
        answers = await house.ask_all()
        assert {answer.status for answer in answers} == {200}
        assert len(house.upstream.logins) == 1
        assert len(house.tokens()) == 1
        shown = (await ask(house.sidecars[0], "/_sidecar/status")).json["logins"]
        assert shown["recent"][0]["outcome"] in {"shared", "success"}
        stored = b"".join(house.redis.cli("get", key).encode() for key in house.redis.stored())
        assert TOKEN_CANARY.encode() not in stored
        assert SECRET.encode() not in stored


async def test_several_workers_each_share_it_too(tmp_path):
    async with fleet(tmp_path, 3, SIDECAR_WORKERS="2") as house:
        for _ in range(4):
            assert {answer.status for answer in await house.ask_all()} == {200}
        assert len(house.upstream.logins) == 1
        assert len(house.tokens()) == 1


async def test_a_token_refused_to_all_costs_one_more_login(tmp_path):
    async with fleet(tmp_path, 8) as house:
        await house.ask_all()
        refused = set(house.tokens())

        async def judge(exchange: Exchange) -> None:
            await exchange.send(NOT_VALID if exchange.authorization in refused else response(200))

        house.upstream.on("/judged", judge)
        answers = await house.ask_all("/judged")
        assert {answer.status for answer in answers} == {200}
        assert len(house.upstream.logins) == 2


async def test_a_wrong_secret_costs_the_fleet_one_login(tmp_path):
    async with fleet(tmp_path, 8, SIDECAR_LOGIN_AT_START="0") as house:
        house.upstream.login_script = response(403, body=b'{"code": "LOGIN_FAILED"}')
        answers = await house.ask_all() + await house.ask_all()
        assert {answer.status for answer in answers} == {502}
        assert {answer.json["code"] for answer in answers} == {"SIDECAR_LOGIN_REJECTED"}
        assert len(house.upstream.logins) == 1
        assert house.upstream.seen("/x") == []
        ready = await ask(house.sidecars[0], "/readyz")
        assert ready.status == 503


async def test_with_redis_killed_each_goes_on_alone(tmp_path):
    async with fleet(tmp_path, 4, SIDECAR_STRING_GAP="0s", SIDECAR_FRESH_FOR="1ms") as house:
        await house.ask_all()
        house.redis.kill()
        before = len(house.upstream.logins)
        assert {answer.status for answer in await house.ask_all()} == {200}
        assert len(house.upstream.logins) == before + 4
    for sidecar in house.sidecars:
        assert sidecar.log().count("this sidecar logs in alone") == 1


async def test_with_redis_frozen_each_goes_on_alone(tmp_path):
    async with fleet(tmp_path, 4, SIDECAR_LOGIN_AT_START="0") as house:
        house.redis.freeze()
        assert {answer.status for answer in await house.ask_all()} == {200}
        assert len(house.upstream.logins) == 4
        house.redis.thaw()


async def test_an_address_where_no_redis_is_does_not_keep_a_sidecar_from_its_work(tmp_path):
    async with fleet(tmp_path, 1, SIDECAR_TOKEN_STORE="redis://127.0.0.1:1/0") as house:
        assert {answer.status for answer in await house.ask_all()} == {200}
    assert "ConnectionRefusedError" in house.sidecars[0].log()


@pytest.mark.parametrize("missing", ["redis", "cryptography"])
def test_a_missing_package_is_a_wrong_setting(missing):
    """As if it were not installed."""
    hidden = f"import sys; sys.modules[{missing!r}] = None"
    script = f"{hidden}; from biot_sidecar.__main__ import main; sys.exit(main(['serve']))"
    environment = {
        **FORM,
        "BIOT_BASE_URL": "https://api.example",
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        "SIDECAR_TOKEN_STORE": "redis://:canary@127.0.0.1/0",
        "SIDECAR_LISTEN": "127.0.0.1:0",
    }
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 1
    assert run.stderr == (
        f"biot-sidecar: SIDECAR_TOKEN_STORE: needs {missing}, which is not installed here: "
        'pip install "biot-sidecar[redis]"\n'
    )
