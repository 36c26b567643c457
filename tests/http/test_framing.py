"""Every head that is taken, and every one that is not (RFC 9112, sections 2, 3, 5, 6 and 11)."""

from __future__ import annotations

import pytest
from biot_sidecar.bounded_cache import KEY_LIMIT
from biot_sidecar.errors import ClientError, Code, UpstreamError
from biot_sidecar.http import framing
from biot_sidecar.http.framing import (
    FIELDS_LIMIT,
    HEAD_LIMIT,
    START_LINE_LIMIT,
    BadFraming,
    _request_framing,
    connection_options,
    content_length,
    hopeless,
    oversized_request,
    request_head,
    response_head,
)
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.messages import NO_BODY, BodyFraming, Framing
from hypothesis import given
from hypothesis import strategies as st

from tests.http.heads import request, response

HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
TOKEN = st.text("!#$%&'*+.^_`|~-abcXYZ019", min_size=1, max_size=12).map(str.encode)
TARGET = st.binary(min_size=1, max_size=40).filter(lambda text: not any(b <= 0x20 or b in b"\x7f#" for b in text))
VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), min_size=1, max_size=30
).map(lambda text: text.encode("latin-1"))


def refusal(raw: bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        request_head(raw)
    return caught.value


def distrust(raw: bytes, method: bytes = b"GET") -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        response_head(raw, method)
    assert caught.value.code is Code.UPSTREAM_PROTOCOL
    assert not caught.value.retryable, "an answer came: the request was carried out"
    return caught.value


# ---- requests that are taken


@pytest.mark.parametrize(
    ("fields", "line", "framing"),
    [
        ([], b"GET / HTTP/1.1", NO_BODY),
        ([], b"POST / HTTP/1.1", NO_BODY),
        ([b"Content-Length: 0"], b"POST / HTTP/1.1", Framing(BodyFraming.LENGTH, 0)),
        ([b"Content-Length: 5"], b"GET / HTTP/1.1", Framing(BodyFraming.LENGTH, 5)),
        ([b"content-length:7"], b"DELETE / HTTP/1.1", Framing(BodyFraming.LENGTH, 7)),
        ([b"Content-Length: \t 12 \t"], b"PUT / HTTP/1.1", Framing(BodyFraming.LENGTH, 12)),
        ([b"Content-Length: 0005"], b"PUT / HTTP/1.1", Framing(BodyFraming.LENGTH, 5)),
        ([b"Content-Length: 9223372036854775807"], b"PUT / HTTP/1.1", Framing(BodyFraming.LENGTH, 2**63 - 1)),
        ([CHUNKED], b"POST / HTTP/1.1", Framing(BodyFraming.CHUNKED)),
        ([b"TRANSFER-ENCODING: Chunked"], b"GET / HTTP/1.1", Framing(BodyFraming.CHUNKED)),
        ([b"Content-Length: 3"], b"POST / HTTP/1.0", Framing(BodyFraming.LENGTH, 3)),
    ],
)
def test_a_request_whose_end_every_reader_sees_alike_is_taken(fields, line, framing):
    assert request(*fields, line=line).framing == framing


@pytest.mark.parametrize("method", [b"GET", b"PATCH", b"PURGE", b"x-own!", b"M-SEARCH", b"get", b"A" * 300])
def test_any_token_is_a_method_and_keeps_its_case(method):
    assert request(line=method + b" / HTTP/1.1").method == method


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"*",
        b"/?",
        b"/a?b=c?d",
        b"http://localhost/a",
        b"/%zz",
        b"/\xc3\xa4",
        b"/\xff",
        b"//",
        b'/a"<>\\^`{|}',
        b"x",
    ],
)
def test_a_target_is_kept_byte_for_byte(target):
    assert request(line=b"GET " + target + b" HTTP/1.1").target == target


@given(TARGET, TOKEN)
def test_whatever_a_target_and_a_method_hold_they_come_out_as_they_went_in(target, method):
    head = request(line=method + b" " + target + b" HTTP/1.1")
    assert (head.method, head.target) == (method, target)


