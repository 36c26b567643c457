"""Clients that finish speaking and wait for their answer, as `nc -N` does, beside those that have really gone."""

import asyncio

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import echo, login_answer
from tests.support.wire import Cut, chunked, lines, request, response

pytestmark = [
    *LIVE,
    pytest.mark.not_on("macos", "windows", why="nobody tells a client that half-closed from one that has gone"),
]

POST_CHUNKED = lines(b"POST /hc HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")


async def said(house, raw):
    """A client that has sent this and then said that it will send no more."""
    client = await house.client()
    client.writer.write(raw)
    client.shut_writing()
    return client


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (request("GET", "/hc"), b""),
        (request("POST", "/hc", body=b"x" * 300_000), b"x" * 300_000),
        (POST_CHUNKED + chunked(b"some", b"where"), b"somewhere"),
        (lines(b"POST /hc HTTP/1.0", b"Content-Length: 3") + b"old", b"old"),
    ],
    ids=["no body", "a length", "chunks", "HTTP/1.0"],
)
async def test_a_client_that_has_finished_speaking_gets_its_answer_and_the_end(house, raw, body):
    house.upstream.on("/hc", echo)
    client = await said(house, raw)
    assert_passed_on(await client.read_answer(), 200, body)
    assert await client.ended()


async def test_pipelined_requests_before_the_end_are_all_answered(house):
    house.upstream.on("/hc", echo)
    client = await said(house, b"".join(request("POST", "/hc", body=b"%d" % n) for n in range(20)))
    for n in range(20):
        assert_passed_on(await client.read_answer(), 200, b"%d" % n)
    assert await client.ended()


async def test_an_answer_that_takes_its_time_reaches_a_client_that_has_finished_speaking(house):
    held = house.upstream.hold("/hc")
    client = await said(house, request("GET", "/hc"))
    exchange = await held.next()
    await asyncio.sleep(0.6)  # the program looks after such clients four times a second
    await held.answer(exchange, response(200, body=b"late"))
    assert_passed_on(await client.read_answer(), 200, b"late")


async def test_our_own_pages_and_refusals_reach_a_client_that_has_finished_speaking(house):
    assert (await (await said(house, request("GET", "/healthz"))).read_answer()).status == 200
    assert_ours(await (await said(house, request("GET", "/closed/x"))).read_answer(), 403, "SIDECAR_ROUTE_DENIED")
    assert_ours(await (await said(house, b"GET / HTTP/1.1\n\n")).read_answer(), 400, "SIDECAR_BAD_REQUEST")


@pytest.mark.parametrize(
    "half",
    [
        request("GET", "/hc")[:-2],
        request("POST", "/hc", b"Content-Length: 5") + b"abc",
        request("POST", "/hc", b"Content-Length: 5"),
        POST_CHUNKED + b"3\r\nabc\r\n",
        POST_CHUNKED + b"3\r\nabc\r\n0\r\n",
    ],
    ids=["a head", "a body", "no body", "chunks without a last one", "no end of the trailers"],
)
async def test_half_a_request_before_the_end_is_a_400_and_never_looks_complete(house, half):
    client = await said(house, half)
    assert_ours(await client.read_answer(), 400, "SIDECAR_BAD_REQUEST")
    assert await client.ended()
    await house.fence()
    assert not any(exchange.complete for exchange in house.upstream.seen("/hc"))


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_after_it_had_finished_speaking_ends_the_exchange(house, leave):
    held = house.upstream.hold("/hc")
    client = await said(house, request("GET", "/hc"))
    exchange = await held.next()
    getattr(client, leave)()
    assert await exchange.abandoned()
    held.release(exchange)


async def test_a_client_that_leaves_while_its_upload_is_held_back_ends_the_exchange(house):
    held = house.upstream.hold("/hc")
    client = await house.client()
    await client.send(request("POST", "/hc", b"Content-Length: 64000000"))
    exchange = await held.next()
    exchange.connection.reader._transport.pause_reading()
    client.writer.write(bytes(16_000_000))
    while client.writer.transport.get_write_buffer_size() > 12_000_000:
        await house.local_fence()
    client.reset()
    assert (await house.get("/healthz")).status == 200
    exchange.connection.reader._transport.resume_reading()
    with pytest.raises(Cut):
        await exchange.body()
    held.release(exchange)


@pytest.mark.parametrize(
    "raw",
    [
        lines(b"POST /hc HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 5") + b"four",
        POST_CHUNKED + b"5\r\nfour",
        POST_CHUNKED + b"4\r\nfour\r\n0\r\n",
    ],
    ids=["a length", "a chunk", "a trailer section"],
)
async def test_a_body_that_is_known_to_have_ended_early_never_sets_out(start, raw):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    held = house.upstream.login_script = house.upstream.hold("/nothing")
    client = await house.client()
    await client.send(raw)
    login = await held.next()
    client.shut_writing()
    await house.local_fence()
    await held.answer(login, login_answer(1, 4e9))
    assert_ours(await client.read_answer(), 400, "SIDECAR_BAD_REQUEST")
    await house.fence()
    assert house.upstream.seen("/hc") == []
