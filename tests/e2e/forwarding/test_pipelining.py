"""Pipelined requests: answered in order, each with its own answer."""

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import echo
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE


async def test_pipelined_requests_are_answered_in_order(house):
    house.upstream.on("/p", echo)
    client = await house.client()
    await client.send(b"".join(request("POST", f"/p/{n}", body=b"%d" % n) for n in range(50)))
    for n in range(50):
        assert_passed_on(await client.read_answer(), 200, b"%d" % n)
    assert [exchange.target for exchange in house.upstream.requests] == [b"/p/%d" % n for n in range(50)]


async def test_a_slow_first_answer_is_not_overtaken(house):
    held = house.upstream.hold("/p/slow")
    client = await house.client()
    await client.send(request("GET", "/p/slow") + request("GET", "/healthz") + request("GET", "/closed/x"))
    exchange = await held.next()
    await house.local_fence()
    assert client.raw == b""
    await held.answer(exchange, response(200, body=b"slow"))
    assert_passed_on(await client.read_answer(), 200, b"slow")
    assert (await client.read_answer()).status == 200
    assert_ours(await client.read_answer(), 403, "SIDECAR_ROUTE_DENIED")


async def test_requests_of_every_framing_follow_each_other(house):
    house.upstream.on("/p", echo)
    client = await house.client()
    head = lines(b"POST /p/2 HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    await client.send(
        request("POST", "/p/1", body=b"one")
        + head
        + chunked(b"t", b"wo", trailers=b"X: 1\r\n")
        + request("GET", "/p/3")
        + request("DELETE", "/p/4", body=b"four")
        + head
        + chunked()
        + request("HEAD", "/p/5")
        + request("GET", "/p/6", body=b"six")
    )
    for body in (b"one", b"two", b"", b"four", b""):
        assert_passed_on(await client.read_answer(), 200, body)
    assert_passed_on(await client.read_answer("HEAD"), 200, b"")
    assert_passed_on(await client.read_answer(), 200, b"six")


async def test_nothing_behind_a_closing_request_is_served(house):
    client = await house.client()
    await client.send(request("GET", "/p/1", b"Connection: close") + request("GET", "/p/2"))
    assert_passed_on(await client.read_answer(), 200)
    assert await client.ended()
    await house.fence()
    assert house.upstream.seen("/p/2") == []


async def test_a_client_gone_with_requests_in_line_costs_only_the_first(house):
    held = house.upstream.hold("/p/1")
    client = await house.client()
    await client.send(request("GET", "/p/1") + request("POST", "/p/2"))
    exchange = await held.next()
    client.reset()
    assert await exchange.abandoned()
    held.release(exchange)
    await house.fence()
    assert house.upstream.seen("/p/2") == []


async def test_a_flood_of_pipelined_requests_behind_a_slow_one_is_held_back(house):
    held = house.upstream.hold("/p/slow")
    client = await house.client()
    await client.send(request("GET", "/p/slow"))
    exchange = await held.next()
    before = house.sidecar.memory("VmRSS")
    flood = request("GET", "/p/flood", b"X: " + b"v" * 900) * 64
    written = 0
    while client.writer.transport.get_write_buffer_size() < 1_000_000:
        client.writer.write(flood)
        written += len(flood)
        await house.local_fence()
        assert written < 64_000_000, "the program reads on and on"
    assert house.sidecar.memory("VmRSS") - before < 16_000_000
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_answer(), 200)