@given(st.lists(st.tuples(TOKEN.map(lambda name: b"x-" + name), VALUE), max_size=20))
def test_fields_keep_their_order_case_and_duplicates(fields):
    head = request(*(b"%b: %b" % field for field in fields))
    assert head.headers == [(b"Host", b"localhost"), *fields]
    assert head.field_lines == [b"%b: %b" % field for field in fields]


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: close"], False),
        (b"GET / HTTP/1.1", [b"Connection: x, CLOSE"], False),
        (b"GET / HTTP/1.1", [b"Connection: x", b"Connection: Close"], False),
        (b"GET / HTTP/1.1", [b"Connection: closed"], True),
        (b"GET / HTTP/1.0", [], False),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_a_connection_goes_on_after_http_1_1_unless_it_says_close(line, fields, keeps):
    assert request(*fields, line=line).keep_alive is keeps


def test_http_1_0_needs_no_host():
    head = request(line=b"GET / HTTP/1.0", host=None)
    assert not head.is_http11
    assert head.headers == []


# ---- requests that are refused


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b"GET / HTTP/1.1\t",
        b"GET /a b HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/1.01",
        b"GET / HTTP/11",
        b"GET / http/1.1",
        b"GET / HTTP /1.1",
        b"GET / XTTP/1.1",
        b"GET /#x HTTP/1.1",
        b"GET /a?b#c HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\x0b HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"G\xc4T / HTTP/1.1",
        b"GET: / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_a_request_line_that_readers_may_split_differently_is_refused(line):
    failure = refusal(line + b"\r\n" + HOST + b"\r\n")
    assert (failure.code, failure.reason) == (Code.BAD_REQUEST, "framing")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"GET /", "no HTTP version"),
        (b"GET / HTTP/2.0", "only HTTP/1.1 and HTTP/1.0 are understood"),
        (b"GET /#x HTTP/1.1", "a fragment is never sent"),
        (b"GET /a b HTTP/1.1", "the request line is malformed"),
    ],
)
def test_the_refusal_of_a_request_line_says_what_is_wrong_with_it(line, words):
    assert words in refusal(line + b"\r\n" + HOST + b"\r\n").message


@pytest.mark.parametrize(
    "fields",
    [
        # Transfer-Encoding and Content-Length together, in either order (RFC 9112, 6.1)
        [b"Content-Length: 5", CHUNKED],
        [CHUNKED, b"Content-Length: 5"],
        [b"Content-Length: 0", CHUNKED],
        # lengths (RFC 9112, 6.2)
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5", b"content-length: 5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: 5, 6"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5.0"],
        [b"Content-Length: 5_0"],
        [b"Content-Length:"],
        [b"Content-Length: five"],
        [b"Content-Length: \xb2"],
        [b"Content-Length: 9223372036854775808"],
        [b"Content-Length: 18446744073709551616"],
        [b"Content-Length: 18446744073709551621"],
        [b"Content-Length: " + b"9" * 400],
        [b"Content-Length: 00000000000000000005"],
        # transfer codings (RFC 9112, 6.1 and 7)
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, gzip"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked,"],
        [b"Transfer-Encoding: ,chunked"],
        [b"Transfer-Encoding: chunked;q=1"],
        [b'Transfer-Encoding: "chunked"'],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked\x0b"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"],
        # the grammar of fields (RFC 9112, 5)
        [b"Content-Length : 5"],
        [b"Content-Length\t: 5"],
        [b"Transfer-Encoding : chunked"],
        [b" folded: yes"],
        [b"x: y", b" folded"],
        [b"x: y", b"\tfolded"],
        [b"no colon"],
        [b": no name"],
        [b"na me: x"],
        [b"na\x00me: x"],
        [b"na(me: x"],
        [b"n\xe4me: x"],
        [b"x: a\x00b"],
        [b"x: a\x01b"],
        [b"x: a\x7fb"],
        [b"x: a\rb"],
        [b"x: a\nb: c"],
        [b"x: a\r\r"],
        [b"x\ry: a"],
        # Host (RFC 9112, 3.2)
        [b"Host: localhost"],
        [b"host: other"],
    ],
)
def test_fields_that_readers_may_frame_differently_are_refused(fields):
    with pytest.raises(ClientError) as caught:
        request(*fields, line=b"POST / HTTP/1.1")
    assert (caught.value.code, caught.value.reason) == (Code.BAD_REQUEST, "framing")


