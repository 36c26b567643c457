"""Logins that fail in the running program: each with its name and advice, paused for as long as was promised."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from tests.e2e.test_telemetry import counted, key, logged
from tests.support.exchanges import Exchange
from tests.support.in_time import in_time
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream, login_answer, make_token, then_close, then_reset
from tests.support.shifted import ShiftedClock
from tests.support.sidecar import SECRET, House
from tests.support.wire import DEADLINE, chunked, lines, response

pytestmark = LIVE

JSON = b"Content-Type: application/json"
REJECTED = response(403, JSON, body=b'{"code": "LOGIN_FAILED"}')
LOCKED = response(401, JSON, body=b'{"code": "SERVICE_LOCKED"}')
PAST = 1_600_000_000.0


def given(**body: object) -> bytes:
    return response(200, JSON, body=json.dumps(body).encode())


async def endless_head(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000)
    await exchange.abandoned()


MALFORMED = "SIDECAR_LOGIN_MALFORMED"
UNAVAILABLE = "SIDECAR_LOGIN_UNAVAILABLE"
FAILURES = {
    "wrong secret": (REJECTED, 502, "SIDECAR_LOGIN_REJECTED", "rejected", "LOGIN_FAILED", "BIOT_SERVICE_USER_ID"),
    "locked": (LOCKED, 502, "SIDECAR_LOGIN_REJECTED", "locked", "SERVICE_LOCKED", "unlock"),
    "firewall": (response(403, body=b"<html>"), 502, "SIDECAR_LOGIN_REJECTED", "rejected", "403", "BIOT_BASE_URL"),
    "500": (response(500, body=b"{}"), 503, UNAVAILABLE, "server_error", "500", "again"),
    "429": (response(429), 503, UNAVAILABLE, "server_error", "429", "again"),
    "400": (response(400, body=b"{}"), 502, MALFORMED, "malformed", "400", "UUID"),
    "404": (response(404), 502, MALFORMED, "malformed", "404", "BIOT_BASE_URL"),
    "redirect": (response(302, b"Location: /"), 502, MALFORMED, "malformed", "302", "BIOT_BASE_URL"),
    "no json": (response(200, body=b"<html>"), 502, MALFORMED, "malformed", "not JSON", "BIOT_BASE_URL"),
    "half json": (
        response(200, body=b'{"accessToken": "a.b'),
        502,
        MALFORMED,
        "malformed",
        "not JSON",
        "BIOT_BASE_URL",
    ),
    "no token": (given(), 502, MALFORMED, "malformed", "accessToken", "BIOT_BASE_URL"),
    "no expiry": (given(accessToken="a.b.c"), 502, MALFORMED, "malformed", "expires", "BIOT_BASE_URL"),
    "absurd token": (given(accessToken=["x"]), 502, MALFORMED, "malformed", "accessToken", "BIOT_BASE_URL"),
    "smuggled token": (given(accessToken="a\r\nX: y"), 502, MALFORMED, "malformed", "accessToken", "BIOT_BASE_URL"),
    "expired": (login_answer(1, PAST), 502, MALFORMED, "malformed", "expired when it arrived", "clock"),
    "huge": (response(200, body=b"x" * 200_000), 502, MALFORMED, "malformed", "larger", "BIOT_BASE_URL"),
    "endless head": (endless_head, 502, MALFORMED, "malformed", "head", "BIOT_BASE_URL"),
    "cut": (then_close(response(200, body=b"{}")[:-1]), 502, MALFORMED, "malformed", "broke off", "BIOT_BASE_URL"),
    "closed": (then_close(b""), 503, UNAVAILABLE, "network", "closed the connection", "again"),
    "reset": (then_reset(), 503, UNAVAILABLE, "network", "connection", "again"),
    "not http": (
        response(200).replace(b"HTTP/1.1", b"SSH-2.0-x"),
        502,
        MALFORMED,
        "malformed",
        "cannot be trusted",
        "BIOT_BASE_URL",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_each_failure_says_what_it_was_and_what_to_do(start, failure):
    script, status, code, outcome, words, advice = failure

    async def call_twice(watch):
        house = await start(SIDECAR_LOGIN_AT_START="0")
        house.upstream.login_script = script
        watch.start()
        answer = await house.get("/x")
        assert_ours(answer, status, code)
        assert words in answer.json["message"]
        assert advice in answer.json["details"]["hint"]
        again = await house.get("/x")
        watch.stop()
        assert again.json["message"] == answer.json["message"]
        # A connection that is lost before the answer costs a second one; the next call finds the login paused.
        assert len(house.upstream.logins) == (2 if outcome == "network" else 1)
        return house, answer

    house, answer = await in_time(1.0, call_twice)
    assert house.upstream.requests == []
    metrics = await counted(house)
    assert {labels: value for (name, labels), value in metrics.items() if name == "logins_total"} == {
        frozenset({("outcome", outcome), ("reason", "start")}): 1
    }
    (told,) = [line for line in await logged(house) if line["event"] == "login"]
    assert answer.json["message"] in told["message"]
    # A call's hint says besides until when logins are paused; the log says that in a line of its own.
    assert answer.json["details"]["hint"].partition(" Logins are paused until ")[0] in told["message"]


@pytest.mark.slow
async def test_a_login_that_never_ends_is_given_up_after_ten_seconds(start):
    async def silent(exchange: Exchange) -> None:
        await exchange.abandoned()

    async def endless(exchange: Exchange) -> None:
        await exchange.send(lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"))
        while not exchange.connection.gone:
            await exchange.send(chunked(b"x")[: len(b"1\r\nx\r\n")])
            await asyncio.sleep(0.5)

    routes = "version: 1\ndefaults: {timeout: 20s}\n"
    houses = [await start(routes=routes, SIDECAR_LOGIN_AT_START="0") for _ in range(2)]
    houses[0].upstream.login_script = silent
    houses[1].upstream.login_script = endless
    clients = [await house.client() for house in houses]
    for client in clients:
        await client.send(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for house, client in zip(houses, clients, strict=True):
        answer = await client.read_answer()
        assert_ours(answer, 504, "SIDECAR_LOGIN_TIMEOUT")
        assert "10s" in answer.json["message"]
        assert (await counted(house))[key("logins_total", outcome="timeout", reason="start")] == 1


async def test_an_upstream_that_is_not_there_is_a_network_failure(start):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    await house.upstream.stop_listening()
    answer = await house.get("/x")
    assert_ours(answer, 503, "SIDECAR_LOGIN_UNAVAILABLE")
    assert "refused the connection" in answer.json["message"]
    assert (await counted(house))[key("logins_total", outcome="network", reason="start")] == 1
    await house.upstream.listen()


async def test_a_certificate_nobody_trusts_is_a_network_failure(start, authority):
    house = await start(upstream=ScriptedUpstream(tls=authority.server_context()), SIDECAR_LOGIN_AT_START="0")
    answer = await house.get("/x")
    assert_ours(answer, 503, "SIDECAR_LOGIN_UNAVAILABLE")
    assert "certificate" in answer.json["message"]
    assert "SIDECAR_EXTRA_CA_FILE" in answer.json["details"]["hint"]
    house.upstream.failures.clear()


@pytest.mark.parametrize("expiration", [None, "soon", 17, "2025-13-01T00:00:00Z"])
async def test_without_a_readable_expiry_the_tokens_own_counts(start, expiration):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    jwt = make_token(1, 4_000_000_000.0)
    body = {"accessToken": jwt} if expiration is None else {"accessToken": jwt, "accessTokenExpiration": expiration}
    house.upstream.login_script = given(**body)
    assert (await house.get("/x")).status == 200
    assert (await house.get("/_sidecar/status")).json["token"]["expires"] == "2096-10-02T07:06:40.000Z"


# ---- when the next one may be tried


async def when_tried(house: House, clock: ShiftedClock, moments: list[float]) -> list[int]:
    """How many logins there have been after a call at each of these seconds from now."""
    counts, now = [], 0.0
    for moment in moments:
        clock.go(moment - now)
        now = moment
        await house.get("/x")
        await house.local_fence()
        counts.append(len(house.upstream.logins))
    return counts


async def test_a_wrong_secret_costs_one_login_per_block_and_blocks_double(start, tmp_path):
    clock = ShiftedClock(tmp_path)
    house = await start(SIDECAR_LOGIN_AT_START="0", **clock.settings)
    house.upstream.login_script = REJECTED
    answers = await asyncio.gather(*(house.get("/x") for _ in range(100)))
    assert {answer.json["code"] for answer in answers} == {"SIDECAR_LOGIN_REJECTED"}
    assert len(house.upstream.logins) == 1
    # Time passes by itself too: each look that is early is so by many seconds.
    moments = [30.0, 62, 120, 150, 185, 390, 428, 860, 912, 1750, 1815, 2650, 2720]
    assert await when_tried(house, clock, moments) == [1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]
    assert house.upstream.requests == []


async def test_other_failures_pause_for_a_second_doubling_to_a_minute(start, tmp_path):
    clock = ShiftedClock(tmp_path)
    house = await start(SIDECAR_LOGIN_AT_START="0", **clock.settings)
    house.upstream.login_script = response(500)
    began = time.monotonic()
    await house.get("/x")
    # Each pause may be a quarter longer than it says; time passes by itself too, so the early look is well early.
    for number, pause in enumerate([1, 2, 4, 8, 16, 32, 60, 60], 1):
        early = max(0.0, pause / 2 - 1)
        clock.go(early)
        looked = time.monotonic()
        await house.get("/x")
        if len(house.upstream.logins) == number or time.monotonic() - began + early < pause:
            assert len(house.upstream.logins) == number
            clock.go(pause * 1.25 + 1 - early)
            looked = time.monotonic()
            await house.get("/x")
        await house.local_fence()
        assert len(house.upstream.logins) == number + 1
        began = looked


async def test_no_login_is_tried_before_retry_after(start, tmp_path):
    clock = ShiftedClock(tmp_path)
    house = await start(SIDECAR_LOGIN_AT_START="0", **clock.settings)
    house.upstream.login_script = response(503, b"Retry-After: 120")
    assert await when_tried(house, clock, [0.0, 60, 90, 122]) == [1, 1, 1, 2]


async def test_a_block_is_told_and_a_valid_token_goes_on_meanwhile(start, tmp_path):
    clock = ShiftedClock(tmp_path)
    house = await start(SIDECAR_LOGIN_AT_START="0", **clock.settings)
    house.upstream.login_script = REJECTED
    await house.get("/x")
    ready = await house.get("/readyz")
    assert ready.status == 503
    assert b"blocked" in ready.body
    assert b"LOGIN_FAILED" in ready.body
    shown = (await house.get("/_sidecar/status")).json
    assert shown["token"]["state"] == "blocked"
    assert shown["logins"]["blocked_until"]
    assert (await counted(house))[key("login_blocked_until_timestamp_seconds")] > clock()
    clock.go(62)
    house.upstream.login_script = None
    clock.go(-62)
    clock.go(62)
    house.upstream.lifetime = 1800 + clock.ahead
    assert (await house.get("/x")).status == 200
    assert (await house.get("/readyz")).status == 200
    house.upstream.login_script = REJECTED
    clock.go(400)
    for _ in range(3):
        assert (await house.get("/x")).status == 200
    await house.local_fence()
    assert len(house.upstream.logins) == 3
    assert (await house.get("/readyz")).status == 200
    shown = (await house.get("/_sidecar/status")).json
    assert shown["token"]["state"] == "valid"
    assert shown["logins"]["blocked_until"]


# ---- the secret's file


def write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)


async def only_new(exchange: Exchange) -> None:
    good = json.loads(await exchange.body())["secretKey"] == "new"
    await exchange.send(login_answer(2, 4_000_000_000.0) if good else REJECTED)


async def with_file(start, file: Path, **settings: str) -> House:
    house = await start(
        BIOT_SERVICE_USER_SECRET_KEY="",
        BIOT_SERVICE_USER_SECRET_KEY_FILE=str(file),
        SIDECAR_LOGIN_AT_START="0",
        **settings,
    )
    house.upstream.login_script = only_new
    return house


@pytest.mark.parametrize("text", ["new", "new\n", "new\r\n"])
async def test_a_changed_secret_file_lifts_a_block_at_once(start, tmp_path, text):
    file = tmp_path / "secret"
    write(file, "old\n")
    house = await with_file(start, file)
    for _ in range(3):
        assert_ours(await house.get("/x"), 502, "SIDECAR_LOGIN_REJECTED")
    assert (await house.get("/readyz")).status == 503
    write(file, text)
    assert (await house.get("/readyz")).status == 200
    assert (await house.get("/x")).status == 200
    assert len(house.upstream.logins) == 2


async def test_a_file_written_anew_with_the_same_secret_lifts_nothing(start, tmp_path):
    file = tmp_path / "secret"
    write(file, "old")
    house = await with_file(start, file)
    await house.get("/x")
    write(file, "old\n")
    assert_ours(await house.get("/x"), 502, "SIDECAR_LOGIN_REJECTED")
    assert len(house.upstream.logins) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_secret_that_cannot_be_read_is_told_and_counted_once(start, tmp_path, workers):
    file = tmp_path / "secret"
    write(file, "new")
    house = await with_file(start, file, SIDECAR_WORKERS=workers)
    file.unlink()
    answer = await house.get("/x")
    assert_ours(answer, 503, "SIDECAR_SECRET_UNAVAILABLE")
    assert "cannot be read" in answer.json["message"]
    assert "BIOT_SERVICE_USER_SECRET_KEY_FILE" in answer.json["details"]["hint"]
    logins = (await house.get("/_sidecar/status")).json["logins"]
    assert (logins["total"], [one["outcome"] for one in logins["recent"]]) == (1, ["secret"])
    counts = {name: count for name, count in (await counted(house)).items() if name[0] == "logins_total"}
    assert counts == {key("logins_total", outcome="secret", reason="start"): 1}
    write(file, "new")
    async with asyncio.timeout(DEADLINE):
        while (await house.get("/x")).status != 200:
            await asyncio.sleep(0.1)
    told, *_ = [line for line in await logged(house) if line["event"] == "login"]
    assert "cannot be read" in told["message"]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_file_that_is_back_is_read_at_once_even_with_the_secret_of_before(start, tmp_path, workers):
    """A pause of a minute helps nobody where BioT was not asked."""
    file = tmp_path / "secret"
    write(file, "new")
    house = await with_file(start, file, SIDECAR_WORKERS=workers)
    assert (await house.get("/x")).status == 200
    revoked = response(401, b"Content-Type: application/json", body=b'{"code": "TOKEN_NOT_VALID"}')
    house.upstream.on("/revoked", revoked)
    file.unlink()
    assert_ours(await house.get("/revoked"), 503, "SIDECAR_SECRET_UNAVAILABLE")
    write(file, "new")
    assert (await house.get("/x")).status == 200


# ---- where secrets are


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_crash_would_leave_no_core_with_secrets_in_it(start, workers):
    house = await start(SIDECAR_WORKERS=workers)
    parent = house.sidecar.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(children) == (0 if workers == "1" else 2)
    for process in [str(parent), *children]:
        (limit,) = [line for line in Path(f"/proc/{process}/limits").read_text().splitlines() if "core" in line]
        assert limit.split()[4] in {"0", "1"}, limit


async def test_the_secret_is_in_no_page_and_no_log_whatever_happens(start):
    house = await start(SIDECAR_LOG_LEVEL="debug", SIDECAR_LOGIN_AT_START="0")
    house.upstream.login_script = REJECTED
    pages = [await house.get(path) for path in ("/x", "/metrics", "/readyz", "/_sidecar/status")]
    await house.sidecar.stop()
    assert SECRET not in house.sidecar.log()
    assert not [page for page in pages if SECRET.encode() in page.body]


async def test_a_login_reads_past_interim_answers_and_survives_a_reset(start):
    upstream = ScriptedUpstream()

    async def log_in(exchange: Exchange) -> None:
        await exchange.body()
        if len(upstream.logins) == 1:
            exchange.connection.reset()
            return
        for status in (100, 102, 103):
            await exchange.send(lines(b"HTTP/1.1 %d X" % status))
        await exchange.send(login_answer(1, time.time() + 1800))

    upstream.login_script = log_in
    house = await start(upstream=upstream)
    assert (await house.get("/x")).status == 200
    assert len(upstream.logins) == 2
    assert (await counted(house))[key("logins_total", outcome="success", reason="start")] == 1


async def test_callers_that_wait_for_a_hanging_login_leave_places_to_those_that_need_no_token(start):
    async def hang(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.abandoned()

    house = await start(SIDECAR_MAX_IN_FLIGHT="40", SIDECAR_LOGIN_AT_START="0")
    house.upstream.login_script = hang
    waiting = [asyncio.ensure_future(house.get("/x")) for _ in range(60)]
    async with asyncio.timeout(DEADLINE):
        while not house.upstream.logins:
            await asyncio.sleep(0.01)
    for _ in range(5):
        assert (await house.get("/none/x")).status == 200
    assert not any(one.done() and one.result().status != 503 for one in waiting)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_command_that_gives_no_secret_is_a_503_and_no_block_and_one_run_serves_all_workers(start, tmp_path):
    runs, secret = tmp_path / "runs", tmp_path / "secret"
    house = await start(
        SIDECAR_LOGIN_AT_START="0",
        SIDECAR_WORKERS="2",
        BIOT_SERVICE_USER_SECRET_KEY="",
        SIDECAR_SECRET_COMMAND=f"sh -c 'echo >> {runs}; cat {secret}'",
    )
    answers = await asyncio.gather(*(house.get("/x") for _ in range(8)))
    for answer in answers:
        assert_ours(answer, 503, "SIDECAR_SECRET_UNAVAILABLE")
        assert answer.json["details"]["hint"] == "Check SIDECAR_SECRET_COMMAND."
    tried = (await counted(house))[key("logins_total", outcome="secret", reason="start")]
    assert tried == len(runs.read_text()) < 8
    assert (await house.get("/readyz")).status == 200
    secret.write_text(SECRET)
    while (answer := await house.get("/x")).status != 200:
        assert_ours(answer, 503, "SIDECAR_SECRET_UNAVAILABLE")
        await asyncio.sleep(0.1)
    assert len(house.upstream.logins) == 1
