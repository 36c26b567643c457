"""Which fields go on, which stop, and what we say ourselves."""

from __future__ import annotations

import pytest
from biot_sidecar.auth.placeholder import placeholder_answer
from biot_sidecar.http.header_rules import (
    interception_action,
    looks_false,
    request_lines,
    request_start,
    response_bytes,
    safe_trailers,
    sends_service_token,
)
from biot_sidecar.http.retry_after import asked_pause
from biot_sidecar.routing.route import Authorization, Interception, Route
from hypothesis import given
from hypothesis import strategies as st

from tests.http.heads import request, response

AGENT = b"biot-sidecar/1"
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADDED = [b"User-Agent: " + AGENT, b"traceparent: " + TRACE]
PLACEHOLDER = b"Bearer " + placeholder_answer(0.0).split(b'"')[3]
HOP_BY_HOP = [
    b"Connection: close",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Authorization: Basic eA==",
    b"TE: gzip, trailers;q=0.5",
    b"Upgrade: websocket",
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
]


def route(interception: Interception = Interception.OFF, authorization: Authorization = Authorization.REPLACE) -> Route:
    return Route(name="r", source="f:1", interception=interception, authorization=authorization)


def sent(*fields: bytes, by: Route | None = None, line: bytes = b"GET / HTTP/1.1") -> list[bytes]:
    """The field lines that go on to BioT."""
    return request_lines(request(*fields, line=line), by or route(), AGENT, TRACE).split(b"\r\n")


def answered(*fields: bytes, is_http11: bool = True, close: bool = False) -> list[bytes]:
    """The lines of an answer's head as the client gets it."""
    return response_bytes(response(*fields), is_http11=is_http11, close=close).split(b"\r\n")[:-2]


def test_one_answers_head_serves_clients_of_every_kind_in_turn():
    head = response(b"A: 1", b"Transfer-Encoding: chunked")
    ways = [
        {"is_http11": True, "close": False},
        {"is_http11": True, "close": True},
        {"is_http11": False, "close": True},
    ]
    ways.append({"is_http11": True, "close": False, "chunk": True})
    alone = [response_bytes(response(b"A: 1", b"Transfer-Encoding: chunked"), **way) for way in ways]
    assert [response_bytes(head, **way) for way in [*ways, *reversed(ways)]] == [*alone, *reversed(alone)]


# ---- white space around values (RFC 9110, section 5.5)


def test_white_space_around_a_value_is_no_part_of_what_it_means_and_goes_on_as_it_came():
    head = request(b"Accept: \t a b \t", b"Origin:http://a ", b"Connection: close\t", b"X:")
    assert head.headers == [(b"Host", b"localhost"), *zip(
        [b"Accept", b"Origin", b"Connection", b"X"], [b"a b", b"http://a", b"close", b""], strict=True
    )]  # fmt: skip
    assert not head.keep_alive
    assert head.field_lines == [b"Accept: a b \t", b"Origin: http://a ", b"X: "]
    answer = response(b"Retry-After: 1 ", b"Content-Encoding: gzip\t", b"Content-Length: 0 ")
    assert asked_pause(answer.headers, 0.0) == 1.0
    assert answer.headers[1:] == [(b"Content-Encoding", b"gzip"), (b"Content-Length", b"0")]
    assert answer.field_lines == [b"Retry-After: 1 ", b"Content-Encoding: gzip\t", b"Content-Length: 0"]


@pytest.mark.parametrize("by", [route(), route(authorization=Authorization.KEEP)], ids=["replace", "keep"])
@pytest.mark.parametrize("field", [b"transfer-ENCODING: chunked", b"Content-LENGTH: 3"])
def test_what_frames_a_message_goes_on_without_white_space_that_some_would_stumble_over(field, by):
    name, _, value = field.partition(b": ")
    sloppy = name + b":\t" + value + b" \t"
    assert sent(sloppy, b"Authorization: x", by=by, line=b"POST / HTTP/1.1")[0] == field
    assert answered(sloppy)[1:] == [field]


# ---- towards BioT


