"""Answers 1xx and `Expect: 100-continue`, end to end."""

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import Cut, lines, request, response

pytestmark = LIVE

EXPECTING = lines(b"POST /i HTTP/1.1", b"Host: 127.0.0.1", b"Expect: 100-continue", b"Content-Length: 5")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = lines(b"HTTP/1.1 103 Early Hints", b"Link: </a>; rel=preload", b"link: </b>")


async def test_the_100_comes_from_the_upstream_and_not_from_us(house):
    held = house.upstream.hold("/i")
    client = await house.client()
    await client.send(EXPECTING)
    exchange = await held.next()
    assert exchange.head.values(b"expect") == [b"100-continue"]
    await house.local_fence()
    assert client.raw == b""
    await exchange.send(CONTINUE)
    assert (await client.read_any()).status == 100
    await client.send(b"hello")
    assert await exchange.body() == b"hello"
    await held.answer(exchange, response(201))
    assert_passed_on(await client.read_answer(), 201)


async def test_a_refusal_before_the_body_comes_through_and_the_body_never_goes_out(house):
    held = house.upstream.hold("/i")
    client = await house.client()
    await client.send(EXPECTING)
    exchange = await held.next()
    await exchange.send(response(417, body=b"no", reason=b"Expectation Failed"))
    assert_passed_on(await client.read_answer(), 417, b"no")
    client.close()
    assert await exchange.abandoned()
    assert exchange.connection.raw.endswith(b"\r\n\r\n")
    held.release(exchange)


async def test_a_final_answer_in_place_of_the_100_leaves_no_bytes_behind(house):
    held = house.upstream.hold("/i")
    client = await house.client()
    await client.send(EXPECTING)
    exchange = await held.next()
    await exchange.send(response(200, body=b"enough"))
    assert_passed_on(await client.read_answer(), 200, b"enough")
    held.release(exchange)
    client.reset()
    for _ in range(5):
        assert (await house.get("/after")).status == 200
    assert exchange.content in (b"", b"hello")


async def test_a_client_that_does_not_wait_for_the_100_is_served(house):
    client = await house.client()
    await client.send(EXPECTING + b"hello")
    assert_passed_on(await client.read_answer(), 200)
    assert house.upstream.seen("/i")[0].content == b"hello"


async def test_our_own_refusal_comes_before_any_100(house):
    client = await house.client()
    await client.send(EXPECTING.replace(b"/i", b"/closed/i"))
    assert_ours(await client.read_any(), 403, "SIDECAR_ROUTE_DENIED")


async def test_early_hints_come_through_as_they_are(house):
    house.upstream.on("/i", HINTS + response(200, body=b"x"))
    client = await house.client()
    await client.send(request("GET", "/i"))
    hints = await client.read_any()
    assert hints.status == 103
    assert hints.fields == [(b"Link", b"</a>; rel=preload"), (b"link", b"</b>")]
    assert_passed_on(await client.read_any(), 200, b"x")


async def test_early_hints_come_through_before_the_answer_is_there(house):
    held = house.upstream.hold("/i")
    client = await house.client()
    await client.send(request("GET", "/i"))
    exchange = await held.next()
    await exchange.send(HINTS)
    assert (await client.read_any()).status == 103
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_any(), 200)


@pytest.mark.parametrize("status", [102, 103, 110, 199])
async def test_any_interim_status_passes(house, status):
    house.upstream.on("/i", lines(b"HTTP/1.1 %d Wait" % status) * 2 + response(200))
    client = await house.client()
    await client.send(request("GET", "/i"))
    assert [(await client.read_any()).status for _ in range(3)] == [status, status, 200]


async def test_an_interim_answer_does_not_end_a_request_to_head(house):
    house.upstream.on("/i", HINTS + lines(b"HTTP/1.1 200 OK", b"Content-Length: 9"))
    client = await house.client()
    assert (await client.ask(request("HEAD", "/i"), "HEAD")).head.values(b"content-length") == [b"9"]
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


async def test_an_http_1_0_client_gets_no_interim_answer(house):
    house.upstream.on("/i", HINTS + response(200, body=b"x"))
    client = await house.client()
    await client.send(lines(b"GET /i HTTP/1.0", b"Host: 127.0.0.1"))
    assert_passed_on(await client.read_any(), 200, b"x")


async def test_hop_by_hop_fields_stop_in_interim_answers_too(house):
    house.upstream.on(
        "/i", lines(b"HTTP/1.1 103 Early Hints", b"Connection: x-hop", b"X-Hop: 1", b"X: 2") + response(200)
    )
    client = await house.client()
    await client.send(request("GET", "/i"))
    assert (await client.read_any()).fields == [(b"X", b"2")]


async def test_an_unasked_101_is_a_502(house):
    switching = lines(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    house.upstream.on("/i", switching + b"raw bytes")
    answer = await house.ask(request("POST", "/i", b"Upgrade: websocket", b"Connection: Upgrade"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL")


async def test_interim_answers_without_end_are_cut_off(house):
    async def never_come_to_the_point(exchange):
        await exchange.body()
        for _ in range(100):
            await exchange.send(HINTS * 200)
        await exchange.send(response(200))

    house.upstream.on("/i", never_come_to_the_point)
    client = await house.client()
    await client.send(request("POST", "/i"))
    try:
        answer = await client.read_answer()
    except Cut:
        return
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL")
