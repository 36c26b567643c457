"""A machine whose clock is wrong works: a token's life is told by BioT's clock, the Date of the login's response."""

from __future__ import annotations

import time

import pytest
from biot_sidecar.http.local_responses import http_date

from tests.e2e.test_telemetry import counted, key, logged
from tests.support.exchanges import Exchange
from tests.support.live import LIVE
from tests.support.scripted_upstream import login_answer
from tests.support.sidecar import House

pytestmark = LIVE

LIFE = 1800.0
MINUTES, HOURS = 60.0, 3600.0


def biot(house: House, off: float, *, date: float | None = 0.0) -> None:
    """BioT's clock is `off` seconds ahead of ours; its Date says `date` seconds more than that, None: it has none."""

    async def log_in(exchange: Exchange) -> None:
        now = time.time() + off
        head, _, body = login_answer(len(house.upstream.logins), now + LIFE).partition(b"\r\n\r\n")
        field = b"" if date is None else b"\r\nDate: " + http_date(now + date).encode()
        await exchange.send(head + field + b"\r\n\r\n" + body)

    house.upstream.login_script = log_in


async def clock(house: House) -> float | None:
    return (await house.get("/_sidecar/status")).json["clock"]["offset_seconds"]


@pytest.mark.parametrize("off", [-26 * HOURS, -31 * MINUTES, 0.0, 31 * MINUTES, 26 * HOURS])
async def test_a_clock_that_is_wrong_costs_one_login_and_is_told(start, off):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    biot(house, off)
    for _ in range(3):
        assert (await house.get("/x")).status == 200
    assert len(house.upstream.logins) == 1
    assert await clock(house) == pytest.approx(off, abs=30)
    assert (await counted(house))[key("clock_offset_seconds")] == pytest.approx(off, abs=30)
    token = (await counted(house))[key("token_expiry_timestamp_seconds")]
    assert token == pytest.approx(time.time() + LIFE, abs=60)  # by this machine's clock, as all times that are shown
    warnings = [line for line in await logged(house) if line["event"] == "clock"]
    assert len(warnings) == (off != 0.0)


@pytest.mark.parametrize(
    ("off", "date"), [(0.0, None), (0.0, 5 * LIFE), (20 * HOURS, None), (20 * HOURS, -50 * HOURS)],
    ids=["no Date", "an absurd Date", "ahead and no Date", "ahead and an absurd Date"],
)  # fmt: skip
async def test_without_a_date_that_can_be_true_our_own_clock_counts(start, off, date):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    biot(house, off, date=date)
    assert (await house.get("/x")).status == 200
    assert await clock(house) is None
    assert key("clock_offset_seconds") not in await counted(house)
    expires = (await counted(house))[key("token_expiry_timestamp_seconds")]
    assert expires == pytest.approx(time.time() + off + LIFE, abs=60)


async def test_a_token_that_has_expired_by_our_clock_and_has_no_date_is_malformed(start):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    biot(house, -31 * MINUTES, date=None)
    answer = await house.get("/x")
    assert (answer.status, answer.json["code"]) == (502, "SIDECAR_LOGIN_MALFORMED")
    assert "clock" in answer.json["details"]["hint"]


@pytest.mark.parametrize("off", [-26 * HOURS, 26 * HOURS])
async def test_every_worker_knows_the_offset(start, off):
    house = await start(SIDECAR_LOGIN_AT_START="0", SIDECAR_WORKERS="2")
    biot(house, off)
    for _ in range(6):
        assert (await house.get("/x")).status == 200
    assert len(house.upstream.logins) == 1
    assert (await counted(house))[key("clock_offset_seconds")] == pytest.approx(off, abs=30)
