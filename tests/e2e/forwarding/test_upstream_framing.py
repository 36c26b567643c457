"""The same distrust towards the upstream: what is not clean HTTP is a 502, and its connection is done for."""

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import Cut, lines, request, response

pytestmark = LIVE


def _ok(*fields: bytes, body: bytes = b"") -> bytes:
    return lines(b"HTTP/1.1 200 OK", *fields) + body


def _start(line: bytes) -> bytes:
    return lines(line, b"Content-Length: 0")


_LENGTH = b"Content-Length: 5"
_CHUNKED = b"Transfer-Encoding: chunked"
_CHUNKED_BODY = b"5\r\nhello\r\n0\r\n\r\n"

HEADS = {
    "no HTTP at all": b"hello\r\n\r\n",
    "a banner of another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a request": request("GET", "/"),
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "the version 0.9": _start(b"HTTP/0.9 200 OK"),
    "the version 1.2": _start(b"HTTP/1.2 200 OK"),
    "the version 2.0": _start(b"HTTP/2.0 200 OK"),
    "the version 2": _start(b"HTTP/2 200 OK"),
    "the version 1.10": _start(b"HTTP/1.10 200 OK"),
    "the version in lower case": _start(b"http/1.1 200 OK"),
    "another protocol's version": _start(b"ICY 200 OK"),
    "and yet another": _start(b"RTSP/1.0 200 OK"),
    "no status": _start(b"HTTP/1.1  OK"),
    "a status of two digits": _start(b"HTTP/1.1 20 OK"),
    "a status of four digits": _start(b"HTTP/1.1 2000 OK"),
    "a status of letters": _start(b"HTTP/1.1 abc OK"),
    "a signed status": _start(b"HTTP/1.1 +20 OK"),
    "the status 000": _start(b"HTTP/1.1 000 OK"),
    "the status 099": _start(b"HTTP/1.1 099 OK"),
    "the status 600": _start(b"HTTP/1.1 600 OK"),
    "the status 999": _start(b"HTTP/1.1 999 OK"),
    "an unasked 101": _start(b"HTTP/1.1 101 Switching Protocols"),
    "two spaces before the status": _start(b"HTTP/1.1  200 OK"),
    "a tab before the status": _start(b"HTTP/1.1\t200 OK"),
    "a control character in the reason": _start(b"HTTP/1.1 200 O\x01K"),
    "a NUL in the reason": _start(b"HTTP/1.1 200 O\x00K"),
    "a bare CR in the reason": _start(b"HTTP/1.1 200 O\rK"),
    "a bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "a bare LF after a field": b"HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 0\r\n\r\n",
    "a bare LF at the end of the head": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
    "a bare CR in a value": _ok(b"X: a\rb", b"Content-Length: 0"),
    "a bare CR between fields": _ok(b"\rX: a", b"Content-Length: 0"),
    "a folded field": _ok(b"X: a", b" b", b"Content-Length: 0"),
    "a field folded with a tab": _ok(b"X: a", b"\tb", b"Content-Length: 0"),
    "a fold right after the status line": _ok(b" X: a", b"Content-Length: 0"),
    "a name with a space at its end": _ok(b"X : a", b"Content-Length: 0"),
    "a length with a space before the colon": _ok(b"Content-Length : 5", body=b"hello"),
    "a coding with a space before the colon": _ok(b"Transfer-Encoding : chunked", body=_CHUNKED_BODY),
    "a space inside a name": _ok(b"X Y: a", b"Content-Length: 0"),
    "a field without a colon": _ok(b"nonsense", b"Content-Length: 0"),
    "a field without a name": _ok(b": a", b"Content-Length: 0"),
    "a byte above 0x7f in a name": _ok(b"X\xe9: a", b"Content-Length: 0"),
    "a parenthesis in a name": _ok(b"X(Y): a", b"Content-Length: 0"),
    "a NUL in a name": _ok(b"X\x00: a", b"Content-Length: 0"),
    "a NUL in a value": _ok(b"X: a\x00b", b"Content-Length: 0"),
    "a control character in a value": _ok(b"X: a\x01b", b"Content-Length: 0"),
    "a DEL in a value": _ok(b"X: a\x7fb", b"Content-Length: 0"),
    "a length, then chunked": _ok(_LENGTH, _CHUNKED, body=_CHUNKED_BODY),
    "chunked, then a length": _ok(_CHUNKED, _LENGTH, body=_CHUNKED_BODY),
    "two equal lengths": _ok(_LENGTH, _LENGTH, body=b"hello"),
    "two unequal lengths": _ok(_LENGTH, b"Content-Length: 4", body=b"hello"),
    "a list of equal lengths": _ok(b"Content-Length: 5, 5", body=b"hello"),
    "a negative length": _ok(b"Content-Length: -5", body=b"hello"),
    "a signed length": _ok(b"Content-Length: +5", body=b"hello"),
    "a hexadecimal length": _ok(b"Content-Length: 0x5", body=b"hello"),
    "an empty length": _ok(b"Content-Length:", body=b"hello"),
    "a length of 2^63": _ok(b"Content-Length: 9223372036854775808", body=b"hello"),
    "a length of 2^64 + 5": _ok(b"Content-Length: 18446744073709551621", body=b"hello"),
    "a coding before chunked": _ok(b"Transfer-Encoding: gzip, chunked", body=_CHUNKED_BODY),
    "a coding after chunked": _ok(b"Transfer-Encoding: chunked, gzip", body=_CHUNKED_BODY),
    "a coding that is none": _ok(b"Transfer-Encoding: gzip", body=b"hello"),
    "an empty coding": _ok(b"Transfer-Encoding:", body=b"hello"),
    "chunked twice": _ok(_CHUNKED, _CHUNKED, body=_CHUNKED_BODY),
    "chunked in HTTP/1.0": lines(b"HTTP/1.0 200 OK", _CHUNKED) + _CHUNKED_BODY,
    "an interim answer that is no HTTP": b"HTTP/1.1 103 \r\nX : a\r\n\r\n" + response(200),
    "a bad answer behind an interim one": lines(b"HTTP/1.1 103 Early Hints") + _ok(_LENGTH, _CHUNKED),
    "another protocol's first line": b"SSH-2.0-OpenSSH_9.6\r\n",
    "another protocol's first bytes": b"220 smtp",
    "a 204 with a length": lines(b"HTTP/1.1 204 No Content", _LENGTH) + b"hello",
    "an interim answer with a length": lines(b"HTTP/1.1 103 Early Hints", _LENGTH) + b"hello" + response(200),
    "a 204 with a coding": lines(b"HTTP/1.1 204 No Content", _CHUNKED) + b"0\r\n\r\n",
}


