"""SIGTERM: what runs may end, what is new is turned away, and a second signal means it."""

import asyncio
import signal

import pytest

from tests.support.judge import assert_ours, assert_passed_on, is_ours
from tests.support.live import LIVE
from tests.support.sidecar import until_refused
from tests.support.wire import Cut, lines, request, response

pytestmark = LIVE


async def test_an_idle_program_ends_at_once_and_cleanly(start):
    house = await start()
    await house.warm_up()
    idle = await house.client()
    assert_passed_on(await idle.ask(request("GET", "/x")), 200)
    house.sidecar.signal()
    assert await house.sidecar.wait(5) == 0
    assert await idle.ended()


async def test_an_interrupt_from_the_keyboard_ends_it_the_same_way(start):
    house = await start()
    await house.warm_up()
    house.sidecar.signal(signal.SIGINT)
    assert await house.sidecar.wait(5) == 0


async def test_a_running_request_ends_before_the_program_does(start):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    exchange = await held.next()
    house.sidecar.signal()
    await until_refused(house)
    await held.answer(exchange, response(200, body=b"in the end"))
    assert_passed_on(await client.read_answer(), 200, b"in the end")
    assert await house.sidecar.wait(5) == 0


async def test_a_running_download_and_upload_end_before_the_program_does(start):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("POST", "/slow", b"Content-Length: 6") + b"abc")
    exchange = await held.next()
    house.sidecar.signal()
    await until_refused(house)
    await client.send(b"def")
    assert await exchange.body() == b"abcdef"
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 6") + b"uvw")
    await client.read_head_or_fail()
    assert await client.read_exactly(3) == b"uvw"
    await exchange.send(b"xyz")
    assert await client.read_exactly(3) == b"xyz"
    held.release(exchange)
    assert await house.sidecar.wait(5) == 0


async def test_a_new_request_on_an_old_connection_is_turned_away(start):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    exchange = await held.next()
    house.sidecar.signal()
    await until_refused(house)
    await client.send(request("GET", "/late"))
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_answer(), 200)
    try:
        head = await client.read_head()
    except Cut:
        head = None
    assert head is None or b" 503 " in head.start
    assert house.upstream.seen("/late") == []


async def test_readiness_ends_while_the_program_drains(start):
    house = await start()
    held = house.upstream.hold("/slow")
    waiting, asking = await house.client(), await house.client()
    await waiting.send(request("GET", "/slow"))
    exchange = await held.next()
    assert (await asking.ask(request("GET", "/readyz"))).status == 200
    house.sidecar.signal()
    await until_refused(house)  # the signal has arrived
    try:
        answer = await asking.ask(request("GET", "/readyz"))
    except (AssertionError, Cut, ConnectionError):
        answer = None  # the idle connection was closed: as good as not ready
    assert answer is None or answer.status == 503
    await held.answer(exchange, response(200))
    assert await house.sidecar.wait(5) == 0


async def test_what_does_not_end_in_time_is_cut_off(start):
    house = await start(SIDECAR_DRAIN_TIMEOUT="1s")
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    await held.next()
    house.sidecar.signal()
    assert await house.sidecar.wait(5) == 0
    try:
        assert is_ours(await client.read_answer())
    except (AssertionError, Cut):
        assert client.raw == b""


async def test_a_second_signal_ends_it_at_once(start):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    await held.next()
    house.sidecar.signal()
    await until_refused(house)
    house.sidecar.signal()
    await house.sidecar.wait(5)


async def test_a_drain_under_load_loses_no_request_that_was_accepted(start):
    house = await start()
    await house.warm_up()
    answered = 0

    async def keep_asking():
        nonlocal answered
        client = await house.client()
        while True:
            try:
                await client.send(request("POST", "/load", body=b"x"))
                head = await client.read_head()
            except (Cut, ConnectionError):
                return
            if head is None or b" 503 " in head.start:
                return
            await client.read_exactly(head.length)
            answered += 1

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(keep_asking())
        while len(house.upstream.seen("/load")) < 300:
            await asyncio.sleep(0)
        house.sidecar.signal()
        assert await house.sidecar.wait(10) == 0
    assert answered == len(house.upstream.seen("/load"))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refusal_while_draining_says_so(start, method):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow") + request(method, "/late", body=b"x"))
    exchange = await held.next()
    house.sidecar.signal()
    await until_refused(house)
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_answer(), 200)
    try:
        answer = await client.read_answer()
    except (AssertionError, Cut):
        assert house.upstream.seen("/late") == []  # closed instead: the client may ask somebody else
        return
    assert_ours(answer, 503, "SIDECAR_DRAINING")
    assert answer.head.values(b"retry-after") == [b"1"]
