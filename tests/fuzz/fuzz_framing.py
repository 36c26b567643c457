"""Coverage-guided fuzzing of the parsers: nothing but their named failures, and never laxer than a naive strict reader.

Run as a program: `python -m tests.fuzz.fuzz_framing [libFuzzer options]`.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["biot_sidecar.routing", "biot_sidecar.http.messages", "biot_sidecar.errors"]):
    from biot_sidecar.errors import ClientError, UpstreamError
    from biot_sidecar.http.chunked import ChunkedDecoder
    from biot_sidecar.http.framing import BadFraming, hopeless, request_head, response_head
    from biot_sidecar.http.header_fields import BadFields, parse_fields
    from biot_sidecar.http.messages import BodyFraming

from tests.fuzz.naive import NaiveChunks, naive_request


def one_input(data: bytes) -> None:
    """The first byte says what the rest is."""
    if data:
        (fuzz_request, fuzz_response, fuzz_chunks, fuzz_fields)[data[0] % 4](data[1:])


def fuzz_request(raw: bytes) -> None:
    """What we take a strict reader takes too, and reads alike."""
    raw = cut_like_a_connection(b"GET / HTTP/1.1\r\nHost: x\r\n" + raw if raw[:1] == b"+" else raw)
    try:
        head = request_head(raw)
    except ClientError:
        return
    assert not hopeless(raw), "the connection would have refused it while it came"
    method, target, length, chunked = naive_request(raw)
    assert (head.method, head.target) == (method, target)
    assert (head.framing.body is BodyFraming.CHUNKED) == chunked
    assert (head.framing.body is BodyFraming.LENGTH) == (length is not None)
    assert head.framing.length == (length or 0)


def fuzz_response(raw: bytes) -> None:
    raw = cut_like_a_connection(b"HTTP/1.1 200 OK\r\n" + raw if raw[:1] == b"+" else raw)
    try:
        head = response_head(raw, b"GET")
    except UpstreamError:
        return
    assert 100 <= head.status <= 599


def fuzz_chunks(data: bytes) -> None:
    """Whole and byte by byte give the same, and so does a naive reader."""
    whole, dripped = ChunkedDecoder(), ChunkedDecoder()
    payload, used = b"", 0
    try:
        pieces, used = whole.feed(data)
        payload = b"".join(pieces)
    except BadFraming:
        pass
    drip = b""
    try:
        for at in range(len(data)):
            if not dripped.finished:
                drip += b"".join(dripped.feed(data[at : at + 1])[0])
    except BadFraming:
        pass
    assert whole.finished == dripped.finished
    if whole.finished:
        assert payload == drip
        reader = NaiveChunks(data)
        assert (payload, used) == (reader.payload, reader.used)


def fuzz_fields(section: bytes) -> None:
    section = cut_like_a_connection(section)
    try:
        fields = parse_fields(section)
    except BadFields:
        return
    for name, value in fields:
        assert name, "a field without a name"
        assert not any(byte in b"\r\n\x00" for byte in name + value)


def cut_like_a_connection(raw: bytes) -> bytes:
    """A head as the connection cuts it: up to its first empty line."""
    raw += b"\r\n\r\n"
    return raw[: raw.index(b"\r\n\r\n") + 4]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