def test_plain_fields_go_on_in_their_order_and_case_with_their_duplicates():
    fields = [b"X-b: 2", b"x-A: 1", b"X-b: \xff\x80", b"Cookie: a=b", b"Cookie: c=d", b"Accept-Encoding: br"]
    assert sent(*fields) == fields + ADDED


def test_a_user_agent_and_a_traceparent_of_the_plugins_own_are_kept():
    fields = [b"user-agent: curl", b"TraceParent: " + TRACE]
    assert sent(*fields) == fields


def test_a_traceparent_that_is_not_valid_gives_way_to_one_that_is():
    assert sent(b"TraceParent: junk", b"X: 1", b"traceparent:") == [b"X: 1", *ADDED]


def test_of_several_traceparents_a_valid_one_keeps_them_all():
    fields = [b"User-Agent: curl", b"traceparent: junk", b"traceparent: " + TRACE]
    assert sent(*fields) == fields


@pytest.mark.parametrize("empty", [b"User-Agent:", b"User-Agent: \t"])
def test_an_empty_user_agent_counts_as_missing(empty):
    assert sent(empty) == [b"traceparent: " + TRACE, *ADDED[:1]] or sent(empty) == ADDED


@pytest.mark.parametrize("field", HOP_BY_HOP, ids=lambda field: field.partition(b":")[0].decode())
def test_what_belongs_to_one_connection_goes_no_further_either_way(field):
    name, _, value = field.partition(b":")
    assert sent(field) == ADDED
    assert sent(name.upper() + b":" + value) == ADDED
    assert answered(field) == [b"HTTP/1.1 200 OK"]


def test_what_connection_names_goes_no_further_either_way():
    fields = [b"X-Own: 1", b"x-own: 2", b"X-Other: 3", b"Connection: X-OWN, close"]
    assert sent(*fields) == [b"X-Other: 3", *ADDED]
    assert answered(*fields) == [b"HTTP/1.1 200 OK", b"X-Other: 3"]


@pytest.mark.parametrize(
    "name", [b"authorization", b"allow-interception", b"host", b"user-agent", b"traceparent", b"content-length"]
)
def test_connection_cannot_remove_what_we_say(name):
    by = route(Interception.ON)
    fields = [b"User-Agent: curl", b"Content-Length: 0", b"Connection: " + name]
    lines = sent(*fields, by=by, line=b"POST / HTTP/1.1")
    assert b"Content-Length: 0" in lines
    assert b"allow-interception: 1" in lines
    assert sum(line.lower().startswith(b"user-agent:") for line in lines) == 1
    assert sum(line.startswith(b"traceparent:") for line in lines) == 1


@pytest.mark.parametrize("te", [b"TE: trailers", b"te:gzip;q=0.5 , TRAILERS ", b"TE: trailers, trailers"])
@pytest.mark.parametrize("named", [[], [b"Connection: TE"], [b"Connection: close, te"]])
def test_that_trailers_are_wanted_is_said_on_every_connection(te, named):
    assert sent(te, *named) == [*ADDED, b"TE: trailers", b"Connection: TE"]
    assert answered(te, *named) == [b"HTTP/1.1 200 OK"]


def test_an_http_1_0_client_gets_no_trailers_whatever_it_says():
    assert sent(b"TE: trailers", line=b"GET / HTTP/1.0") == ADDED


def test_tracestate_goes_with_a_traceparent_that_was_made_anew():
    state = [b"tracestate: a=1", b"TraceState: b=2"]
    assert sent(*state) == ADDED
    assert sent(b"traceparent: junk", *state) == ADDED
    assert sent(b"User-Agent: c", b"traceparent: " + TRACE, *state) == [
        b"User-Agent: c",
        b"traceparent: " + TRACE,
        *state,
    ]
    named = [b"traceparent: " + TRACE, b"Connection: traceparent", *state]
    assert sent(*named) == [*state, *ADDED]


def test_tracestate_goes_on_with_another_span_of_its_trace():
    """A span of the sidecar's own takes the caller's place in traceparent alone (W3C Trace Context, section 4.3)."""
    ours = TRACE[:36] + b"1" * 16 + b"-01"
    head = request(b"User-Agent: c", b"traceparent: junk", b"tracestate: a=1", b"traceparent: " + TRACE)
    lines = request_lines(head, route(), b"ours", ours).split(b"\r\n")
    assert lines == [b"User-Agent: c", b"tracestate: a=1", b"traceparent: " + ours]


