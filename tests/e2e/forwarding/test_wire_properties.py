"""Random cuts of valid traffic change nothing; random garbage reaches nobody and hangs nothing."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.forwarding.ambiguous import BODIES, HEADS
from tests.support.live import LIVE
from tests.support.wire import Cut, Malformed, chunked, lines, request, response

pytestmark = LIVE

BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

TRAFFIC = (
    request("POST", "/w/1?a=%2f", b"X-A: 1", b"x-a: caf\xe9", body=b"one" * 40)
    + lines(b"PUT /w/2 HTTP/1.1", b"Host: 127.0.0.1", b"transfer-encoding: Chunked")
    + b'3;x="y"\r\ntwo\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n'
    + request("GET", "/w/3")
    + request("HEAD", "/w/4")
    + request("DELETE", "/w/5", body=b"{}")
)
METHODS = ["POST", "PUT", "GET", "HEAD", "DELETE"]


def what_arrived(house):
    return [
        (e.method, e.target, [f for f in e.head.fields if f[0].lower() != b"traceparent"], e.content, e.trailers)
        for e in house.upstream.seen("/w")
    ]


async def play(house, pieces):
    """Sends the pieces one by one; what the upstream saw and what the client got."""
    house.upstream.requests.clear()
    client = await house.client()
    for piece in pieces:
        await client.send(piece)
        await asyncio.sleep(0)
    answers = [await client.read_answer(method) for method in METHODS]
    client.close()
    return what_arrived(house), [(answer.status, answer.fields, answer.body) for answer in answers]


def split(raw, cuts):
    edges = [0, *sorted(cuts), len(raw)]
    return [raw[a:b] for a, b in itertools.pairwise(edges) if a < b]


CUTS = st.sets(st.integers(1, len(TRAFFIC) - 1), max_size=30)


@given(cuts=CUTS)
@BOUNDED
async def test_requests_cut_anywhere_arrive_as_in_one_write(house, cuts):
    house.upstream.on("/w", response(200, b"X-R: 1", body=b"fine"))
    assert await play(house, split(TRAFFIC, cuts)) == await play(house, [TRAFFIC])


ANSWER = (
    lines(b"HTTP/1.1 103 Early Hints", b"Link: </a>")
    + lines(b"HTTP/1.1 200 Fine", b"x-R: 1", b"X-r: caf\xe9", b"Transfer-Encoding: chunked")
    + chunked(b"one", b"two" * 30, trailers=b"X-T: 1\r\n")
)


@given(cuts=st.sets(st.integers(1, len(ANSWER) - 1), max_size=20))
@BOUNDED
async def test_answers_cut_anywhere_arrive_as_in_one_write(house, cuts):
    async def piecemeal(exchange):
        await exchange.body()
        for piece in split(ANSWER, cuts):
            await exchange.send(piece)
            await asyncio.sleep(0)

    house.upstream.on("/w", piecemeal)
    client = await house.client()
    await client.send(request("GET", "/w"))
    hints = await client.read_any()
    answer = await client.read_any()
    client.close()
    assert (hints.status, hints.fields) == (103, [(b"Link", b"</a>")])
    assert answer.head.start == b"HTTP/1.1 200 Fine"
    assert answer.fields[:2] == [(b"x-R", b"1"), (b"X-r", b"caf\xe9")]
    assert (answer.body, answer.trailers, answer.complete) == (b"one" + b"two" * 30, [(b"X-T", b"1")], True)


async def say(house, raw):
    """Sends the bytes, ends the sending side, and reads to the end of whatever comes; fails if nothing ends."""
    client = await house.client()
    try:
        await client.send(raw)
        client.shut_writing()
        return await client.read_to_end()
    except (Cut, ConnectionError):
        return b""
    finally:
        client.close()


GARBAGE = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet="GET /HTP1.\r\n :\t\x00\x7f", max_size=200).map(lambda text: text.encode("latin-1")),
    st.lists(
        st.sampled_from([b"GET ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b":", b" ", b"\x00", b"Host", b"a"]),
        max_size=40,
    ).map(b"".join),
)


@given(raw=GARBAGE)
@BOUNDED
async def test_garbage_never_reaches_the_upstream_and_never_hangs(house, raw):
    said = await say(house, raw)
    assert said == b"" or said.startswith(b"HTTP/1.1 4"), said
    await house.fence()
    assert all(exchange.target == b"/fence" for exchange in house.upstream.requests)
    house.upstream.requests.clear()


VALID = [TRAFFIC, request("GET", "/w"), *HEADS.values(), *BODIES.values()]


@given(
    base=st.sampled_from(VALID),
    edits=st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from(["put", "cut", "double"]), st.binary(min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    ),
)
@BOUNDED
async def test_mutated_requests_reach_the_upstream_in_clean_http_or_not_at_all(house, base, edits):
    raw = bytearray(base)
    for place, what, octets in edits:
        at = place % (len(raw) + 1)
        if what == "put":
            raw[at : at + len(octets)] = octets
        elif what == "cut":
            del raw[at : at + len(octets)]
        else:
            raw[at:at] = raw[max(0, at - 20) : at]
    await say(house, bytes(raw))
    await house.fence()
    house.upstream.requests.clear()
    assert not house.upstream.failures, house.upstream.failures


@given(raw=st.one_of(GARBAGE, st.builds(lambda head, rest: b"HTTP/1.1 200 OK\r\n" + head + rest, GARBAGE, GARBAGE)))
@BOUNDED
async def test_garbage_from_the_upstream_is_never_a_complete_answer_of_its_own_making(house, raw):
    async def babble(exchange):
        await exchange.body()
        await exchange.send(raw)
        exchange.connection.close()

    house.upstream.on("/once/w", babble)
    client = await house.client()
    await client.send(request("POST", "/once/w"))
    try:
        answer = await client.read_answer()
    except (Cut, Malformed, AssertionError) as error:
        pytest.fail(f"not an answer: {error!r}")
    client.close()
    assert answer.status in (200, 502), answer
    if answer.status == 200:
        assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
