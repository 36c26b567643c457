"""Strings of calls, renewal and the wall clock, in the running program with its clock in hand."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import time
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.test_telemetry import counted, key
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream, login_answer
from tests.support.shifted import ShiftedClock
from tests.support.sidecar import House
from tests.support.wire import DEADLINE, response

pytestmark = LIVE

FRESH_FOR = 300


class Life:
    """A program, its clock, and a BioT whose clock is the same."""

    def __init__(self, house: House, clock: ShiftedClock) -> None:
        self.house = house
        self.clock = clock
        self.upstream = house.upstream

    @property
    def logins(self) -> int:
        return len(self.upstream.logins)

    async def call(self) -> bytes:
        """One call; the token that it carried."""
        assert (await self.house.get("/x")).status == 200
        await self.house.local_fence()  # the program has done with the call before the clock goes on
        return self.upstream.requests[-1].authorization or b""

    async def renewed(self, logins: int) -> None:
        """Wait for a login in the background."""
        async with asyncio.timeout(DEADLINE):
            while self.logins < logins:
                await self.house.local_fence()
        await self.house.fence()

    async def status(self) -> dict:
        return (await self.house.get("/_sidecar/status")).json


@pytest_asyncio.fixture(loop_scope="module")
async def begin(start, tmp_path: Path):
    """Starts a life: `await begin(life=1800, SIDECAR_...=...)`."""

    async def begin(life: float = 1800.0, **settings: str) -> Life:
        clock = ShiftedClock(tmp_path)
        upstream = ScriptedUpstream()

        async def log_in(exchange) -> None:
            await exchange.body()
            await exchange.send(login_answer(len(upstream.logins), clock() + life))

        upstream.login_script = log_in
        return Life(await start(upstream=upstream, **clock.settings, **settings), clock)

    return begin


async def test_a_string_of_calls_uses_one_token_far_beyond_fresh_for(begin):
    life = await begin()
    token = await life.call()
    for _ in range(40):
        life.clock.go(22)
        assert await life.call() == token
    assert life.logins == 1


async def test_a_new_string_starts_with_a_token_no_older_than_fresh_for(begin):
    life = await begin()
    token = await life.call()
    life.clock.go(FRESH_FOR - 10)
    assert await life.call() == token
    life.clock.go(31)
    newer = await life.call()
    assert newer != token
    assert await life.call() == newer
    assert (await counted(life.house))[key("logins_total", outcome="success", reason="string")] == 1


async def test_fresh_for_zero_gives_every_string_its_own_login(begin):
    life = await begin(SIDECAR_FRESH_FOR="0s")
    assert life.logins == 0
    tokens = set()
    for _ in range(3):
        tokens.add(await life.call())
        life.clock.go(20)
        tokens.add(await life.call())
        life.clock.go(30)
    assert len(tokens) == life.logins == 3


async def test_a_string_gap_of_zero_makes_every_call_a_string(begin):
    life = await begin(SIDECAR_STRING_GAP="0s", SIDECAR_FRESH_FOR="100s")
    token = await life.call()
    life.clock.go(90)
    assert await life.call() == token
    life.clock.go(11)
    assert await life.call() != token


async def test_past_three_quarters_of_its_life_a_token_is_renewed_while_calls_go_on_with_it(begin):
    life = await begin(life=1000, SIDECAR_STRING_GAP="1h")
    token = await life.call()
    life.clock.go(740)
    assert await life.call() == token
    await life.house.fence()
    assert life.logins == 1
    held = life.upstream.hold("/nothing")
    script = life.upstream.login_script
    life.upstream.login_script = held
    life.clock.go(115)  # 855 s: the latest moment that jitter allows is 850
    assert await life.call() == token
    login = await held.next()
    assert await life.call() == token
    assert (await life.status())["token"]["state"] == "renewing"
    life.upstream.login_script = script
    await held.answer(login, login_answer(2, life.clock() + 1000))
    async with asyncio.timeout(DEADLINE):
        while (await life.status())["token"]["state"] != "valid":
            pass
    assert await life.call() != token
    metrics = await counted(life.house)
    assert metrics[key("logins_total", outcome="success", reason="expiring")] == 1
    assert metrics[key("token_requests_total", result="stale")] == 2


@pytest.mark.parametrize(("lifetime", "least"), [(100, 10), (6000, 60)])
async def test_a_token_near_its_end_is_never_sent(begin, lifetime, least):
    life = await begin(life=lifetime, SIDECAR_STRING_GAP="9h")
    token = await life.call()
    life.upstream.login_script, script = response(500), life.upstream.login_script
    life.clock.go(lifetime - least - 5)
    assert await life.call() == token  # no other can be had
    await life.renewed(2)
    life.clock.go(70)
    life.upstream.login_script = script
    assert await life.call() != token
    assert (await counted(life.house))[key("token_requests_total", result="wait")] >= 1


async def test_a_process_that_was_frozen_past_its_tokens_end_wakes_up_right(begin):
    life = await begin()
    token = await life.call()
    life.house.sidecar.signal(signal.SIGSTOP)
    life.clock.go(3 * 3600)
    asked = asyncio.ensure_future(life.call())
    life.house.sidecar.signal(signal.SIGCONT)
    assert await asked != token
    assert life.logins == 2


async def test_a_process_that_was_frozen_while_it_logged_in_tries_again_at_once(begin):
    life = await begin(SIDECAR_LOGIN_AT_START="0")
    script, held = life.upstream.login_script, life.upstream.hold("/nothing")
    life.upstream.login_script = held
    asked = asyncio.ensure_future(life.call())
    login = await held.next()
    life.house.sidecar.signal(signal.SIGSTOP)
    life.clock.go(600)
    life.upstream.login_script = script
    login.connection.reset()  # as whatever is between does with connections that nobody answers on
    held.release(login)
    life.house.sidecar.signal(signal.SIGCONT)
    assert await asked
    assert life.logins == 2
    metrics = await counted(life.house)
    # One login over two connections: the lost one is no failure of its own.
    assert {name: count for name, count in metrics.items() if name[0] == "logins_total"} == {
        key("logins_total", outcome="success", reason="start"): 1
    }


async def test_a_frozen_process_whose_string_goes_on_needs_no_new_token(begin):
    life = await begin()
    token = await life.call()
    life.house.sidecar.signal(signal.SIGSTOP)
    life.clock.go(20)
    life.house.sidecar.signal(signal.SIGCONT)
    assert await life.call() == token


@pytest.mark.parametrize("jump", [20.0, -20.0, -4000.0])
async def test_on_a_jump_of_the_wall_clock_idle_connections_are_dropped(begin, jump):
    life = await begin()
    await life.call()
    before = life.upstream.requests[-1].connection_number
    await life.call()
    assert life.upstream.requests[-1].connection_number == before
    life.clock.go(jump)
    await life.call()
    assert life.upstream.requests[-1].connection_number > before


async def test_a_clock_that_is_set_back_makes_no_old_token_young(begin):
    life = await begin()
    token = await life.call()
    life.clock.go(400)
    assert await life.call() != token
    life.clock.go(-390)
    await life.call()
    life.clock.go(60)
    assert await life.call() != token


async def test_the_status_tells_what_each_login_was_good_for_and_how_long_callers_waited(begin):
    life = await begin(SIDECAR_LOGIN_AT_START="0")
    for _ in range(3):
        await life.call()
    life.clock.go(500)
    await life.call()
    logins = (await life.status())["logins"]
    assert [(one["reason"], one["outcome"], one["calls"]) for one in logins["recent"]] == [
        ("start", "success", 3),
        ("string", "success", 1),
    ]
    assert logins["total"] == 2
    assert logins["by_reason"] == {"start": 1, "string": 1, "expiring": 0, "token_not_valid": 0}
    assert logins["calls_per_login"] == 2.0
    assert logins["waits"]["count"] == 2
    assert 0 < logins["waits"]["longest_seconds"] <= logins["waits"]["total_seconds"]


@pytest.mark.parametrize("expiration", ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-12:00"])
async def test_a_token_that_ends_beyond_all_dates_is_used_and_told_of(start, expiration):
    upstream = ScriptedUpstream()
    body = json.dumps({"accessToken": "a.b.c", "accessTokenExpiration": expiration}).encode()
    upstream.login_script = response(200, b"Content-Type: application/json", body=body)
    house = await start(upstream=upstream, SIDECAR_LOG_LEVEL="debug", SIDECAR_LOGIN_AT_START="0")
    assert (await house.get("/x")).status == 200
    assert upstream.requests[-1].authorization == b"Bearer a.b.c"
    assert (await house.get("/_sidecar/status")).json["token"]["expires"] == "9999-12-31T23:59:59.000Z"
    assert (await house.get("/metrics")).status == 200
    await house.sidecar.stop()
    assert '"event":"bug"' not in house.sidecar.log()


ALWAYS_401 = {
    "a gateway's": response(401, b"Content-Type: text/html", body=b"<html>no</html>"),
    "BioT's": response(401, b"Content-Type: application/json", body=b'{"code": "TOKEN_NOT_VALID"}'),
}


@pytest.mark.parametrize(("seconds", "answer"), [(1, "a gateway's"), (11, "BioT's")])
async def test_a_route_that_always_answers_401_costs_few_logins_and_nobody_elses_token(begin, seconds, answer):
    life = await begin()
    life.upstream.on("/always", ALWAYS_401[answer])
    await life.call()
    assert await logins_of_others(life.house, seconds=seconds, clock=life.clock) == 0
    assert life.logins <= 8
    assert len(life.upstream.seen("/always")) <= 60 + 7


async def test_workers_know_of_each_others_routes_that_always_answer_401(start):
    house = await start(SIDECAR_WORKERS="2")
    house.upstream.on("/always", ALWAYS_401["BioT's"])
    await house.warm_up()
    began = time.monotonic()
    assert await logins_of_others(house) == 0
    seconds = time.monotonic() - began  # one or two; the pauses between two logins double from one on
    assert len(house.upstream.logins) <= 3 + math.log2(1 + seconds)
    house.upstream.on("/always", response(200))
    assert (await house.get("/always")).status == 200


async def logins_of_others(house: House, *, seconds: float = 0.0, clock: ShiftedClock | None = None) -> int:
    """Sixty calls, so many seconds apart, of a route that always answers 401: the logins of the calls in between."""
    logins = 0
    for _ in range(60):
        assert (await house.get("/always")).status == 401
        before = len(house.upstream.logins)
        assert (await house.get("/x")).status == 200
        logins += len(house.upstream.logins) - before
        if clock is not None:
            clock.go(seconds)
    return logins