def test_what_a_rule_lets_the_plugin_say_keeps_its_place_and_bytes_whatever_connection_says():
    by = route(Interception.CLIENT, Authorization.KEEP)
    fields = [
        b"A: 1",
        b"authorization: Bearer own ",
        b"B: 2\t",
        b"Allow-Interception: yes",
        b"allow-interception: null ",
    ]
    own = [*fields[:4], *ADDED]
    assert sent(*fields, by=by) == own
    assert sent(*fields, b"Connection: Authorization, allow-interception", by=by) == own
    assert sent(*fields, b"Connection: authorization", by=route()) == [b"A: 1", b"B: 2\t", *ADDED]


def test_connection_cannot_hide_how_a_body_is_framed():
    fields = [b"Transfer-Encoding: chunked", b"Connection: transfer-encoding"]
    assert b"Transfer-Encoding: chunked" in sent(*fields, line=b"POST / HTTP/1.1")
    assert b"Transfer-Encoding: chunked" in answered(*fields)


@pytest.mark.parametrize(
    "name",
    [
        b"allow_interception",
        b"Allow_Interception",
        b"allow.interception",
        b"Allow~Interception",
        b"ALLOW!INTERCEPTION",
        b"content_length",
        b"Transfer_Encoding",
        b"transfer.encoding",
    ],
)
def test_a_name_that_a_lenient_server_reads_as_one_of_ours_does_not_go_through(name):
    assert sent(name + b": 1") == ADDED


@pytest.mark.parametrize("name", [b"allow-interceptions", b"x-authorization", b"user_agent", b"allowinterception"])
def test_a_name_that_is_merely_alike_goes_through(name):
    assert name + b": 1" in sent(name + b": 1")


@pytest.mark.parametrize("authorization", Authorization)
@pytest.mark.parametrize("interception", Interception)
def test_the_clients_host_never_goes_on(authorization, interception):
    lines = sent(b"X: 1", by=route(interception, authorization))
    assert not [line for line in lines if line.lower().startswith(b"host")]


def test_nothing_tells_that_the_request_was_forwarded():
    names = {line.partition(b":")[0].lower() for line in sent()}
    assert names == {b"user-agent", b"traceparent"}


# ---- interception


@pytest.mark.parametrize(
    ("mode", "values", "goes_on", "action"),
    [
        (Interception.OFF, [], [], "none"),
        (Interception.OFF, [b"1"], [], "removed"),
        (Interception.OFF, [b"true", b"null"], [], "removed"),
        (Interception.ON, [], [b"1"], "set"),
        (Interception.ON, [b"true"], [b"1"], "set"),
        (Interception.ON, [b"null", b"x"], [b"1"], "set"),
        (Interception.CLIENT, [], [], "none"),
        (Interception.CLIENT, [b"1"], [b"1"], "passed"),
        (Interception.CLIENT, [b"false"], [b"false"], "passed"),
        (Interception.CLIENT, [b"null"], [], "removed"),
        (Interception.CLIENT, [b"NULL"], [], "removed"),
        (Interception.CLIENT, [b""], [], "removed"),
        (Interception.CLIENT, [b"null", b"1"], [b"1"], "passed"),
    ],
)
@pytest.mark.parametrize("name", [b"allow-interception", b"Allow-Interception", b"ALLOW-INTERCEPTION"])
@pytest.mark.parametrize("authorization", [Authorization.REPLACE, Authorization.KEEP])
def test_interception_is_what_the_rule_says(mode, values, goes_on, action, name, authorization):
    head = request(*(name + b": " + value for value in values))
    lines = request_lines(head, route(mode, authorization), AGENT, TRACE).split(b"\r\n")
    found = [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"allow-interception:")]
    assert found == goes_on
    assert interception_action(route(mode), values or None) == action


@pytest.mark.parametrize(
    ("value", "seems_off"), [(b"false", True), (b"0", True), (b"No", True), (b"OFF", True), (b"1", False)]
)
def test_a_false_looking_value_is_noticed(value, seems_off):
    assert looks_false([value]) is seems_off


