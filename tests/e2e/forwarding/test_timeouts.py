"""How long anybody may keep the other waiting. Pure timing is told by unit tests; here the program's own clock runs."""

import asyncio
import contextlib
import time

import pytest

from tests.support.in_time import in_time
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import DEADLINE, Cut, lines, request, response

pytestmark = LIVE


async def test_an_upstream_that_does_not_answer_in_time_is_a_504(house):
    held = house.upstream.hold("/hasty/x")
    client = await house.client()
    await client.send(request("POST", "/hasty/x", body=b"x"))
    exchange = await held.next()
    assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")
    assert await exchange.abandoned()
    held.release(exchange)


async def test_a_504_names_the_routes_timeout(house):
    held = house.upstream.hold("/hasty/x")
    client = await house.client()
    await client.send(request("GET", "/hasty/x"))
    await held.next()
    assert "1s" in (await client.read_answer()).json["message"]
    held.release_all()


async def test_half_a_head_in_time_is_not_enough(house):
    held = house.upstream.hold("/hasty/x")
    client = await house.client()
    await client.send(request("POST", "/hasty/x"))
    exchange = await held.next()
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-")
    assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")
    assert await exchange.abandoned()
    held.release(exchange)


async def test_interim_answers_do_not_stretch_the_timeout(house):
    async def promise_and_promise(exchange):
        while True:
            await exchange.send(lines(b"HTTP/1.1 102 Processing"))
            await asyncio.sleep(0.3)

    house.upstream.on("/hasty/x", promise_and_promise)
    client = await house.client()
    await client.send(request("POST", "/hasty/x"))
    with contextlib.suppress(Cut):  # and long before the deadline of all waits: nothing else ends this one
        assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")


async def test_the_timeout_ends_with_the_head_and_a_slow_body_may_follow(house):
    async def head_in_time(watch):
        held = house.upstream.hold("/hasty/x")
        client = await house.client()
        watch.start()
        await client.send(request("GET", "/hasty/x"))
        exchange = await held.next()
        await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 4") + b"sl")
        watch.stop()
        assert b" 200 " in (await client.read_head_or_fail()).start
        return held, client, exchange

    held, client, exchange = await in_time(1.0, head_in_time)
    await asyncio.sleep(1.3)  # past the route's timeout
    await exchange.send(b"ow")
    assert await client.read_exactly(4) == b"slow"
    held.release(exchange)


async def test_all_tries_together_keep_to_the_timeout(start):
    house = await start()
    house.upstream.on("/hasty/x", response(503, b"Retry-After: 0"), never_answer)
    client = await house.client()
    await client.send(request("GET", "/hasty/x"))
    assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")


async def never_answer(exchange):
    await exchange.body()
    await exchange.abandoned()


async def test_the_login_counts_into_the_timeout(start):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    house.upstream.login_script = never_answer
    answer = await house.get("/hasty/x")
    assert_ours(answer, 504, "SIDECAR_LOGIN_TIMEOUT", "SIDECAR_UPSTREAM_TIMEOUT")
    assert house.upstream.requests == []


async def test_a_slow_upload_is_not_held_to_the_timeout_of_the_answer_while_it_moves(house):
    client = await house.client()
    await client.send(request("POST", "/x", b"Content-Length: 3"))
    for octet in (b"a", b"b", b"c"):
        await asyncio.sleep(0.2)
        await client.send(octet)
    assert_passed_on(await client.read_answer(), 200)


async def test_the_timeout_begins_anew_when_a_slow_upload_ends(house):
    async def upload(watch):
        held = house.upstream.hold("/hasty/x")
        client = await house.client()
        await client.send(request("POST", "/hasty/x", b"Content-Length: 3"))
        exchange = await held.next()
        for octet in (b"a", b"b", b"c"):
            await asyncio.sleep(0.4)
            watch.start()
            await client.send(octet)
        assert await exchange.body() == b"abc"
        await asyncio.sleep(0.3)  # past a second after the beginning, well within one after the end
        await held.answer(exchange, response(200))
        watch.stop()
        assert_passed_on(await client.read_answer(), 200)

    await in_time(1.0, upload)


@pytest.mark.slow
async def test_a_head_that_does_not_arrive_within_10_seconds_is_a_408(house):
    """The one test that waits for the fixed deadline; its cases wait side by side."""

    async def first_word(client):
        async with asyncio.timeout(DEADLINE):
            return await client.reader.read(1 << 16)

    async def drip(client):
        for octet in b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 100:
            try:
                await client.send(bytes([octet]))
            except ConnectionError:
                return
            await asyncio.sleep(0.5)

    silent, half, dripping, second = [await house.client() for _ in range(4)]
    await half.send(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert_passed_on(await second.ask(request("GET", "/first")), 200)
    await second.send(b"GET /slow HT")
    async with asyncio.TaskGroup() as group:
        dripper = group.create_task(drip(dripping))
        started = time.monotonic()
        words = await asyncio.gather(*(first_word(client) for client in (half, dripping, second)))
        waited = time.monotonic() - started
        dripper.cancel()
    for word in words:
        assert word.startswith(b"HTTP/1.1 408 "), word
        assert b"SIDECAR_REQUEST_TIMEOUT" in word
    assert waited > 8
    said = await first_word(silent)
    assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
    assert house.upstream.seen("/slow") == []
