"""Answers that come early, break off, or find nobody listening: a cut one never looks complete."""

import asyncio

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import then_close, then_reset
from tests.support.wire import Cut, lines, request, response

pytestmark = LIVE

CHUNKED = lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")
HALVES = {
    "a short length": lines(b"HTTP/1.1 200 OK", b"Content-Length: 10") + b"half ",
    "no byte of a length": lines(b"HTTP/1.1 200 OK", b"Content-Length: 10"),
    "no last chunk": CHUNKED + b"5\r\nhalf \r\n",
    "half a chunk": CHUNKED + b"a\r\nhalf ",
    "half a chunk size": CHUNKED + b"5\r\nhalf \r\n1",
    "no chunk at all": CHUNKED,
    "no end of the trailers": CHUNKED + b"5\r\nhalf \r\n0\r\n",
    "half a trailer": CHUNKED + b"5\r\nhalf \r\n0\r\nX-T: 1",
}


@pytest.mark.parametrize("how", [then_close, then_reset], ids=["closed", "reset"])
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
async def test_a_cut_answer_never_looks_complete(house, half, how):
    house.upstream.on("/once/e", how(half))
    client = await house.client()
    await client.send(request("POST", "/once/e"))
    answer = await client.read_answer()
    if answer.status == 200:
        assert not answer.complete, answer
        assert b"half ".startswith(answer.body)
    else:
        assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL", "SIDECAR_UPSTREAM_UNREACHABLE")


async def test_what_came_of_a_cut_answer_reaches_the_client(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("GET", "/e"))
    exchange = await held.next()
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 10") + b"half ")
    await client.read_head_or_fail()
    assert await client.read_exactly(5) == b"half "
    exchange.connection.close()
    held.release(exchange)
    assert await client.ended()


async def test_a_close_delimited_answer_that_is_reset_looks_cut(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("GET", "/e"))
    exchange = await held.next()
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Connection: close") + b"half ")
    head = await client.read_head_or_fail()
    if head.chunked:
        await client.read_line()
    assert await client.read_exactly(7 if head.chunked else 5) in (b"half ", b"half \r\n")
    exchange.connection.reset()
    held.release(exchange)
    rest = client.read_chunked() if head.chunked else client.read_to_end()
    with pytest.raises(Cut):
        await rest


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTT", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"]
)
@pytest.mark.parametrize("how", [then_close, then_reset], ids=["closed", "reset"])
async def test_half_a_head_is_a_502(house, head, how):
    house.upstream.on("/once/e", how(head))
    answer = await house.ask(request("POST", "/once/e"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL", "SIDECAR_UPSTREAM_UNREACHABLE")


@pytest.mark.parametrize("how", [then_close, then_reset], ids=["closed", "reset"])
async def test_no_answer_at_all_is_a_502_for_what_must_not_be_repeated(house, how):
    house.upstream.on("/e", how(b""))
    answer = await house.ask(request("POST", "/e", body=b"x"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL", "SIDECAR_UPSTREAM_UNREACHABLE")
    assert len(house.upstream.seen("/e")) == 1


async def test_an_answer_that_comes_before_the_upload_ends_is_passed_on_at_once(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("POST", "/e", b"Content-Length: 1000000") + b"x" * 1000)
    exchange = await held.next()
    await exchange.send(response(413, body=b"too much", reason=b"Content Too Large"))
    assert_passed_on(await client.read_answer(), 413, b"too much")
    held.release(exchange)


async def test_an_upload_goes_on_under_an_early_answer_that_goes_on(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("POST", "/e", b"Content-Length: 6") + b"abc")
    exchange = await held.next()
    await exchange.send(CHUNKED + b"3\r\nabc\r\n")
    assert (await client.read_head_or_fail()).chunked
    assert await client.read_exactly(8) == b"3\r\nabc\r\n"
    await client.send(b"def")
    assert await exchange.body() == b"abcdef"
    await exchange.send(b"3\r\ndef\r\n0\r\n\r\n")
    assert await client.read_exactly(13) == b"3\r\ndef\r\n0\r\n\r\n"
    held.release(exchange)


async def test_a_connection_with_half_a_request_on_it_is_never_used_again(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("POST", "/e", b"Content-Length: 1000") + b"x" * 10)
    exchange = await held.next()
    await exchange.send(response(400, body=b"stop"))
    assert_passed_on(await client.read_answer(), 400, b"stop")
    client.reset()
    assert await exchange.abandoned()
    held.release(exchange)
    for _ in range(5):
        assert (await house.get("/after")).status == 200


@pytest.mark.parametrize("fields", [(b"Connection: close",), ()], ids=["a close", "no warning"])
async def test_an_early_answer_and_a_hang_up_reach_a_client_that_is_still_sending(house, fields):
    """The hang-up resets the upload, and a reset must not overtake the answer: tried often, since it is a race."""

    async def refuse(exchange):
        await exchange.send(response(413, *fields, body=b"too much"))
        exchange.connection.close()

    house.upstream.on("/once/e", refuse)
    for _ in range(30):
        client = await house.client()
        client.writer.write(request("POST", "/once/e", b"Content-Length: 20000000") + bytes(2_000_000))
        assert_passed_on(await client.read_answer(), 413, b"too much")
        client.reset()


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_while_uploading_ends_the_exchange_at_once(house, leave):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("POST", "/e", b"Content-Length: 1000") + b"abc")
    exchange = await held.next()
    getattr(client, leave)()
    with pytest.raises(Cut):
        await exchange.body()
    held.release(exchange)


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_while_waiting_ends_the_exchange_at_once(house, leave):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("GET", "/e"))
    exchange = await held.next()
    getattr(client, leave)()
    assert await exchange.abandoned()
    held.release(exchange)


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_client_that_leaves_while_downloading_ends_the_exchange_at_once(house, leave):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("GET", "/e"))
    exchange = await held.next()
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 1000") + b"half")
    await client.read_head_or_fail()
    getattr(client, leave)()
    assert await exchange.abandoned()
    held.release(exchange)


async def test_a_client_that_leaves_does_not_get_its_request_tried_again(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(request("GET", "/e"))
    exchange = await held.next()
    client.reset()
    assert await exchange.abandoned()
    held.release(exchange)
    await house.fence()
    assert len(house.upstream.seen("/e")) == 1


async def test_an_upload_that_breaks_off_never_looks_complete(house):
    held = house.upstream.hold("/e")
    client = await house.client()
    await client.send(lines(b"POST /e HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    exchange = await held.next()
    client.close()
    with pytest.raises(Cut):
        await exchange.body()
    held.release(exchange)


async def test_a_hundred_clients_leaving_at_once_leave_no_connection_behind(house):
    held = house.upstream.hold("/e")
    clients = [await house.client() for _ in range(100)]
    await asyncio.gather(*(client.send(request("GET", "/e")) for client in clients))
    exchanges = [await held.next() for _ in clients]
    for client in clients:
        client.reset()
    assert all(await asyncio.gather(*(exchange.abandoned() for exchange in exchanges)))
    held.release_all()
    assert_passed_on(await house.get("/after"), 200)