def test_http_1_1_without_host_is_refused():
    with pytest.raises(ClientError, match="SIDECAR_BAD_REQUEST"):
        request(host=None)


def test_two_hosts_are_refused_in_http_1_0_too():
    with pytest.raises(ClientError, match="SIDECAR_BAD_REQUEST"):
        request(b"Host: localhost", line=b"GET / HTTP/1.0")


def test_chunks_in_http_1_0_are_refused():
    with pytest.raises(ClientError) as caught:
        request(CHUNKED, line=b"POST / HTTP/1.0")
    assert "HTTP/1.0" in caught.value.message


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\r\n\n", b"\n\r\n", b"\r\r\n\r\n"])
def test_lines_that_end_in_anything_but_crlf_are_refused(end):
    refusal(b"GET / HTTP/1.1\r\nHost: localhost" + end + b"\r\n\r\n")


def test_a_refusal_quotes_nothing_of_the_request():
    for raw in (b"GET /secret-1 HTTP/3\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nsecret-1 : y\r\n\r\n"):
        failure = refusal(raw)
        assert "secret-1" not in failure.message + failure.hint + repr(failure) + str(failure.__cause__)


# ---- limits


def test_a_request_line_of_64_kib_is_the_longest():
    frame = len(b"GET / HTTP/1.1")
    longest = b"/" + b"a" * (START_LINE_LIMIT - frame)
    assert request(line=b"GET " + longest + b" HTTP/1.1").target == longest
    failure = refusal(b"GET " + longest + b"a" * 3 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (failure.code, failure.status, failure.reason) == (Code.HEAD_TOO_LARGE, 414, "limit")


def test_fields_of_64_kib_are_the_largest():
    spare = FIELDS_LIMIT - len(HOST) - len(b"x: \r\n")
    assert request(b"x: " + b"a" * spare).headers[1][1] == b"a" * spare
    with pytest.raises(ClientError) as caught:
        request(b"x: " + b"a" * (spare + 3))
    assert (caught.value.code, caught.value.reason) == (Code.HEAD_TOO_LARGE, "limit")


def test_256_fields_are_the_most():
    assert len(request(*[b"x: y"] * 255).headers) == 256
    with pytest.raises(ClientError) as caught:
        request(*[b"x: y"] * 256)
    assert (caught.value.code, caught.value.reason) == (Code.HEAD_TOO_LARGE, "limit")


def test_an_unfinished_head_is_refused_as_soon_as_it_is_too_large():
    assert oversized_request(b"a" * START_LINE_LIMIT) is None
    line = oversized_request(b"a" * (START_LINE_LIMIT + 1))
    assert line is not None
    assert (line.code, line.status) == (Code.HEAD_TOO_LARGE, 414)
    assert oversized_request(b"a" * START_LINE_LIMIT + b"\r\n") is None
    assert oversized_request(b"a" * (START_LINE_LIMIT + 1) + b"\r\n") is not None
    assert oversized_request(b"GET / HTTP/1.1\r\n" + b"a" * FIELDS_LIMIT) is None
    fields = oversized_request(b"GET / HTTP/1.1\r\n" + b"a" * (FIELDS_LIMIT + 5))
    assert fields is not None
    assert fields.code is Code.HEAD_TOO_LARGE


@pytest.mark.parametrize("partial", [b"GET / HTTP/1.1\n", b"GET /\r ", b"\x00", b"\x16\x03", b"a\x7f", b"a\x0bb"])
def test_bytes_that_no_continuation_can_mend_are_hopeless_at_once(partial):
    assert hopeless(partial)


@pytest.mark.parametrize("partial", [b"", b"G", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nx:\ty\xff\r\n", b"\r\n\r"])
def test_bytes_that_may_become_a_head_are_waited_for(partial):
    assert not hopeless(partial)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_judging_a_head_piece_by_piece_finds_what_judging_it_at_once_finds(data, cut):
    cut = min(cut, len(data))
    first = hopeless(data[:cut])
    assert (first or hopeless(data, cut)) == (hopeless(data) or first)


# ---- answers that are taken


@pytest.mark.parametrize(
    ("line", "fields", "method", "framing"),
    [
        (b"HTTP/1.1 200 OK", [], b"GET", Framing(BodyFraming.UNTIL_CLOSE)),
        (b"HTTP/1.0 200 OK", [], b"GET", Framing(BodyFraming.UNTIL_CLOSE)),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], b"GET", Framing(BodyFraming.LENGTH, 5)),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 0"], b"POST", Framing(BodyFraming.LENGTH, 0)),
        (b"HTTP/1.1 205 Reset Content", [b"Content-Length: 0"], b"POST", Framing(BodyFraming.LENGTH, 0)),
        (b"HTTP/1.1 200 OK", [CHUNKED], b"GET", Framing(BodyFraming.CHUNKED)),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], b"HEAD", NO_BODY),
        (b"HTTP/1.1 200 OK", [CHUNKED], b"HEAD", NO_BODY),
        (b"HTTP/1.1 204 No Content", [], b"GET", NO_BODY),
        (b"HTTP/1.1 204 No Content", [b"Content-Length: 0"], b"GET", NO_BODY),
        (b"HTTP/1.1 304 Not Modified", [b"Content-Length: 500"], b"GET", NO_BODY),
        (b"HTTP/1.1 304 Not Modified", [CHUNKED], b"GET", NO_BODY),
        (b"HTTP/1.1 100 Continue", [], b"POST", NO_BODY),
        (b"HTTP/1.1 103 Early Hints", [b"Link: </x>"], b"GET", NO_BODY),
    ],
)
def test_an_answer_ends_where_rfc_9112_says(line, fields, method, framing):
    assert response(*fields, line=line, method=method).framing == framing


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 200 ", 200, b""),
        (b"HTTP/1.1 200", 200, b""),
        (b"HTTP/1.1 599 Own \xe4 reason\t!", 599, b"Own \xe4 reason\t!"),
    ],
)
def test_a_reason_phrase_is_kept_whatever_it_says(line, status, reason):
    head = response(line=line)
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        (b"HTTP/1.1 200 OK", [], True),
        (b"HTTP/1.1 200 OK", [b"Connection: close"], False),
        (b"HTTP/1.0 200 OK", [], False),
        (b"HTTP/1.0 200 OK", [b"Connection: Keep-Alive"], True),
    ],
)
def test_the_upstreams_connection_is_kept_when_its_version_and_options_say_so(line, fields, keeps):
    assert response(*fields, line=line).keep_alive is keeps


