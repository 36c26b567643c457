"""Field lines: what goes through untouched, what stops at the proxy, what is added."""

import re

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE

ADDED = {b"host", b"authorization", b"user-agent", b"traceparent"}


def plain_fields(head):
    """The field lines that are neither routing, nor ours, nor framing."""
    return [(name, value) for name, value in head.fields if name.lower() not in ADDED | {b"content-length"}]


async def arrived(house, *fields, method="GET", body=b""):
    """The head BioT saw for a request with these field lines."""
    answer = await house.ask(request(method, "/h", *fields, body=body), method)
    assert_passed_on(answer, 200)
    return house.upstream.seen("/h")[-1].head


async def test_case_order_and_duplicates_survive(house):
    head = await arrived(
        house, b"x-B: 1", b"X-a: 2", b"X-B: 3", b"ACCEPT: */*", b"x-a: 2", b"Cookie: a=1", b"cookie: b=2"
    )
    assert plain_fields(head) == [
        (b"x-B", b"1"),
        (b"X-a", b"2"),
        (b"X-B", b"3"),
        (b"ACCEPT", b"*/*"),
        (b"x-a", b"2"),
        (b"Cookie", b"a=1"),
        (b"cookie", b"b=2"),
    ]


async def test_an_answers_case_order_and_duplicates_survive_without_additions(house):
    fields = [
        (b"x-Trace", b"1"),
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"SET-COOKIE", b"b=2"),
        (b"set-cookie", b"a=3"),
        (b"ETag", b'W/"x"'),
        (b"content-ENCODING", b"gzip"),
        (b"X-Empty", b""),
    ]
    house.upstream.on("/h", response(200, *(b"%s: %s" % field for field in fields), body=b"\x1f\x8b"))
    answer = await house.get("/h")
    assert answer.fields == [*fields, (b"Content-Length", b"2")]
    assert answer.body == b"\x1f\x8b"


async def test_a_reason_phrase_survives(house):
    house.upstream.on("/h", response(200, reason=b"Fine  by m\xe9 (really)"))
    assert (await house.get("/h")).reason == b"Fine  by m\xe9 (really)"


