"""The real program on a machine whose clock is wrong, by libfaketime: 31 minutes and 26 hours, both ways."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest

from tests.e2e.test_clock_offset import HOURS, MINUTES, biot, clock
from tests.e2e.test_telemetry import counted, key, logged
from tests.support.live import LIVE
from tests.support.redis import redis_server
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import House, start_sidecar
from tests.support.wall_clock import WallClock
from tests.support.wants import needs

pytestmark = LIVE
LIFE = 1800.0
WRONG = [-26 * HOURS, -31 * MINUTES, 31 * MINUTES, 26 * HOURS]


def set_wrong(folder, seconds: float) -> dict[str, str]:
    """The settings of a program whose clock is so many seconds ahead."""
    one = WallClock(folder / f"clock{seconds:.0f}")
    one.move_on(int(seconds))
    return one.variables


async def called(house: House, times: int = 3) -> None:
    for _ in range(times):
        assert (await house.get("/x")).status == 200
    assert len(house.upstream.logins) == 1


@pytest.mark.parametrize("ahead", WRONG)
async def test_every_call_works_after_one_login_and_the_offset_is_told_once(start, tmp_path, ahead):
    house = await start(SIDECAR_LOGIN_AT_START="0", **set_wrong(tmp_path, ahead))
    biot(house, 0.0)
    await called(house)
    assert await clock(house) == pytest.approx(-ahead, abs=30)
    found = await counted(house)
    assert found[key("clock_offset_seconds")] == pytest.approx(-ahead, abs=30)
    assert found[key("token_expiry_timestamp_seconds")] == pytest.approx(time.time() + ahead + LIFE, abs=60)
    assert [line["level"] for line in await logged(house) if line["event"] == "clock"] == ["warning"]


@pytest.mark.parametrize(
    ("ahead", "date"),
    [*((ahead, None) for ahead in WRONG), (-31 * MINUTES, 5 * LIFE), (31 * MINUTES, -25 * HOURS)],
)
async def test_without_a_date_that_can_be_true_the_machines_own_clock_counts(start, tmp_path, ahead, date):
    house = await start(SIDECAR_LOGIN_AT_START="0", **set_wrong(tmp_path, ahead))
    biot(house, 0.0, date=date)
    if ahead < 0:
        await called(house)
    else:  # by that clock the token has expired already
        answer = await house.get("/x")
        assert (answer.status, answer.json["code"]) == (502, "SIDECAR_LOGIN_MALFORMED")
        assert "clock" in answer.json["details"]["hint"]
    assert await clock(house) is None


@needs("redis-server")
async def test_sidecars_whose_clocks_differ_share_one_token(tmp_path):
    async with redis_server(tmp_path) as redis, ScriptedUpstream() as upstream, AsyncExitStack() as stack:
        for ahead in (WRONG[0], WRONG[-1], 0.0):
            folder = tmp_path / f"{ahead:.0f}"
            folder.mkdir()
            settings = {"SIDECAR_TOKEN_STORE": redis.url, "SIDECAR_LOGIN_AT_START": "0", **set_wrong(folder, ahead)}
            house = House(await start_sidecar(folder, upstream.url, **settings), upstream)
            stack.push_async_callback(house.sidecar.stop)
            biot(house, 0.0)
            await called(house)
            await house.tidy()
    assert len(upstream.logins) == 1