# ---- answers that are refused


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 Odd",
        b"HTTP/1.1 600 Odd",
        b"HTTP/1.1 999 Odd",
        b"HTTP/1.1  200 OK",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\x7fK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/2 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"<html>",
        b"GET / HTTP/1.1",
    ],
)
def test_a_status_line_that_is_none_is_distrusted(line):
    assert "status line" in distrust(line + b"\r\n\r\n").message


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 5", CHUNKED],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: -1"],
        [b"Content-Length:"],
        [b"Content-Length: 9223372036854775808"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Content-Length : 5"],
        [b"Set-Cookie : x=y"],
        [b"x: y", b" folded"],
        [b" x: y"],
        [b"x: \x00"],
        [b"x: a\rb"],
        [b"x: a\nb: c"],
        [b"no colon"],
        [b": no name"],
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_answer_that_readers_may_frame_differently_is_distrusted(fields, method):
    distrust(b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"", b""]), method)


@pytest.mark.parametrize("line", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early Hints"])
def test_a_status_without_a_body_must_not_announce_chunks(line):
    distrust(line + b"\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_chunks_in_an_http_1_0_answer_are_distrusted():
    distrust(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_an_answers_head_has_limits_too():
    assert len(response(*[b"x: y"] * 256).headers) == 256
    assert "256" in distrust(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 257 + b"\r\n").message
    spare = FIELDS_LIMIT - len(b"x: \r\n")
    assert response(b"x: " + b"a" * spare).headers == [(b"x", b"a" * spare)]
    assert "64 KiB" in distrust(b"HTTP/1.1 200 OK\r\nx: " + b"a" * (spare + 1) + b"\r\n\r\n").message
    assert "64 KiB" in distrust(b"HTTP/1.1 200 " + b"a" * HEAD_LIMIT + b"\r\n\r\n").message


# ---- Connection


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([b"close"], {b"close"}),
        ([b"Keep-Alive, X-Own"], {b"keep-alive", b"x-own"}),
        ([b" , ,a,,\tb "], {b"a", b"b"}),
        ([b"a", b"B"], {b"a", b"b"}),
        ([b""], set()),
    ],
)
def test_the_options_of_connection_are_read_as_one_list_in_lower_case(values, options):
    assert connection_options(values) == options


def test_the_options_of_a_long_field_are_read_each_time():
    framing._options.clear()
    value = b"close, " + b"x" * 64
    assert connection_options([value]) == connection_options([value]) == {b"close", b"x" * 64}
    assert not framing._options


def test_no_more_than_256_fields_are_remembered_with_their_options():
    framing._options.clear()
    for number in range(300):
        value = b"x-%d" % number
        assert connection_options([value]) == connection_options([value]) == {value}
    assert len(framing._options) == 256
    framing._options.clear()


# ---- what outlives its message


LONG = b"Accept: " + b"x" * KEY_LIMIT


def test_a_repeated_field_section_of_a_request_is_remembered():
    framing._requests.clear()
    request(b"Accept: */*")
    assert len(framing._requests) == 1


@pytest.mark.parametrize("field", [b"Authorization: Bearer x", b"Cookie: a=b", b"X-Own-Key: x", LONG])
def test_what_may_hold_a_credential_or_is_long_outlives_no_request(field):
    framing._requests.clear()
    request(field)
    assert not framing._requests


def test_a_repeated_answers_head_is_remembered():
    framing._responses.clear()
    response(b"Content-Length: 2")
    assert len(framing._responses) == 1


@pytest.mark.parametrize("field", [b"Set-Cookie: a=b", b"X-Own-Key: x", b"Date: " + b"x" * KEY_LIMIT])
def test_what_may_hold_a_credential_or_is_long_outlives_no_answer(field):
    framing._responses.clear()
    response(b"Content-Length: 2", field)
    assert not framing._responses


# ---- what the parser of fields refuses first


def test_what_ends_a_body_twice_is_refused_without_the_parsers_help():
    with pytest.raises(BadFraming, match="repeated"):
        content_length([b"5", b"5"])
    with pytest.raises(BadFraming, match="together"):
        _request_framing({Kind.TRANSFER_ENCODING: [b"chunked"], Kind.CONTENT_LENGTH: [b"5"]}, True)


@pytest.mark.parametrize("line", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 103 Early Hints"])
def test_a_status_without_a_body_may_announce_no_more_than_an_empty_one(line):
    distrust(line + b"\r\nContent-Length: 5\r\n\r\n")
    assert response(b"Content-Length: 0", line=line).framing is NO_BODY


def test_framings_are_values():
    assert {Framing(BodyFraming.LENGTH, 5)} == {Framing(BodyFraming.LENGTH, 5)}
    assert Framing(BodyFraming.LENGTH, 5) != Framing(BodyFraming.LENGTH, 6)
