"""Bodies go through as they came: framing, trailers, encodings, and messages that have none."""

import pytest

from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import echo, then_close
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE

ALL_OCTETS = bytes(range(256)) * 300
POST_CHUNKED = lines(b"POST /b HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
ANSWER_CHUNKED = lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")


def the_request(house):
    (exchange,) = house.upstream.seen("/b")
    return exchange


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE", "OPTIONS", "QUERY", "HEAD"])
async def test_a_body_with_a_length_keeps_it(house, method):
    answer = await house.ask(request(method, "/b", body=ALL_OCTETS), method)
    assert_passed_on(answer, 200)
    exchange = the_request(house)
    assert exchange.content == ALL_OCTETS
    assert exchange.head.values(b"content-length") == [b"%d" % len(ALL_OCTETS)]
    assert exchange.head.values(b"transfer-encoding") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE", "QUERY"])
async def test_a_chunked_body_stays_chunked(house, method):
    raw = POST_CHUNKED.replace(b"POST", method.encode()) + chunked(b"some", b"where", ALL_OCTETS)
    assert_passed_on(await house.ask(raw, method), 200)
    exchange = the_request(house)
    assert exchange.content == b"somewhere" + ALL_OCTETS
    assert exchange.head.values(b"transfer-encoding") == [b"chunked"]
    assert exchange.head.values(b"content-length") == []


async def test_the_seeds_get_with_a_body_of_two_bytes_keeps_the_connection_in_step(house):
    client = await house.client()
    seed = request("GET", "/b", b"Content-Type: application/json; charset=utf-8", body=b"{}")
    for _ in range(3):
        assert_passed_on(await client.ask(seed), 200)
    assert [exchange.content for exchange in house.upstream.seen("/b")] == [b"{}"] * 3


async def test_a_length_of_nought_is_kept(house):
    assert_passed_on(await house.ask(request("POST", "/b", b"Content-Length: 0")), 200)
    assert the_request(house).head.values(b"content-length") == [b"0"]


async def test_an_empty_chunked_body_stays_one(house):
    assert_passed_on(await house.ask(POST_CHUNKED + b"0\r\n\r\n"), 200)
    exchange = the_request(house)
    assert exchange.head.values(b"transfer-encoding") == [b"chunked"]
    assert exchange.content == b""


async def test_trailers_reach_biot(house):
    assert_passed_on(await house.ask(POST_CHUNKED + chunked(b"x", trailers=b"X-Sum: 1\r\nx-Sum: caf\xe9\r\n")), 200)
    assert the_request(house).trailers == [(b"X-Sum", b"1"), (b"x-Sum", b"caf\xe9")]


async def test_trailers_reach_the_plugin(house):
    house.upstream.on("/b", ANSWER_CHUNKED + chunked(b"x", trailers=b"X-Sum: 1\r\nx-Sum: caf\xe9\r\n"))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, b"x")
    assert answer.trailers == [(b"X-Sum", b"1"), (b"x-Sum", b"caf\xe9")]


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Host"])
async def test_a_trailer_cannot_reframe_or_reroute_a_request(house, name):
    answer = await house.ask(POST_CHUNKED + chunked(b"x", trailers=name + b": 5\r\n"))
    await house.fence()
    assert answer.status in (200, 400), answer
    for exchange in house.upstream.seen("/b"):
        assert name.lower() not in [field.lower() for field, _ in exchange.trailers]


async def test_a_request_body_arrives_while_it_is_being_sent(house):
    held = house.upstream.hold("/b")
    client = await house.client()
    await client.send(request("POST", "/b", b"Content-Length: 6") + b"abc")
    exchange = await held.next()
    assert await exchange.connection.read_exactly(3) == b"abc"
    await client.send(b"def")
    assert await exchange.connection.read_exactly(3) == b"def"
    exchange.complete = True
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_answer(), 200)


async def test_a_chunk_is_passed_on_before_the_next_one_comes(house):
    held = house.upstream.hold("/b")
    client = await house.client()
    await client.send(POST_CHUNKED + b"3\r\nabc\r\n")
    exchange = await held.next()
    assert await exchange.connection.read_line() == b"3"
    assert await exchange.connection.read_exactly(5) == b"abc\r\n"
    await client.send(b"0\r\n\r\n")
    await held.answer(exchange, response(200))
    assert_passed_on(await client.read_answer(), 200)


async def test_half_a_chunk_is_not_kept_waiting_for_its_rest(house):
    held = house.upstream.hold("/b")
    client = await house.client()
    await client.send(POST_CHUNKED + b"5\r\nab")
    exchange = await held.next()
    size = int(await exchange.connection.read_line(), 16)
    first = await exchange.connection.read_exactly(min(size, 2))
    assert first == b"ab"
    client.reset()
    assert await exchange.abandoned()
    held.release(exchange)


async def test_an_upload_that_drips_one_byte_at_a_time_arrives(house):
    client = await house.client()
    for octet in POST_CHUNKED + chunked(b"drip", b"drop", trailers=b"X-T: 1\r\n"):
        await client.send(bytes([octet]))
    assert_passed_on(await client.read_answer(), 200)
    assert the_request(house).content == b"dripdrop"
    assert the_request(house).trailers == [(b"X-T", b"1")]


async def test_an_answer_with_a_length_keeps_it(house):
    house.upstream.on("/b", response(200, body=ALL_OCTETS))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, ALL_OCTETS)
    assert answer.head.values(b"content-length") == [b"%d" % len(ALL_OCTETS)]
    assert answer.head.values(b"transfer-encoding") == []


