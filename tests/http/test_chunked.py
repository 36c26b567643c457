"""Chunked bodies: what is read, what is refused, and that no cut between two writes matters (RFC 9112, section 7.1)."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from biot_sidecar.http.chunked import EXTENSIONS_LIMIT, ChunkedDecoder, encode_chunks, encode_end
from biot_sidecar.http.framing import FIELDS_LIMIT, BadFraming
from biot_sidecar.http.messages import Headers
from hypothesis import given
from hypothesis import strategies as st

PAYLOADS = st.lists(st.binary(min_size=1, max_size=50), max_size=6)
TRAILERS = st.lists(
    st.tuples(st.sampled_from([b"x", b"X-Sum", b"etag"]), st.sampled_from([b"1", b"\xff", b""])), max_size=3
)


def decode(data: bytes, cuts: list[int] | None = None) -> tuple[bytes, bytes, Headers]:
    """The payload, the bytes behind the body, and the trailers; `cuts` are where one write ends and the next begins."""
    decoder = ChunkedDecoder()
    places = sorted({min(cut, len(data)) for cut in cuts or []} | {0, len(data)})
    payload = b""
    for begin, end in pairwise(places):
        pieces, used = decoder.feed(data[begin:end])
        payload += b"".join(pieces)
        if decoder.finished:
            return payload, data[begin + used :], decoder.trailers
        assert used == end - begin, "an unfinished body takes all it is given"
    raise AssertionError("unfinished")


def refusal(data: bytes, *, bytewise: bool = False) -> str:
    decoder = ChunkedDecoder()
    pieces = [data[at : at + 1] for at in range(len(data))] if bytewise else [data]
    with pytest.raises(BadFraming) as caught:
        deque(map(decoder.feed, pieces), maxlen=0)
    assert not decoder.finished
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "payload", "rest"),
    [
        (b"0\r\n\r\n", b"", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", b""),
        (b"3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1", b"abc", b"GET / HTTP/1.1"),
        (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc", b""),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
        (b"0003\r\nabc\r\n000\r\n\r\n", b"abc", b""),
        (b"3;name=value\r\nabc\r\n0;last\r\n\r\n", b"abc", b""),
        (b'3 ; name="a;b"\r\nabc\r\n0\r\n\r\n', b"abc", b""),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", b""),
    ],
)
def test_a_well_formed_body_gives_its_payload_and_stops_at_its_last_byte(data, payload, rest):
    assert decode(data) == (payload, rest, [])
    assert decode(data, list(range(len(data)))) == (payload, rest, [])


def test_trailers_are_handed_out_as_they_came():
    data = b"0\r\nX-Sum: 1\r\nx-sum:2\r\nE: \xff\r\n\r\nrest"
    trailers = [(b"X-Sum", b"1"), (b"x-sum", b"2"), (b"E", b"\xff")]
    assert decode(data) == (b"", b"rest", trailers)
    assert decode(data, list(range(len(data)))) == (b"", b"rest", trailers)


@given(PAYLOADS, TRAILERS, st.binary(max_size=20), st.lists(st.integers(0, 400), max_size=30))
def test_any_cut_between_writes_gives_the_same_as_one_write(payloads, trailers, rest, cuts):
    data = b"".join(encode_chunks(payloads)) + encode_end(trailers) + rest
    assert decode(data, cuts) == (b"".join(payloads), rest, trailers)


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=10))
def test_bytes_that_are_no_body_are_refused_whichever_way_they_are_cut(data, cuts):
    outcomes = []
    for places in ([0], cuts):
        try:
            outcomes.append(decode(data, places))
        except BadFraming:
            outcomes.append("refused")
        except AssertionError:
            outcomes.append("unfinished")
    assert outcomes[0] == outcomes[1] or "unfinished" in outcomes


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b" 3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3_0\r\n",
        b"g\r\n",
        b"3 3\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\rabc\r\n",
        b"3\rabc\r\n",
        b"3;a\nabc\r\n",
        b"3;a\x00\r\nabc\r\n",
        b"3;a\rb\r\nabc\r\n",
        b"3 a\r\nabc\r\n",
        b"3,a\r\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3\r\nabc\rx",
        b"3\r\nabc0\r\n\r\n",
        b"8000000000000000\r\n",
        b"ffffffffffffffff\r\n",
        b"10000000000000003\r\nabc\r\n",
        b"00000000000000003\r\nabc\r\n",
        b"\xb2\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nx: y\r\n folded\r\n\r\n",
        b"0\r\nx : y\r\n\r\n",
        b"0\r\nx: \x00\r\n\r\n",
        b"0\r\nx: a\nb: c\r\n\r\n",
        b"0\r\nx: a\rb\r\n\r\n",
        b"0\r\n\n",
        b"0\r\n\rx",
    ],
)
def test_a_malformed_body_is_refused_in_one_write_and_byte_by_byte(data):
    assert refusal(data)
    assert refusal(data, bytewise=True)


def test_the_largest_chunk_size_is_below_2_to_the_63():
    decoder = ChunkedDecoder()
    assert decoder.feed(b"7fffffffffffffff\r\nabc") == ([b"abc"], 21)
    assert "too large" in refusal(b"8000000000000000\r\n")


def test_extensions_of_4_kib_in_all_are_the_most():
    chunk = b"1;" + b"e" * 1023 + b"\r\na\r\n"
    assert decode(chunk * 4 + b"0\r\n\r\n")[0] == b"aaaa"
    assert "4 KiB" in refusal(chunk * 4 + b"1;\r\na\r\n")


def test_an_extension_without_end_is_refused_before_its_line_ends():
    assert "4 KiB" in refusal(b"1;" + b"e" * (EXTENSIONS_LIMIT + 64))
    assert "4 KiB" in refusal(b"1;" + b"e" * (EXTENSIONS_LIMIT + 64), bytewise=True)


def test_a_trailer_section_has_limits():
    assert "64 KiB" in refusal(b"0\r\nx: " + b"a" * (FIELDS_LIMIT + 10))
    assert "64 KiB" in refusal(b"0\r\nx: " + b"a" * (FIELDS_LIMIT + 10) + b"\r\n\r\n")
    assert "256" in refusal(b"0\r\n" + b"x: y\r\n" * 257 + b"\r\n")
    assert len(decode(b"0\r\n" + b"x: y\r\n" * 256 + b"\r\n")[2]) == 256


def test_a_refused_trailer_section_is_not_quoted():
    assert "secret" not in refusal(b"0\r\nsecret value\r\n\r\n")


def test_nothing_written_is_still_a_whole_body():
    assert b"".join(encode_chunks([])) + encode_end([]) == b"0\r\n\r\n"
