"""SIGTERM: what runs may end, what is new is turned away, and a second signal means it."""

import asyncio
import json
import signal
import time

import pytest
from biot_sidecar.process.draining import IDLE_GRACE

from tests.support.judge import assert_ours, assert_passed_on
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
    assert await house.sidecar.wait() == 0
    assert await idle.ended()


async def test_an_interrupt_from_the_keyboard_ends_it_the_same_way(start):
    house = await start()
    await house.warm_up()
    house.sidecar.signal(signal.SIGINT)
    assert await house.sidecar.wait() == 0


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
    assert await house.sidecar.wait() == 0


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
    assert await house.sidecar.wait() == 0


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


async def test_who_asks_on_a_resting_connection_hears_that_the_program_stops(start):
    house = await start()
    held = house.upstream.hold("/slow")
    waiting, asking, calling = [await house.client() for _ in range(3)]
    await waiting.send(request("GET", "/slow"))
    exchange = await held.next()
    for client in (asking, calling):
        assert (await client.ask(request("GET", "/readyz"))).status == 200
    house.sidecar.signal()
    await until_refused(house)  # the signal has arrived
    await asyncio.sleep(2 * IDLE_GRACE)
    answer = await asking.ask(request("GET", "/readyz"))
    assert (answer.status, answer.json["reason"]) == (503, "the sidecar is stopping")
    answer = await calling.ask(request("GET", "/late"))
    assert_ours(answer, 503, "SIDECAR_DRAINING")
    assert answer.head.values(b"retry-after") == [b"1"]
    await held.answer(exchange, response(200))
    assert_passed_on(await waiting.read_answer(), 200)
    assert await house.sidecar.wait() == 0
    assert house.upstream.seen("/late") == []


async def test_the_admin_listener_tells_of_a_stop_to_its_end(start):
    house = await start(SIDECAR_ADMIN_LISTEN="127.0.0.1:0")
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    exchange = await held.next()
    house.sidecar.signal()
    await until_refused(house)
    assert (await (await house.admin()).ask(request("GET", "/healthz"))).status == 200
    assert (await (await house.admin()).ask(request("GET", "/readyz"))).status == 503
    await held.answer(exchange, response(200))
    assert await house.sidecar.wait() == 0


async def test_clients_that_keep_their_connections_do_not_hold_up_the_end(start):
    house = await start()
    resting = [await house.client() for _ in range(3)]
    for client in resting:
        assert_passed_on(await client.ask(request("GET", "/x")), 200)
    house.sidecar.signal()
    assert await house.sidecar.wait() == 0
    assert [await client.ended() for client in resting] == [True] * 3


async def test_what_does_not_end_in_time_is_cut_off_and_told(start):
    house = await start(SIDECAR_DRAIN_TIMEOUT="1s")
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    await held.next()
    asked = time.monotonic()
    house.sidecar.signal()
    assert await house.sidecar.wait() == 0
    assert time.monotonic() - asked >= 1
    assert await client.ended()
    lines = [json.loads(line) for line in house.sidecar.log().splitlines()]
    (told,) = [line for line in lines if line["event"] == "request"]
    assert (told["level"], told["cut"], told["client_gone"]) == ("warning", True, False)
    (cut,) = [line for line in lines if line["event"] == "cut"]
    assert cut["requests"] == 1


async def test_a_second_signal_ends_it_at_once(start):
    house = await start()
    held = house.upstream.hold("/slow")
    client = await house.client()
    await client.send(request("GET", "/slow"))
    await held.next()
    house.sidecar.signal()
    await until_refused(house)
    house.sidecar.signal()
    assert await house.sidecar.wait() == 0
    assert await client.ended()


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
