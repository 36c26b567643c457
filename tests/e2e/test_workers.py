"""Several serving processes behind one port: one login, one set of numbers, nothing lost when one of them dies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.sidecar import House, start_sidecar, until_refused
from tests.support.wire import DEADLINE, request, response

pytestmark = LIVE
CALLS = 60


def workers(house: House) -> list[int]:
    """The process ids of the program's children."""
    parent = house.sidecar.process.pid
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


async def metric(house: House, series: str) -> float:
    """The sum of all series that begin so."""
    text = (await house.get("/metrics")).body.decode()
    values = re.findall(rf"^biot_sidecar_{re.escape(series)}[^ ]* (\S+)$", text, re.MULTILINE)
    assert values, series
    return sum(map(float, values))


async def status(house: House) -> dict:
    return json.loads((await house.get("/_sidecar/status")).body)


async def call_many(house: House, path: str = "/x") -> None:
    """Each on a connection of its own, so that every worker gets some."""
    answers = await asyncio.gather(*(house.get(path) for _ in range(CALLS)))
    assert {answer.status for answer in answers} == {200}


async def until(condition, timeout: float = DEADLINE) -> None:
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.05)


def alive(pid: int) -> bool:
    """True while the process runs; a zombie runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_workers_share_the_port_one_login_and_their_numbers(start):
    house = await start(SIDECAR_WORKERS="3")
    assert len(workers(house)) == 3
    await call_many(house)
    assert len(house.upstream.logins) == 1
    assert await metric(house, 'requests_total{interception="off",method="GET",route="unmatched",status="200"') == CALLS
    assert await metric(house, "logins_total") == 1
    assert await metric(house, "token_requests_total") == CALLS
    said = await status(house)
    assert next(route["hits"] for route in said["routes"] if route["name"] == "unmatched") == CALLS
    assert [(one["reason"], one["outcome"], one["calls"]) for one in said["logins"]["recent"]] == [
        ("start", "success", CALLS)
    ]


async def test_a_token_that_biot_refuses_costs_all_workers_one_login(start):
    house = await start(SIDECAR_WORKERS="3")
    await call_many(house)
    refused = house.upstream.logins[0]

    async def valid_only(exchange) -> None:
        old = exchange.head.first(b"authorization").endswith(b"-1")
        body = b'{"code": "TOKEN_NOT_VALID"}' if old else b"ok"
        await exchange.send(response(401 if old else 200, body=body))

    house.upstream.on("/picky", valid_only)
    await call_many(house, "/picky")
    assert refused is house.upstream.logins[0]
    assert len(house.upstream.logins) == 2


async def test_a_worker_that_dies_is_replaced_and_its_numbers_stay(start):
    house = await start(SIDECAR_WORKERS="2")
    await call_many(house)
    assert await metric(house, "token_requests_total") == CALLS
    before = set(workers(house))
    os.kill(min(before), signal.SIGKILL)

    async def replaced() -> bool:
        now = set(workers(house))
        return len(now) == 2 and now != before

    await until(replaced)
    await call_many(house)
    assert await metric(house, "token_requests_total") == 2 * CALLS
    assert len(house.upstream.logins) == 1


async def test_what_a_worker_counted_before_its_last_report_stays_without_a_scrape(start):
    reported = [float("inf")]
    waited = 0.0
    while max(reported) >= waited:  # a busy machine may let a report wait until it is too late
        house = await start(SIDECAR_WORKERS="2")
        await call_many(house)
        called = time.monotonic()
        await asyncio.sleep(2.2)  # it is asked once a second, which no clock of ours can hasten
        waited = time.monotonic() - called
        for pid in workers(house):
            os.kill(pid, signal.SIGKILL)
        log = await house.sidecar.until_logged('"event":"worker"', 2)
        told = [line for line in map(json.loads, log.splitlines()) if line["event"] == "worker"]
        reported = [line["seconds_since_report"] for line in told]

    async def replaced() -> bool:
        return len(workers(house)) == 2

    await until(replaced)
    await house.get("/x")
    assert await metric(house, "token_requests_total") == CALLS + 1
    assert await metric(house, 'worker_restarts_total{reason="exit"') == 2
    await house.sidecar.until_logged("what it counted after its last report is lost")


async def test_a_worker_that_hangs_is_replaced(start):
    house = await start(SIDECAR_WORKERS="2")
    await call_many(house)
    before = set(workers(house))
    os.kill(min(before), signal.SIGSTOP)

    async def replaced() -> bool:
        now = set(workers(house))
        return len(now) == 2 and min(before) not in now

    await until(replaced, timeout=2 * DEADLINE)
    await call_many(house)
    assert await metric(house, 'worker_restarts_total{reason="unresponsive"') == 1
    assert await metric(house, 'worker_restarts_total{reason="exit"') == 0
    await house.sidecar.until_logged("10 questions in a row unanswered")


async def test_a_stop_ends_a_worker_that_hangs_too(start):
    house = await start(SIDECAR_WORKERS="2")
    os.kill(workers(house)[0], signal.SIGSTOP)
    house.sidecar.signal()
    assert await house.sidecar.wait() == 0


async def test_a_stop_drains_every_worker(start):
    house = await start(SIDECAR_WORKERS="2")
    held = house.upstream.hold("/slow")
    clients = [await house.client() for _ in range(8)]
    for client in clients:
        await client.send(request("GET", "/slow"))
    exchanges = [await held.next() for _ in clients]
    children = workers(house)
    house.sidecar.signal()
    await until_refused(house)
    for exchange in exchanges:
        await held.answer(exchange, response(200, body=b"in the end"))
    for client in clients:
        assert_passed_on(await client.read_answer(), 200, b"in the end")
    assert await house.sidecar.wait() == 0
    assert not any(map(alive, children))


async def test_a_second_signal_ends_every_worker_at_once(start):
    house = await start(SIDECAR_WORKERS="2")
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    await held.next()
    house.sidecar.signal()
    await until_refused(house)
    house.sidecar.signal()
    assert await house.sidecar.wait() == 0


async def test_workers_do_not_outlive_their_parent(start):
    house = await start(SIDECAR_WORKERS="2")
    await call_many(house)
    children = workers(house)
    house.sidecar.signal(signal.SIGKILL)
    await house.sidecar.wait()

    async def gone() -> bool:
        return not any(map(alive, children))

    await until(gone)


@pytest.mark.slow
async def test_a_hangup_lets_every_worker_read_the_routes_again(start):
    house = await start(SIDECAR_WORKERS="2")
    path = house.sidecar.stderr.parent / "routes.yaml"
    path.write_text('version: 1\nroutes:\n  - {name: shut, match: "* /**", deny: no way}\n')
    house.sidecar.signal(signal.SIGHUP)

    async def all_shut() -> bool:
        answers = await asyncio.gather(*(house.get("/x") for _ in range(20)))
        return {answer.status for answer in answers} == {403}

    await until(all_shut)
    assert await metric(house, 'config_reloads_total{outcome="success"') == 1


async def test_a_loop_is_cut_whichever_worker_it_passes_through(start):
    house = await start(SIDECAR_WORKERS="3", SIDECAR_LOOP_LIMIT="5")
    trace = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answers = [await house.get("/on/again", trace) for _ in range(6)]
    assert [answer.status for answer in answers[:5]] == [200] * 5
    assert_ours(answers[5], 508, "SIDECAR_LOOP_DETECTED")


async def test_the_inspector_shows_what_every_worker_did(start):
    house = await start(SIDECAR_WORKERS="3", SIDECAR_INSPECT="1")
    await call_many(house)

    async def all_there() -> bool:
        records = json.loads((await house.get("/_sidecar/requests")).body)
        return [record["number"] for record in records] == list(range(1, CALLS + 1))

    await until(all_there)
    records = json.loads((await house.get("/_sidecar/requests")).body)
    assert len({record["id"] for record in records}) == CALLS


async def test_wrong_settings_are_told_once_and_no_worker_starts(tmp_path):
    with pytest.raises(AssertionError, match="no whole number from 1 to 256"):
        await start_sidecar(tmp_path, "http://127.0.0.1:9", SIDECAR_WORKERS="0")
    with pytest.raises(AssertionError) as failed:
        await start_sidecar(tmp_path, "http://127.0.0.1:9", routes="version: 2\n", SIDECAR_WORKERS="2")
    assert str(failed.value).count("routes.yaml:1:10: error") == 1


async def test_an_address_in_use_is_an_address_in_use(start, tmp_path):
    house = await start(SIDECAR_WORKERS="2")
    with pytest.raises(AssertionError, match=r"cannot listen on 127\.0\.0\.1:"):
        await start_sidecar(
            tmp_path, house.upstream.url, SIDECAR_WORKERS="2", SIDECAR_LISTEN=f"127.0.0.1:{house.sidecar.port}"
        )
