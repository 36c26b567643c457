"""Clients of HTTP/1.0: served, never spoken to in a framing they do not know."""

import pytest

from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import then_reset
from tests.support.wire import chunked, lines, response

pytestmark = LIVE


def old(*fields, target=b"/o", method=b"GET", body=b""):
    return lines(method + b" " + target + b" HTTP/1.0", *fields) + body


async def test_a_client_of_http_1_0_needs_no_host(house):
    assert_passed_on(await house.ask(old()), 200)
    assert house.upstream.requests[0].head.values(b"host") == [house.upstream.authority]


async def test_the_request_goes_out_as_http_1_1(house):
    await house.ask(old())
    assert house.upstream.requests[0].version == b"HTTP/1.1"


async def test_the_connection_closes_after_the_answer(house):
    client = await house.client()
    assert_passed_on(await client.ask(old()), 200)
    assert await client.ended()


async def test_keep_alive_is_granted_when_asked_for(house):
    client = await house.client()
    answer = await client.ask(old(b"Connection: Keep-Alive"))
    assert_passed_on(answer, 200)
    if [value.lower() for value in answer.head.values(b"connection")] == [b"keep-alive"]:
        assert_passed_on(await client.ask(old(b"Connection: Keep-Alive")), 200)
    else:
        assert await client.ended()


async def test_a_chunked_answer_reaches_it_unchunked(house):
    house.upstream.on("/o", lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked") + chunked(b"un", b"chunked"))
    client = await house.client()
    answer = await client.ask(old(b"Connection: keep-alive"))
    assert_passed_on(answer, 200, b"unchunked")
    assert answer.head.values(b"transfer-encoding") == []


async def test_a_chunked_answer_that_breaks_off_looks_cut_to_it(house):
    half = lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked") + b"5\r\nhalf \r\n"
    house.upstream.on("/once/o", then_reset(half))
    client = await house.client()
    answer = await client.ask(old(target=b"/once/o"))
    assert not answer.complete or answer.status == 502, answer


async def test_a_body_with_a_length_is_taken(house):
    assert_passed_on(await house.ask(old(b"Content-Length: 3", method=b"POST", body=b"abc")), 200)
    assert house.upstream.requests[0].content == b"abc"


async def test_a_post_without_a_length_has_no_body(house):
    assert_passed_on(await house.ask(old(method=b"POST")), 200)
    assert house.upstream.requests[0].content == b""


@pytest.mark.parametrize("fields", [(b"Host: evil.example",), (b"Host: 127.0.0.1", b"Host: 127.0.0.1")])
async def test_a_wrong_host_is_refused_here_too(house, fields):
    assert (await house.ask(old(*fields))).status in (400, 421)
    assert house.upstream.requests == []


async def test_a_close_in_an_answer_is_no_concern_of_a_modern_client(house):
    house.upstream.on("/o", response(200, b"Connection: close", body=b"x"))
    client = await house.client()
    for _ in range(2):
        assert_passed_on(await client.ask(lines(b"GET /o HTTP/1.1", b"Host: 127.0.0.1")), 200, b"x")