@pytest.mark.parametrize("raw", HEADS.values(), ids=HEADS.keys())
async def test_a_malformed_answer_is_a_502_and_its_connection_is_not_used_again(house, raw):
    held = house.upstream.hold("/once/u")
    client = await house.client()
    await client.send(request("POST", "/once/u", body=b"x"))
    exchange = await held.next()
    await exchange.body()
    await exchange.send(raw)
    assert_ours(await client.read_answer(), 502, "SIDECAR_UPSTREAM_PROTOCOL")
    assert await exchange.abandoned()
    held.release(exchange)
    assert len(house.upstream.seen("/once/u")) == 1


async def test_the_client_of_a_malformed_answer_keeps_its_connection(house):
    house.upstream.on("/once/u", HEADS["no HTTP at all"])
    client = await house.client()
    assert_ours(await client.ask(request("POST", "/once/u", body=b"x")), 502, "SIDECAR_UPSTREAM_PROTOCOL")
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


BODIES = {
    "a chunk size of letters": b"g\r\nhello\r\n0\r\n\r\n",
    "an empty chunk size": b"\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size after a space": b" 5\r\nhello\r\n0\r\n\r\n",
    "a chunk size before a space": b"5 \r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size of 2^64 + 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "a bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "nothing after the data": b"5\r\nhello0\r\n\r\n",
    "more data than the size says": b"5\r\nhelloo\r\n0\r\n\r\n",
    "a bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "a bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extensions over 4 KiB": b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "a folded trailer": b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "a trailer with a bare LF": b"5\r\nhello\r\n0\r\nX: a\n\r\n",
    "a trailer without a colon": b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
    "a trailer with a space before the colon": b"5\r\nhello\r\n0\r\nX : a\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_malformed_body_never_looks_complete_and_its_connection_is_not_used_again(house, body):
    held = house.upstream.hold("/once/u")
    client = await house.client()
    await client.send(request("POST", "/once/u", body=b"x"))
    exchange = await held.next()
    await exchange.body()
    await exchange.send(_ok(_CHUNKED) + body)
    assert_ours(await client.read_answer(), 502, "SIDECAR_UPSTREAM_PROTOCOL")
    assert await exchange.abandoned()
    held.release(exchange)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_turns_bad_behind_its_head_never_looks_complete(house, body):
    held = house.upstream.hold("/once/u")
    client = await house.client()
    await client.send(request("POST", "/once/u", body=b"x"))
    exchange = await held.next()
    await exchange.body()
    await exchange.send(_ok(_CHUNKED))
    await client.read_head_or_fail()
    await exchange.send(body)
    with pytest.raises(Cut):
        await client.read_chunked()
    assert await exchange.abandoned()
    held.release(exchange)


async def test_a_trailer_cannot_rewrite_an_answers_framing(house):
    house.upstream.on("/u", _ok(_CHUNKED) + b"1\r\nx\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n")
    client = await house.client()
    await client.send(request("POST", "/u"))
    answer = await client.read_answer()
    if answer.complete and answer.status == 200:
        assert not {name.lower() for name, _ in answer.trailers} & {b"content-length", b"transfer-encoding"}
