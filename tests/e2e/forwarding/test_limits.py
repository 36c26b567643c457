"""How large a head may be."""

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE

KIB = 1024
HEAD_TOO_LARGE = "SIDECAR_HEAD_TOO_LARGE"


async def refusal(house, raw):
    """The refusal, after which the connection ends; nothing has gone out."""
    client = await house.client()
    client.writer.write(raw)
    answer = await client.read_answer()
    assert await client.ended()
    await house.fence()
    assert [exchange.target for exchange in house.upstream.requests] == [b"/fence"]
    return answer


async def test_a_request_line_near_the_limit_passes(house):
    target = "/" + "x" * (63 * KIB)
    assert_passed_on(await house.get(target), 200)
    assert house.upstream.requests[0].target == target.encode()


async def test_a_request_line_beyond_the_limit_is_refused(house):
    assert_ours(await refusal(house, request("GET", "/" + "x" * (64 * KIB))), 414, HEAD_TOO_LARGE)


async def test_a_request_line_without_end_is_refused_without_waiting_for_it(house):
    assert_ours(await refusal(house, b"GET /" + b"x" * (80 * KIB)), 414, HEAD_TOO_LARGE)


async def test_a_header_block_near_the_limit_passes(house):
    fields = [b"X-%d: %s" % (n, b"v" * 1000) for n in range(60)]
    assert_passed_on(await house.get("/l", *fields), 200)
    assert house.upstream.requests[0].head.values(b"x-59") == [b"v" * 1000]


async def test_one_field_of_sixty_kilobytes_passes(house):
    assert_passed_on(await house.get("/l", b"X: " + b"v" * (60 * KIB)), 200)


async def test_a_header_block_beyond_the_limit_is_refused(house):
    fields = [b"X-%d: %s" % (n, b"v" * 1000) for n in range(70)]
    assert_ours(await refusal(house, request("GET", "/l", *fields)), 431, HEAD_TOO_LARGE)


async def test_a_field_without_end_is_refused_without_waiting_for_it(house):
    raw = b"GET /l HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"v" * (80 * KIB)
    assert_ours(await refusal(house, raw), 431, HEAD_TOO_LARGE)


async def test_a_field_name_without_end_is_refused_without_waiting_for_it(house):
    raw = b"GET /l HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"x" * (80 * KIB)
    assert_ours(await refusal(house, raw), 431, HEAD_TOO_LARGE)


async def test_256_fields_pass(house):
    assert_passed_on(await house.get("/l", *(b"X: %d" % n for n in range(255))), 200)  # and Host
    assert len(house.upstream.requests[0].head.values(b"x")) == 255


async def test_257_fields_are_refused(house):
    raw = request("GET", "/l", *(b"X: %d" % n for n in range(256)))
    assert_ours(await refusal(house, raw), 431, HEAD_TOO_LARGE)


async def test_fields_without_end_are_refused_without_waiting_for_it(house):
    raw = b"GET /l HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X:\r\n" * 30_000
    assert_ours(await refusal(house, raw), 431, HEAD_TOO_LARGE)


async def test_trailers_without_end_are_cut_off(house):
    client = await house.client()
    client.writer.write(lines(b"POST /l HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked"))
    client.writer.write(b"0\r\n" + b"X: y\r\n" * 50_000)
    answer = await client.read_answer()
    assert answer.status in (400, 431), answer
    assert_ours(answer, answer.status, "SIDECAR_BAD_REQUEST", HEAD_TOO_LARGE)
    assert await client.ended()
    assert not any(exchange.complete for exchange in house.upstream.seen("/l"))


async def test_empty_lines_without_end_are_cut_off(house):
    client = await house.client()
    client.writer.write(b"\r\n" * 100_000)
    head = await client.read_head()
    assert head is None or head.start.split(b" ")[1] in (b"400", b"414", b"431"), head
    assert house.upstream.requests == []


@pytest.mark.parametrize(
    "raw",
    [
        response(200, *(b"X: %d" % n for n in range(257))),
        response(200, b"X: " + b"v" * (70 * KIB)),
        response(200, *(b"X-%d: %s" % (n, b"v" * 1000) for n in range(70))),
        response(200, reason=b"r" * (70 * KIB)),
    ],
    ids=["too many fields", "a field too large", "a block too large", "a reason without end"],
)
async def test_a_head_of_an_answer_beyond_the_limits_is_a_502(house, raw):
    house.upstream.on("/l", raw)
    assert_ours(await house.ask(request("POST", "/l")), 502, "SIDECAR_UPSTREAM_PROTOCOL")


async def test_a_large_head_of_an_answer_within_the_limits_passes(house):
    fields = [b"X-%d: %s" % (n, b"v" * 240) for n in range(240)]
    house.upstream.on("/l", response(200, *fields))
    answer = await house.get("/l")
    assert_passed_on(answer, 200)
    assert len(answer.fields) == 241


async def test_trailers_of_an_answer_without_end_are_cut_off(house):
    house.upstream.on("/l", lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked") + b"0\r\n" + b"X: y\r\n" * 50_000)
    client = await house.client()
    await client.send(request("POST", "/l"))
    answer = await client.read_answer()
    assert not answer.complete or answer.status == 502, answer


async def test_many_chunks_of_one_byte_are_no_matter(house):
    raw = lines(b"POST /l HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    assert_passed_on(await house.ask(raw + chunked(*[b"x"] * 20_000)), 200)
    assert house.upstream.requests[0].content == b"x" * 20_000
