"""Ambiguous HTTP: refused with 400, the connection closed, and the upstream none the wiser."""

import pytest

from tests.e2e.forwarding.ambiguous import BODIES, HEADS, SMUGGLED
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import echo, login_answer
from tests.support.sidecar import CANARY
from tests.support.wire import Cut, chunked, lines, request

pytestmark = LIVE


async def read_refusal(client):
    """The refusal and nothing behind it."""
    answer = await client.read_answer()
    assert await client.ended(), client.raw[-500:]
    return answer


@pytest.mark.parametrize("raw", HEADS.values(), ids=HEADS.keys())
async def test_an_ambiguous_head_is_refused_and_nothing_of_it_goes_out(house, raw):
    client = await house.client()
    await client.send(raw + SMUGGLED)
    assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    await house.fence()
    assert [exchange.target for exchange in house.upstream.requests] == [b"/fence"]


@pytest.mark.parametrize("raw", HEADS.values(), ids=HEADS.keys())
async def test_an_ambiguous_head_behind_a_good_request_is_refused_all_the_same(house, raw):
    client = await house.client()
    await client.send(request("GET", "/good") + raw + SMUGGLED)
    assert_passed_on(await client.read_answer(), 200)
    assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED")
    await house.fence()
    assert [exchange.target for exchange in house.upstream.requests] == [b"/good", b"/fence"]


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES.keys())
async def test_an_ambiguous_body_is_refused_and_never_arrives_as_a_whole(house, raw):
    client = await house.client()
    await client.send(raw + SMUGGLED)
    try:
        assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST")
    finally:
        await house.fence()
    assert house.upstream.seen("/smuggled") == []
    assert not any(exchange.complete for exchange in house.upstream.seen("/refused"))
    if len(raw) < 32 * 1024:  # it was all here when its head was read
        assert house.upstream.seen("/refused") == []


async def test_a_body_that_turns_bad_while_its_request_waits_never_sets_out(start):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    held = house.upstream.login_script = house.upstream.hold("/nothing")
    client = await house.client()
    await client.send(lines(b"POST /refused HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked"))
    await client.send(b"3\r\nabc\r\n")
    login = await held.next()
    await client.send(b"no size\r\n")
    await house.local_fence()
    await held.answer(login, login_answer(1, 4e9))
    assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST")
    await house.fence()
    assert house.upstream.seen("/refused") == []


async def test_a_body_that_came_in_pieces_while_its_request_waited_arrives_whole(start):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    held = house.upstream.login_script = house.upstream.hold("/nothing")
    house.upstream.on("/x", echo)
    client, pieces = await house.client(), [b"%d," % number for number in range(300)]
    whole = chunked(*pieces, trailers=b"X-Last: 1\r\n")
    await client.send(lines(b"POST /x HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked") + whole[:7])
    login = await held.next()
    for at in range(7, len(whole) // 2, 11):
        await client.send(whole[at : min(at + 11, len(whole) // 2)])
    await house.local_fence()
    await held.answer(login, login_answer(1, 4e9))
    await client.send(whole[len(whole) // 2 :] + request("GET", "/next"))
    assert_passed_on(await client.read_answer(), 200, b"".join(pieces))
    assert house.upstream.seen("/x")[0].trailers == [(b"X-Last", b"1")]
    assert_passed_on(await client.read_answer(), 200)


async def test_an_own_page_behind_a_bad_body_is_refused(house):
    client = await house.client()
    await client.send(lines(b"GET /healthz HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked") + b"x\r\n")
    assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST")


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_turns_bad_after_it_set_out_costs_the_upstream_connection(house, raw):
    held = house.upstream.hold("/refused")
    client = await house.client()
    head, _, body = raw.partition(b"\r\n\r\n")
    await client.send(head + b"\r\n\r\n3\r\nabc\r\n")
    exchange = await held.next()
    await client.send(body + SMUGGLED)
    assert_ours(await read_refusal(client), 400, "SIDECAR_BAD_REQUEST")
    with pytest.raises(Cut):
        await exchange.body()
    held.release(exchange)
    await house.fence()
    assert house.upstream.seen("/smuggled") == []


async def test_a_refusal_says_nothing_of_what_was_sent(house):
    answer = await house.ask(
        lines(b"GET /refused?q=%s HTTP/1.1" % CANARY.encode(), b"Host : x", b"X: %s" % CANARY.encode())
    )
    assert_ours(answer, 400, "SIDECAR_BAD_REQUEST")


async def test_a_refusal_reaches_a_client_that_is_still_sending(house):
    client = await house.client()
    client.writer.write(lines(b"POST /refused HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 4000000", b"X : 1"))
    client.writer.write(bytes(4_000_000))
    assert_ours(await client.read_answer(), 400, "SIDECAR_BAD_REQUEST")


async def test_chunked_in_any_case_is_chunked(house):
    raw = lines(b"POST /fine HTTP/1.1", b"Host: 127.0.0.1", b"transfer-encoding: ChUnKeD")
    assert_passed_on(await house.ask(raw + chunked(b"hello")), 200)
    assert house.upstream.seen("/fine")[0].content == b"hello"


async def test_extensions_of_chunks_within_the_limit_do_no_harm(house):
    raw = lines(b"POST /fine HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    body = b'5;a=1;b="x;y"\r\nhello\r\n' + b"0;" + b"c" * 1000 + b"\r\n\r\n"
    assert_passed_on(await house.ask(raw + body), 200)
    assert house.upstream.seen("/fine")[0].content == b"hello"


async def test_chunk_sizes_in_any_case_and_with_leading_noughts_are_read(house):
    raw = lines(b"POST /fine HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    assert_passed_on(await house.ask(raw + b"0000a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n"), 200)
    assert house.upstream.seen("/fine")[0].content == b"01234567890123456789"


async def test_a_length_just_below_the_limit_is_taken_at_its_word(house):
    held = house.upstream.hold("/fine")
    client = await house.client()
    await client.send(lines(b"POST /fine HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 9223372036854775807") + b"x")
    exchange = await held.next()
    assert exchange.head.values(b"content-length") == [b"9223372036854775807"]
    client.reset()
    with pytest.raises(Cut):
        await exchange.body()
    held.release(exchange)


async def test_an_empty_line_before_a_request_is_forgiven(house):
    answer = await house.ask(b"\r\n" + request("GET", "/fine"))
    assert_passed_on(answer, 200)


@pytest.mark.parametrize(
    "value", [b"", b"127.0.0.1, evil.example", b"a b", b"127.0.0.1/evil", b"evil@127.0.0.1", b"127.0.0.1:x"]
)
async def test_a_host_that_is_no_host_is_refused(house, value):
    answer = await house.ask(lines(b"GET /refused HTTP/1.1", b"Host: " + value))
    assert answer.status in (400, 421), answer
    assert_ours(answer, answer.status, "SIDECAR_BAD_REQUEST", "SIDECAR_HOST_REFUSED")
    assert house.upstream.requests == []