async def test_a_chunked_answer_stays_chunked(house):
    house.upstream.on("/b", ANSWER_CHUNKED + chunked(b"some", b"where", ALL_OCTETS))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, b"somewhere" + ALL_OCTETS)
    assert answer.head.chunked


async def test_chunks_of_an_answer_arrive_one_by_one(house):
    held = house.upstream.hold("/b")
    client = await house.client()
    await client.send(request("GET", "/b"))
    exchange = await held.next()
    await exchange.send(ANSWER_CHUNKED + b"3\r\nabc\r\n")
    assert (await client.read_head_or_fail()).chunked
    assert await client.read_line() == b"3"
    assert await client.read_exactly(5) == b"abc\r\n"
    await held.answer(exchange, b"0\r\n\r\n")
    assert await client.read_exactly(5) == b"0\r\n\r\n"


async def test_a_close_delimited_answer_comes_through_whole(house):
    house.upstream.on("/b", then_close(lines(b"HTTP/1.1 200 OK", b"Content-Type: text/csv") + ALL_OCTETS))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, ALL_OCTETS)
    assert answer.head.values(b"content-length") == []


async def test_an_empty_close_delimited_answer_comes_through(house):
    house.upstream.on("/b", then_close(lines(b"HTTP/1.1 200 OK", b"Connection: close")))
    assert_passed_on(await house.get("/b"), 200, b"")


async def test_an_answer_of_http_1_0_comes_through(house):
    house.upstream.on("/b", then_close(lines(b"HTTP/1.0 200 OK", b"X: 1") + b"old"))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, b"old")
    assert answer.head.start.startswith(b"HTTP/1.1 ")


async def test_an_answer_with_a_length_of_nought_comes_through(house):
    house.upstream.on("/b", response(200))
    answer = await house.get("/b")
    assert_passed_on(answer, 200, b"")
    assert answer.head.values(b"content-length") == [b"0"]


@pytest.mark.parametrize("fields", [(b"Content-Length: 77",), (), (b"Transfer-Encoding: chunked",)])
async def test_an_answer_to_head_has_fields_but_no_body(house, fields):
    house.upstream.on("/b", lines(b"HTTP/1.1 200 OK", b"X: 1", *fields))
    client = await house.client()
    answer = await client.ask(request("HEAD", "/b"), "HEAD")
    assert_passed_on(answer, 200)
    assert answer.head.values(b"content-length") == ([b"77"] if fields == (b"Content-Length: 77",) else [])
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


@pytest.mark.parametrize("fields", [(), (b"Content-Length: 77",)])
async def test_a_304_has_no_body_whatever_its_length_says(house, fields):
    house.upstream.on("/b", lines(b"HTTP/1.1 304 Not Modified", b"ETag: x", *fields))
    client = await house.client()
    answer = await client.ask(request("GET", "/b"))
    assert_passed_on(answer, 304)
    assert answer.head.values(b"etag") == [b"x"]
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


async def test_a_204_has_no_body_and_gets_no_framing(house):
    house.upstream.on("/b", lines(b"HTTP/1.1 204 No Content", b"X: 1"))
    client = await house.client()
    answer = await client.ask(request("DELETE", "/b"))
    assert answer.fields == [(b"X", b"1")]
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


async def test_a_204_with_a_length_of_nought_comes_through_as_it_is(house):
    house.upstream.on("/b", lines(b"HTTP/1.1 204 No Content", b"Content-Length: 0"))
    assert (await house.get("/b")).fields == [(b"Content-Length", b"0")]


async def test_a_205_is_framed_like_any_answer(house):
    house.upstream.on("/b", response(205, reason=b"Reset Content"))
    client = await house.client()
    assert_passed_on(await client.ask(request("POST", "/b")), 205, b"")
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"nonsense"])
async def test_content_codings_are_left_alone_both_ways(house, coding):
    house.upstream.on("/b", response(200, b"Content-Encoding: " + coding, b"Vary: Accept-Encoding", body=ALL_OCTETS))
    answer = await house.ask(
        request("POST", "/b", b"Accept-Encoding: " + coding, b"Content-Encoding: " + coding, body=ALL_OCTETS)
    )
    assert_passed_on(answer, 200, ALL_OCTETS)
    assert answer.head.values(b"content-encoding") == [coding]
    assert the_request(house).content == ALL_OCTETS
    assert the_request(house).head.values(b"accept-encoding") == [coding]


async def test_no_accept_encoding_is_added(house):
    await house.get("/b")
    assert the_request(house).head.values(b"accept-encoding") == []


async def test_ranges_are_left_alone(house):
    partial = response(206, b"Content-Range: bytes 2-4/10", body=b"cde", reason=b"Partial Content")
    house.upstream.on("/b", partial)
    answer = await house.get("/b", b"Range: bytes=2-4", b"If-Range: x")
    assert_passed_on(answer, 206, b"cde")
    assert answer.head.values(b"content-range") == [b"bytes 2-4/10"]
    assert the_request(house).head.values(b"range") == [b"bytes=2-4"]


async def test_a_multipart_upload_comes_back_byte_for_byte(house):
    house.upstream.on("/b", echo)
    body = b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\n" + ALL_OCTETS * 10 + b"\r\n--x--\r\n"
    answer = await house.ask(request("POST", "/b", b"Content-Type: multipart/form-data; boundary=x", body=body))
    assert_passed_on(answer, 200, body)


async def test_a_body_that_looks_like_a_request_stays_a_body(house):
    client = await house.client()
    await client.send(request("POST", "/b", body=request("GET", "/smuggled")) + request("GET", "/after"))
    assert_passed_on(await client.read_answer(), 200)
    assert_passed_on(await client.read_answer(), 200)
    assert [exchange.target for exchange in house.upstream.requests] == [b"/b", b"/after"]