# ---- authorization


@pytest.mark.parametrize(
    ("mode", "values", "own", "goes_on"),
    [
        (Authorization.REPLACE, [], True, []),
        (Authorization.REPLACE, [b"Bearer mine"], True, []),
        (Authorization.KEEP, [], True, []),
        (Authorization.KEEP, [b"Bearer mine"], False, [b"Bearer mine"]),
        (Authorization.KEEP, [b"Basic x", b"Bearer y"], False, [b"Basic x", b"Bearer y"]),
        (Authorization.KEEP, [b""], False, [b""]),
        (Authorization.KEEP, [PLACEHOLDER], True, []),
        (Authorization.NONE, [], False, []),
        (Authorization.NONE, [b"Bearer mine"], False, []),
    ],
)
def test_authorization_is_whose_the_rule_says(mode, values, own, goes_on):
    head = request(*(b"AUTHORIZATION: " + value for value in values))
    by = route(authorization=mode)
    lines = request_lines(head, by, AGENT, TRACE).split(b"\r\n")
    assert sends_service_token(by, values or None) is own
    assert [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"authorization:")] == goes_on


def test_the_request_line_and_host_are_the_upstreams():
    head = request(line=b"PATCH /a?b HTTP/1.0")
    assert request_start(head, b"/prefix/a?b", b"api.example") == b"PATCH /prefix/a?b HTTP/1.1\r\nHost: api.example\r\n"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x", b"Authorization", b"aLLow-interception", b"allow_interception", b"Host_", b"TE"]),
            st.sampled_from([b"1", b"null", b"", b"Bearer z"]),
        ),
        max_size=8,
    ),
    st.sampled_from(Interception),
    st.sampled_from(Authorization),
    st.lists(st.sampled_from([b"x", b"authorization", b"allow-interception", b"close"]), max_size=3),
)
def test_whatever_is_sent_no_field_of_ours_is_doubled_or_let_through(fields, interception, authorization, options):
    by = route(interception, authorization)
    lines = sent(*(b"%b: %b" % field for field in fields), b"Connection: " + b",".join(options), by=by)
    names = [line.partition(b":")[0] for line in lines]
    lowered = [name.lower() for name in names]
    assert b"allow_interception" not in lowered
    assert b"connection" not in lowered
    assert b"te" not in lowered
    if interception is Interception.OFF:
        assert b"allow-interception" not in lowered
    if interception is Interception.ON:
        assert lowered.count(b"allow-interception") == 1
    if authorization is not Authorization.KEEP:
        assert b"authorization" not in lowered


# ---- towards the plugin


def test_an_answer_comes_back_without_additions():
    fields = [b"set-cookie: a", b"Set-Cookie: b", b"Content-Length: 0", b"X: \xff", b"Server: nginx"]
    assert answered(*fields) == [b"HTTP/1.1 200 OK", *fields]


def test_an_answers_reason_is_kept_and_its_version_is_ours():
    raw = response_bytes(response(line=b"HTTP/1.0 404 Nicht \xe4"), is_http11=True, close=False)
    assert raw == b"HTTP/1.1 404 Nicht \xe4\r\n\r\n"


def test_an_http_1_0_client_hears_of_no_chunks():
    assert answered(b"Transfer-Encoding: chunked", is_http11=False) == [b"HTTP/1.1 200 OK"]


def test_the_end_of_the_connection_is_announced():
    assert answered(close=True) == [b"HTTP/1.1 200 OK", b"Connection: close"]


def test_aliases_stand_in_answers_for_nobody():
    assert b"allow_interception: 1" in answered(b"allow_interception: 1")


# ---- trailers


@pytest.mark.parametrize(
    "name",
    [
        b"Authorization",
        b"allow-interception",
        b"allow_interception",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Host",
        b"Connection",
        b"Expect",
        b"TE",
    ],
)
def test_a_trailer_carries_nothing_that_frames_routes_or_authorizes(name):
    assert safe_trailers([(name, b"1"), (b"x-sum", b"2")]) == [(b"x-sum", b"2")]
