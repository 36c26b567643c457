"""SIDECAR_TIMEOUT_MOST and the deadlines of AWS Lambda's events, in the running program."""

from __future__ import annotations

import asyncio

import pytest

from tests.deploy.lambda_api import LambdaApi
from tests.support.in_time import in_time
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.wire import Cut, lines, request

pytestmark = LIVE


async def test_a_call_ends_when_the_most_is_over_whatever_its_route_allows(start):
    house = await start(SIDECAR_TIMEOUT_MOST="300ms")

    async def call(watch):
        held = house.upstream.hold("/slow")
        client = await house.client()
        watch.start()
        await client.send(request("POST", "/slow", body=b"x"))
        exchange = await held.next()
        watch.stop()
        answer = await client.read_answer()
        assert_ours(answer, 504, "SIDECAR_UPSTREAM_TIMEOUT")
        assert "0.3s" in answer.json["message"]
        assert "SIDECAR_TIMEOUT_MOST" in answer.json["details"]["hint"]
        assert await exchange.abandoned()
        held.release(exchange)

    await in_time(0.3, call)  # one that has reached BioT by then


async def test_a_body_that_still_comes_then_is_cut_and_does_not_look_whole(start):
    async def drip(exchange):
        await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 100000"))
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.05)

    house = await start(SIDECAR_TIMEOUT_MOST="300ms")
    house.upstream.on("/drip", drip)

    async def begun_and_cut(watch):
        client = await house.client()
        watch.start()
        await client.send(request("GET", "/drip"))
        head = await client.read_head_or_fail()
        watch.stop()
        assert b" 200 " in head.start
        with pytest.raises(Cut) as cut:
            await client.read_exactly(100_000)
        assert cut.value.body.strip(b"x") == b""

    await in_time(0.3, begun_and_cut)


async def test_calls_within_the_most_go_on_and_the_next_one_has_it_anew(start):
    house = await start(SIDECAR_TIMEOUT_MOST="20s")
    assert [(await house.get("/fine")).status for _ in range(3)] == [200] * 3


async def test_by_itself_a_sidecar_on_lambda_registers_for_events_and_holds_calls_to_their_deadlines(start):
    with LambdaApi() as api:
        house = await start(AWS_LAMBDA_RUNTIME_API=api.address)
        assert await asyncio.to_thread(api.wait_for, lambda: "biot-sidecar" in api.waiting)
        assert api.events == {"biot-sidecar": ["INVOKE"]}
        held = house.upstream.hold("/slow")
        client = await house.client()
        await client.send(request("POST", "/slow", body=b"x"))
        exchange = await held.next()
        api.begin({}, timeout=0.7)  # by how much it is before that: tests/http/test_time_limit.py
        assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")  # the route has 10 s, we less patience
        held.release(exchange)


async def test_where_lambda_tells_no_deadline_the_log_says_what_helps_and_calls_go_on(start):
    with LambdaApi() as api:
        api.refuses = True
        house = await start(AWS_LAMBDA_RUNTIME_API=api.address)
        assert await asyncio.to_thread(api.wait_for, lambda: api.refused > 0)
        assert (await house.get("/fine")).status == 200
    await house.sidecar.stop()
    assert "SIDECAR_TIMEOUT_MOST" in house.sidecar.log()