async def test_an_empty_reason_phrase_survives(house):
    house.upstream.on("/h", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert (await house.get("/h")).head.start == b"HTTP/1.1 200 "


@pytest.mark.parametrize("status", [200, 201, 202, 206, 207, 226, 299, 300, 400, 404, 409, 418, 429, 451, 500, 599])
async def test_every_final_status_passes(house, status):
    house.upstream.on("/once/h", response(status, b"Content-Type: x/y", body=b"said"))
    assert_passed_on(await house.get("/once/h"), status, b"said")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_passed_on_and_never_followed(house, status):
    house.upstream.on("/h", response(status, b"Location: /elsewhere"))
    answer = await house.get("/h")
    assert_passed_on(answer, status)
    assert answer.head.values(b"location") == [b"/elsewhere"]
    assert len(house.upstream.requests) == 1


async def test_cookies_are_never_stored(house):
    house.upstream.on("/h", response(200, b"Set-Cookie: session=1"))
    client = await house.client()
    await client.ask(request("GET", "/h"))
    await client.ask(request("GET", "/h"))
    assert b"cookie" not in house.upstream.seen("/h")[1].head.names


ALL_HIGH = bytes(range(0x80, 0x100))


async def test_bytes_above_0x7f_in_values_survive_towards_biot(house):
    head = await arrived(house, b"X-Name: a " + ALL_HIGH + b" z")
    assert head.values(b"x-name") == [b"a " + ALL_HIGH + b" z"]


async def test_bytes_above_0x7f_in_values_survive_towards_the_plugin(house):
    house.upstream.on("/h", response(200, b"X-Name: " + ALL_HIGH))
    assert (await house.get("/h")).head.values(b"x-name") == [ALL_HIGH]


async def test_tabs_and_inner_white_space_in_values_survive(house):
    head = await arrived(house, b'X-Odd: a\tb  c,,"d\\" e"  ;')
    assert head.values(b"x-odd") == [b'a\tb  c,,"d\\" e"  ;']


async def test_empty_values_survive(house):
    head = await arrived(house, b"X-None:", b"X-Space:   ")
    assert plain_fields(head) == [(b"X-None", b""), (b"X-Space", b"")]


async def test_every_token_character_may_stand_in_a_name(house):
    name = b"!#$%&'*+-.^_`|~09azAZ"
    assert (await arrived(house, name + b": v")).values(name) == [b"v"]


async def test_nothing_is_added_but_host_authorization_user_agent_and_traceparent(house):
    head = await arrived(house)
    assert head.names == ADDED
    assert len(head.fields) == 4
    assert head.values(b"host") == [house.upstream.authority]


async def test_a_bodyless_request_gets_no_framing_fields(house):
    head = await arrived(house, method="DELETE")
    assert head.names == ADDED


async def test_a_missing_user_agent_is_added_and_a_given_one_is_kept(house):
    assert (await arrived(house)).first(b"user-agent")
    assert (await arrived(house, b"user-AGENT: PythonPlugin/1.5.6")).values(b"user-agent") == [b"PythonPlugin/1.5.6"]


async def test_a_missing_traceparent_is_added_in_the_w3c_shape(house):
    value = (await arrived(house)).first(b"traceparent")
    assert re.fullmatch(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]", value)


async def test_a_given_traceparent_is_kept_byte_for_byte(house):
    given = b"00-644a735422c8116c6f662f52adc4d153-5617eac22fd158f0-00"
    assert (await arrived(house, b"traceparent: " + given)).values(b"traceparent") == [given]


async def test_two_requests_without_traceparent_get_two_traces(house):
    first = (await arrived(house)).first(b"traceparent")
    assert (await arrived(house)).first(b"traceparent") != first


async def test_the_seeds_host_is_accepted_and_not_forwarded(house):
    answer = await house.ask(lines(b"GET /h HTTP/1.1", b"Host: lambda.aws.com"))
    assert_passed_on(answer, 200)
    assert house.upstream.seen("/h")[0].head.values(b"host") == [house.upstream.authority]


HOP_BY_HOP = [
    b"Connection: keep-alive",
    b"CONNECTION: x-named",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eA==",
    b"TE: gzip;q=0.5",
    b"Upgrade: websocket",
]


@pytest.mark.parametrize("field", HOP_BY_HOP, ids=lambda field: field.decode())
async def test_hop_by_hop_fields_stop_on_the_way_to_biot(house, field):
    head = await arrived(house, field, b"X-Stays: 1")
    assert head.names == ADDED | {b"x-stays"}


@pytest.mark.parametrize(
    "field",
    [b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Upgrade: h2c"],
    ids=lambda field: field.decode(),
)
async def test_hop_by_hop_fields_stop_on_the_way_to_the_plugin(house, field):
    house.upstream.on("/h", response(200, field, b"X-Stays: 1"))
    answer = await house.get("/h")
    assert answer.fields == [(b"X-Stays", b"1"), (b"Content-Length", b"0")]


async def test_fields_that_connection_names_stop_on_the_way_to_biot(house):
    head = await arrived(
        house,
        b"X-One: 1",
        b"connection: X-ONE , x-two,, keep-alive",
        b"x-TWO: 2",
        b"Connection: x-three",
        b"X-Three: 3",
        b"X-Four: 4",
    )
    assert head.names == ADDED | {b"x-four"}


async def test_fields_that_connection_names_stop_on_the_way_to_the_plugin(house):
    house.upstream.on("/h", response(200, b"X-One: 1", b"Connection: x-one", b"X-Two: 2"))
    answer = await house.get("/h")
    assert answer.fields == [(b"X-Two", b"2"), (b"Content-Length", b"0")]


async def test_connection_cannot_remove_what_is_ours(house):
    head = await arrived(
        house,
        b"Connection: authorization, host, user-agent, traceparent",
        b"Authorization: Bearer own",
        b"User-Agent: x",
    )
    assert head.names == ADDED
    assert head.first(b"authorization").startswith(b"Bearer ey")
    assert head.values(b"host") == [house.upstream.authority]


async def test_connection_cannot_put_our_token_in_the_place_of_the_plugins_own(house):
    fields = [b"Authorization: Bearer the-users-own", b"Connection: authorization"]
    assert_passed_on(await house.get("/keep/h", *fields), 200)
    assert_passed_on(await house.get("/keep/h", fields[1]), 200)
    own, ours = (exchange.head.values(b"authorization") for exchange in house.upstream.seen("/keep/h"))
    assert own == [b"Bearer the-users-own"]
    assert len(ours) == 1
    assert ours[0].startswith(b"Bearer ey")


@pytest.mark.parametrize("fields", [[b"TE: trailers"], [b"te: gzip, Trailers ", b"Connection: te, close"]])
async def test_that_a_plugin_takes_trailers_is_passed_on(house, fields):
    assert_passed_on(await house.get("/h", *fields), 200)
    head = house.upstream.seen("/h")[0].head
    assert head.values(b"te") == [b"trailers"]
    assert head.values(b"connection") == [b"TE"]


async def test_connection_cannot_remove_our_interception_header(house):
    answer = await house.get("/on/h", b"Connection: allow-interception, Authorization")
    assert_passed_on(answer, 200)
    assert house.upstream.requests[0].head.values(b"allow-interception") == [b"1"]
    assert house.upstream.requests[0].authorization.startswith(b"Bearer ey")


@pytest.mark.parametrize("named", [b"content-length", b"Content-Length, close"])
async def test_connection_cannot_unframe_a_body(house, named):
    answer = await house.ask(
        request("POST", "/h", b"Connection: " + named, body=b"GET /smuggled HTTP/1.1\r\n\r\n"), "POST"
    )
    await house.fence()
    assert house.upstream.seen("/smuggled") == []
    if answer.status == 200:
        assert house.upstream.seen("/h")[0].content == b"GET /smuggled HTTP/1.1\r\n\r\n"
    else:
        assert_ours(answer, 400, "SIDECAR_BAD_REQUEST")


async def test_connection_cannot_unframe_a_chunked_body(house):
    raw = lines(
        b"POST /h HTTP/1.1", b"Host: 127.0.0.1", b"Connection: transfer-encoding", b"Transfer-Encoding: chunked"
    )
    answer = await house.ask(raw + chunked(b"abc"))
    if answer.status == 200:
        assert house.upstream.seen("/h")[0].content == b"abc"
    else:
        assert_ours(answer, 400, "SIDECAR_BAD_REQUEST")


async def test_connection_cannot_unframe_an_answer(house):
    house.upstream.on("/h", response(200, b"Connection: content-length", body=b"whole"))
    answer = await house.ask(request("POST", "/h", body=b"x"))
    if answer.status != 502:
        assert_passed_on(answer, 200, b"whole")


async def test_forwarding_fields_of_the_plugin_pass_and_none_are_made(house):
    head = await arrived(house, b"X-Forwarded-For: 10.0.0.1", b"Via: 1.1 plugin", b"Forwarded: for=x")
    assert plain_fields(head) == [
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"Via", b"1.1 plugin"),
        (b"Forwarded", b"for=x"),
    ]


async def test_white_space_around_values_is_no_part_of_them(house):
    assert (await arrived(house, b"X-Pad: \t v \t ")).values(b"x-pad") == [b"v"]


async def test_fields_of_one_request_never_show_in_the_next(house):
    client = await house.client()
    await client.ask(request("GET", "/h", b"X-Mine: 1", b"allow-interception: 1"))
    await client.ask(request("GET", "/h"))
    assert house.upstream.seen("/h")[1].head.names == ADDED
