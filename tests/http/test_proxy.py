"""One request to BioT and its answer back: token, tries, relay."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.request_trace import RequestTrace
from biot_sidecar.routing.route import Authorization, Operation, Retry, Route
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeSidecar, FakeTokens

GET = b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody"
UPLOAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRACE = "00000000000000000000000000001235"


TRY = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traces(RequestTrace):
    """The trace of every request; keeps when they waited for a login."""

    def __init__(self):
        self.traceparent = TRY
        self.told = []

    def begin(self, traceparent, at, started):
        return self

    def token_awaited(self, began, ended):
        self.told.append((began, ended))

    def try_began(self, at):
        return TRY

    def try_ended(self, at, status, reason): ...


def answer(status: int, body: bytes = b"", *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d X" % status, *fields, b"Content-Length: %d" % len(body), b"", body])


def refused(code: str = "TOKEN_NOT_VALID") -> bytes:
    return answer(401, json.dumps({"code": code}).encode())


def error(raw: bytes) -> tuple[int, dict]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


async def test_a_request_goes_out_with_the_token_and_its_answer_comes_back(sidecar):
    plugin = await sidecar.ask(GET)
    assert sidecar.upstream.out == (
        b"GET /base/a?b=c HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer jwt-0\r\n"
        b"User-Agent: agent/1\r\ntraceparent: 00-" + TRACE.encode() + b"-0000000000000001-01\r\n\r\n"
    )
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.pool.released == [True]
    assert (sidecar.exchange.status, sidecar.exchange.tries, sidecar.exchange.token_result) == (200, 1, "hit")


async def test_many_requests_of_one_connection_use_one_connection_to_biot(sidecar):
    plugin = await sidecar.ask(GET)
    for _ in range(3):
        await sidecar.answer(OK)
        await plugin.say(GET)
    await sidecar.answer(OK)
    assert plugin.got == OK * 4
    assert len(sidecar.pool.dialled) == 1
    assert sidecar.exchange.reused


async def test_pipelined_requests_are_answered_in_order_one_after_the_other(sidecar):
    plugin = await sidecar.ask(GET + POST + GET)
    assert sidecar.upstream.out.count(b" HTTP/1.1") == 1
    for number in (b"1", b"2", b"3"):
        await sidecar.answer(answer(200, number))
    assert plugin.got == answer(200, b"1") + answer(200, b"2") + answer(200, b"3")


@given(st.lists(st.integers(0, len(POST) + len(GET)), max_size=8), st.lists(st.integers(0, len(OK)), max_size=5))
async def test_any_cut_between_writes_gives_the_same_as_one_write(cuts, answer_cuts):
    sidecar = FakeSidecar()
    plugin = sidecar.plugin()
    for piece in pieces(POST + GET, cuts):
        await plugin.say(piece)
    for _ in range(2):
        for piece in pieces(OK, answer_cuts):
            await sidecar.answer(piece)
    assert plugin.got == OK * 2
    assert sidecar.upstream.out.count(b"\r\n\r\nbody") == 1
    await sidecar.close()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


# ---- the token


async def test_a_request_waits_for_a_login(sidecar):
    sidecar.tokens.token = None
    await sidecar.ask(GET)
    assert b"Authorization: Bearer jwt-1\r\n" in sidecar.upstream.out
    await sidecar.answer(OK)
    assert sidecar.exchange.token_result == "wait"


async def test_a_trace_is_told_how_long_its_request_waited_for_a_login(start):
    class Slow(FakeTokens):
        async def acquire(self):
            self.clock.now += 2.5
            return await super().acquire()

    traces = Traces()
    sidecar = start(tracer=traces)
    sidecar.forwarder.tokens = sidecar.tokens = Slow(sidecar.clock)
    sidecar.tokens.token = None
    await sidecar.ask(GET)
    assert b"traceparent: " + TRY in sidecar.upstream.out
    await sidecar.answer(OK)
    assert traces.told == [(1000.0, 1002.5)]


async def test_a_login_that_takes_longer_than_the_route_allows_is_a_504(start):
    sidecar = start(Route(name="r", source="f:1", timeout=0.0))
    sidecar.tokens.token, sidecar.tokens.hangs = None, True
    plugin = await sidecar.ask(GET)
    status, body = error(plugin.got)
    assert (status, body["code"], body["traceId"]) == (504, "SIDECAR_LOGIN_TIMEOUT", TRACE)
    assert not sidecar.pool.dialled
    assert sidecar.exchange.token_result == "fail"


async def test_a_connection_that_comes_when_the_time_is_up_is_left_to_others(sidecar):
    def dial_takes_long(transport):
        sidecar.clock.now += 61.0

    sidecar.pool.on_dial = dial_takes_long
    plugin = await sidecar.ask(POST)
    assert error(plugin.got)[1]["code"] == "SIDECAR_UPSTREAM_TIMEOUT"
    assert (sidecar.upstream.out, sidecar.pool.released) == (b"", [True])
    assert sidecar.exchange.tries == 0


async def test_nobody_is_dialled_for_a_request_whose_time_is_up(start):
    sidecar = start(Route(name="r", source="f:1", timeout=0.0))
    plugin = await sidecar.ask(POST)
    assert error(plugin.got)[1]["code"] == "SIDECAR_UPSTREAM_TIMEOUT"
    assert not sidecar.pool.dialled


async def test_a_failed_login_is_its_callers_error(sidecar):
    sidecar.tokens.token = None
    sidecar.tokens.failure = LoginError(Code.LOGIN_REJECTED, "BioT refused.")
    plugin = await sidecar.ask(GET)
    assert error(plugin.got)[1]["code"] == "SIDECAR_LOGIN_REJECTED"
    assert not sidecar.pool.dialled


async def test_a_renewed_token_that_is_late_counts_as_stale(sidecar):
    sidecar.tokens.renewing = True
    await sidecar.ask(GET)
    await sidecar.answer(OK)
    assert sidecar.exchange.token_result == "stale"


async def test_a_token_that_runs_out_while_biot_is_dialled_is_not_sent(sidecar):
    tokens = sidecar.tokens

    def run_out(transport) -> None:
        tokens.ran_out.add(tokens.token)
        tokens.token = None

    sidecar.pool.on_dial = run_out
    plugin = await sidecar.ask(GET)
    assert b"Bearer jwt-1\r\n" in sidecar.upstream.out
    assert sidecar.upstream.out.count(b"Bearer") == 1
    assert len(sidecar.pool.dialled) == 1
    await sidecar.answer(OK)
    assert plugin.got == OK


async def test_a_route_without_tokens_asks_for_none(start):
    sidecar = start(Route(name="r", source="f:1", authorization=Authorization.NONE))
    sidecar.tokens.token, sidecar.tokens.hangs = None, True
    await sidecar.ask(GET)
    assert b"Authorization" not in sidecar.upstream.out


# ---- 401


@pytest.mark.parametrize("request_bytes", [GET, POST])
@pytest.mark.parametrize("first", [refused(), answer(401), answer(401, b"<html>no</html>")])
async def test_a_refused_token_is_replaced_and_the_request_sent_once_more(sidecar, request_bytes, first):
    plugin = await sidecar.ask(request_bytes)
    await sidecar.answer(first)
    assert sidecar.tokens.invalidated == [0]
    assert sidecar.upstream.out.count(b"/base/a") == 2
    assert sidecar.upstream.out.count(b"Bearer jwt-1\r\n") == 1
    assert sidecar.upstream.out.count(b"body") == 2 * (request_bytes is POST)
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert (sidecar.exchange.retries, sidecar.exchange.tries) == (("token_not_valid",), 2)


async def test_a_second_401_passes_through(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(refused())
    await sidecar.answer(refused())
    assert plugin.got == refused()
    assert sidecar.tokens.invalidated == [0]


async def test_a_route_whose_401_no_token_cures_costs_no_further_login_and_drops_no_token_for_a_pause(sidecar):
    plugin = await sidecar.ask(GET)
    for _ in range(2):
        await sidecar.answer(refused())
    for _ in range(3):
        await plugin.say(GET)
        await sidecar.answer(refused())
        assert sidecar.exchange.retries == ()
    assert plugin.got == refused() * 4
    assert (sidecar.tokens.invalidated, sidecar.tokens.logins) == ([0], 1)
    sidecar.clock.now += 1.1
    await plugin.say(GET)
    for _ in range(2):
        await sidecar.answer(refused())
    assert (sidecar.tokens.invalidated, sidecar.tokens.logins) == ([0, 1], 2)
    assert sidecar.exchange.retries == ("token_not_valid",)


async def test_any_other_answer_of_a_marked_route_clears_its_mark(sidecar):
    plugin = await sidecar.ask(GET)
    for _ in range(2):
        await sidecar.answer(refused())
    assert list(sidecar.tokens.marked) == [(b"GET", "/template")]
    sidecar.clock.now += 2
    await plugin.say(GET)
    await sidecar.answer(answer(404))
    assert not sidecar.tokens.marked


async def test_a_body_too_large_to_keep_is_not_sent_again_but_the_token_is_dropped(sidecar):
    big = b"x" * 70_000
    plugin = await sidecar.ask(b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n" + big)
    await sidecar.answer(refused())
    assert plugin.got == refused()
    assert sidecar.tokens.invalidated == [0]
    assert sidecar.exchange.tries == 1


@pytest.mark.parametrize("first", [refused("USER_LOCKED"), answer(403, b'{"code": "TOKEN_NOT_VALID"}'), answer(403)])
async def test_any_other_refusal_passes_through_and_costs_no_token(sidecar, first):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(first)
    assert plugin.got == first
    assert not sidecar.tokens.invalidated


async def test_a_public_operations_401_is_about_another_token(sidecar):
    sidecar.routes.operation = Operation("GET", "/a", "ums", True, "", None)
    plugin = await sidecar.ask(GET)
    await sidecar.answer(refused())
    assert plugin.got == refused()
    assert not sidecar.tokens.invalidated


async def test_a_401_to_the_plugins_own_token_passes_through(start):
    sidecar = start(Route(name="r", source="f:1", authorization=Authorization.KEEP))
    plugin = await sidecar.ask(GET[:-2] + b"Authorization: Bearer mine\r\n\r\n")
    await sidecar.answer(refused())
    assert plugin.got == refused()
    assert not sidecar.tokens.invalidated


async def test_a_401_that_breaks_off_is_a_502(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(refused()[:-3])
    sidecar.upstream.lose()
    await sidecar.settle()
    assert error(plugin.got)[1]["code"] == "SIDECAR_UPSTREAM_PROTOCOL"


async def test_a_401_larger_than_any_of_biots_comes_through_whole(sidecar):
    body = b'{"code": "OTHER", "x": "' + b"y" * 100_000
    post = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000
    plugin = await sidecar.ask(post)
    await sidecar.answer(answer(401, body))
    assert plugin.got == answer(401, body)


# ---- tries


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_failed_connect_is_tried_again_whatever_the_method(sidecar, method):
    sidecar.pool.failures = [errors.lost_before_sending()] * 2
    plugin = await sidecar.ask(GET.replace(b"GET", method))
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.exchange.retries == ("connect", "connect")
    assert sidecar.slept == [0.025, 0.025]


async def test_a_third_failed_connect_is_the_answer(sidecar):
    sidecar.pool.failures = [errors.lost_before_sending()] * 3
    plugin = await sidecar.ask(GET)
    assert error(plugin.got)[1]["code"] == "SIDECAR_UPSTREAM_UNREACHABLE"
    assert sidecar.exchange.tries == 0


async def test_a_get_lost_before_its_answer_is_sent_again(sidecar):
    plugin = await sidecar.ask(GET)
    sidecar.upstream.lose()
    await sidecar.settle()
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.exchange.retries == ("reset",)


async def test_a_post_lost_before_its_answer_is_never_sent_again(sidecar):
    plugin = await sidecar.ask(POST)
    sidecar.upstream.lose()
    await sidecar.settle()
    status, body = error(plugin.got)
    assert (status, body["code"]) == (502, "SIDECAR_UPSTREAM_UNREACHABLE")
    assert "may have been carried out" in body["details"]["hint"]
    assert len(sidecar.pool.dialled) == 1


async def test_a_retry_that_the_budget_withholds_is_told(sidecar):
    hints = []
    for _ in range(3):
        sidecar.pool.failures = [errors.lost_before_sending() for _ in range(3)]
        plugin = await sidecar.ask(GET)
        hints.append(error(plugin.got)[1]["details"]["hint"])
    assert ["It was not tried again" in hint for hint in hints] == [False, True, True]


async def test_a_put_that_was_lost_once_may_have_been_carried_out_though_later_tries_were_not_sent(sidecar):
    plugin = await sidecar.ask(POST.replace(b"POST", b"PUT"))
    sidecar.pool.failures = [errors.lost_before_sending() for _ in range(2)]
    sidecar.upstream.lose()
    await sidecar.settle()
    assert sidecar.exchange.retries == ("reset", "connect")
    assert "may have been carried out" in error(plugin.got)[1]["details"]["hint"]


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_get_is_sent_again_after_a_gateways_error(sidecar, status):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(answer(status, b"sorry"))
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.exchange.retries == ("status",)


@pytest.mark.parametrize(("request_bytes", "status"), [(POST, 503), (GET, 500), (GET, 429)])
async def test_other_errors_pass_through(sidecar, request_bytes, status):
    plugin = await sidecar.ask(request_bytes)
    await sidecar.answer(answer(status, b"sorry"))
    assert plugin.got == answer(status, b"sorry")


async def test_a_route_without_retries_gets_none(start):
    sidecar = start(Route(name="r", source="f:1", retry=Retry.NONE))
    plugin = await sidecar.ask(GET)
    await sidecar.answer(answer(503))
    assert plugin.got == answer(503)


async def test_retry_after_is_honoured_inside_the_timeout(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(answer(503, b"", b"Retry-After: 7"))
    assert sidecar.slept == [7.0]
    await sidecar.answer(OK)
    assert plugin.got == OK


async def test_each_try_asks_for_the_token_of_its_own_moment(sidecar):
    await sidecar.ask(GET)
    sidecar.clock.now += 3
    await sidecar.answer(answer(503, b"sorry"))
    await sidecar.answer(OK)
    first, second = sidecar.tokens.asked
    assert second == pytest.approx(first + 3 + sum(sidecar.slept))


async def test_a_retry_after_beyond_the_timeout_makes_the_503_the_answer(sidecar):
    plugin = await sidecar.ask(GET)
    late = answer(503, b"", b"Retry-After: 60")
    await sidecar.answer(late)
    assert plugin.got == late
    assert not sidecar.slept


async def test_the_budget_of_retries_is_shared(sidecar):
    answers = []
    for _ in range(5):
        sidecar.pool.resting.clear()
        plugin = await sidecar.ask(GET)
        await sidecar.answer(answer(503))
        await sidecar.answer(OK)
        answers.append(plugin.got[9:12])
    assert answers == [b"200", b"200", b"200", b"503", b"503"]


async def test_a_resting_connection_that_died_is_a_failed_connect(sidecar):
    plugin = await sidecar.ask(POST)
    await sidecar.answer(OK)
    sidecar.pool.resting[0].lost = True
    await plugin.say(POST)
    await sidecar.answer(OK)
    assert plugin.got == OK * 2
    assert sidecar.exchange.retries == ("connect",)


# ---- time


async def test_an_answer_that_does_not_come_is_a_504(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.advance(59.0)
    assert plugin.got == b""
    await sidecar.advance(2.0)
    status, body = error(plugin.got)
    assert (status, body["message"], body["traceId"]) == (504, "BioT did not answer within 60s", TRACE)
    assert sidecar.upstream.aborted


async def test_a_dial_that_takes_longer_than_the_route_allows_is_a_504(sidecar):
    sidecar.pool.unreachable = True
    plugin = await sidecar.ask(GET)
    await sidecar.advance(59.0)
    assert plugin.got == b""
    await sidecar.advance(2.0)
    assert error(plugin.got)[0] == 504


async def test_an_upload_that_moves_may_take_longer_than_the_route(sidecar):
    plugin = await sidecar.ask(UPLOAD)
    for _ in range(20):
        await sidecar.advance(20.0)
        await plugin.say(b"1\r\nx\r\n")
    await plugin.say(b"0\r\n\r\n")
    await sidecar.answer(OK)
    assert plugin.got == OK
    assert sidecar.exchange.request_bytes == 20


async def test_a_request_that_is_sent_again_gets_no_new_time(sidecar):
    plugin = await sidecar.ask(POST)
    await sidecar.advance(40.0)
    await sidecar.answer(refused())
    await sidecar.advance(15.0)
    assert plugin.got == b""
    await sidecar.advance(6.0)
    assert error(plugin.got)[0] == 504


async def test_an_upload_that_stalls_is_a_408(sidecar):
    plugin = await sidecar.ask(UPLOAD)
    for _ in range(14):
        await sidecar.advance(5.1)
    assert error(plugin.got)[1]["code"] == "SIDECAR_REQUEST_TIMEOUT"
    assert sidecar.upstream.aborted


async def test_an_upload_that_stalls_behind_its_whole_answer_is_soon_given_up(sidecar):
    plugin = await sidecar.ask(UPLOAD)
    await sidecar.answer(OK)
    assert plugin.got == OK
    await sidecar.advance(5.1)
    await sidecar.advance(5.1)
    assert sidecar.pool.released == [False]
    assert plugin.transport.ended
    assert not sidecar.exchange.cut


async def test_an_upload_that_moves_behind_its_whole_answer_is_passed_on(sidecar):
    plugin = await sidecar.ask(UPLOAD)
    await sidecar.answer(OK)
    for _ in range(20):
        await sidecar.advance(4.0)
        await plugin.say(b"1\r\nx\r\n")
    await plugin.say(b"0\r\n\r\n" + GET)
    assert sidecar.pool.released == [True]
    await sidecar.answer(OK)
    assert plugin.got == OK * 2


async def test_an_answer_that_stalls_is_cut_with_a_reset(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(answer(200, b"abcdef")[:-3])
    for _ in range(14):
        await sidecar.advance(5.1)
    assert plugin.transport.aborted
    assert sidecar.exchange.cut


# ---- answers


async def test_interim_answers_come_through_in_order(sidecar):
    plugin = await sidecar.ask(UPLOAD[:-2] + b"Expect: 100-continue\r\n\r\n")
    assert b"Expect: 100-continue\r\n" in sidecar.upstream.out
    await sidecar.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert plugin.got == b"HTTP/1.1 100 Continue\r\n\r\n"
    await plugin.say(b"0\r\n\r\n")
    await sidecar.answer(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + OK)
    assert plugin.got.endswith(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + OK)


async def test_an_http_1_0_client_gets_no_interim_answers(sidecar):
    plugin = await sidecar.ask(b"GET / HTTP/1.0\r\n\r\n")
    await sidecar.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert b"103" not in plugin.got
    assert plugin.got.endswith(b"\r\nConnection: close\r\n\r\nok")


@pytest.mark.parametrize("raw", [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33])
async def test_an_upgrade_nobody_asked_for_and_interims_without_end_are_a_502(sidecar, raw):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(raw)
    assert b"HTTP/1.1 502 Bad Gateway\r\n" in plugin.got
    assert sidecar.pool.released == [False]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\nx",
        b"\x00",
        b"HTTP/2 200\r\n\r\n",
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_a_502_and_its_connection_is_ended(sidecar, raw):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(raw)
    status, body = error(plugin.got)
    assert (status, body["code"]) == (502, "SIDECAR_UPSTREAM_PROTOCOL")
    assert sidecar.upstream.aborted


@pytest.mark.parametrize(
    ("raw", "aborted"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nshort", True),
    ],
)
async def test_a_cut_answer_never_looks_complete(sidecar, raw, aborted):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(raw)
    sidecar.upstream.lose(ConnectionResetError())
    await sidecar.settle()
    assert plugin.got.endswith(b"short" + b"\r\n" * raw.count(b"chunked"))
    assert (plugin.transport.closed, plugin.transport.aborted) == (True, aborted)
    assert sidecar.exchange.cut


async def test_chunks_that_turn_bad_cut_the_answer(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    await sidecar.answer(b"zz\r\n")
    assert plugin.got.endswith(b"1\r\na\r\n")
    assert plugin.transport.closed
    assert sidecar.upstream.aborted


async def test_a_close_delimited_answer_ends_the_clients_connection_too(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(b"HTTP/1.1 200 OK\r\n\r\nall")
    sidecar.upstream.end()
    await sidecar.settle()
    assert plugin.got == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall"
    assert plugin.transport.ended
    assert not sidecar.exchange.cut
    assert sidecar.pool.released == [False]


async def test_trailers_come_through_both_ways(sidecar):
    plugin = await sidecar.ask(UPLOAD + b"1\r\na\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\n\r\n")
    assert sidecar.upstream.out.endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
    back = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nX-Sum: 2\r\n\r\n"
    await sidecar.answer(back)
    assert plugin.got == back


async def test_an_answer_that_overtakes_its_upload_comes_through_and_the_upload_goes_on(sidecar):
    plugin = await sidecar.ask(UPLOAD + b"1\r\na\r\n")
    await sidecar.answer(OK)
    assert plugin.got == OK
    await plugin.say(b"1\r\nb\r\n0\r\n\r\n")
    assert sidecar.upstream.out.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
    assert sidecar.pool.released == [True]


async def test_an_upload_that_biot_does_not_want_ends_with_the_answer(sidecar):
    plugin = await sidecar.ask(UPLOAD + b"1\r\na\r\n")
    await sidecar.answer(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert plugin.got == b"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert plugin.transport.ended
    assert sidecar.pool.released == [False]


async def test_a_bad_chunk_in_an_upload_is_a_400_and_biot_sees_no_end_of_it(sidecar):
    plugin = await sidecar.ask(UPLOAD + b"1\r\na\r\n")
    await plugin.say(b"zz\r\n0\r\n\r\n")
    assert error(plugin.got)[1]["code"] == "SIDECAR_BAD_REQUEST"
    assert sidecar.upstream.aborted
    assert not sidecar.upstream.out.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("upload", [GET, UPLOAD + b"1\r\na\r\n"])
async def test_a_client_that_goes_away_ends_the_exchange_at_once(sidecar, upload):
    plugin = await sidecar.ask(upload)
    plugin.transport.lose()
    await sidecar.settle()
    assert sidecar.upstream.aborted
    assert sidecar.exchange.client_gone


async def test_a_slow_client_stops_the_upstream_from_sending(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(answer(200, b"x" * 100)[:-60])
    plugin.connection.pause_writing()
    assert sidecar.upstream.paused
    plugin.connection.resume_writing()
    assert not sidecar.upstream.paused
    await sidecar.answer(b"x" * 60)
    assert plugin.got == answer(200, b"x" * 100)


async def test_a_slow_upstream_stops_the_client_from_sending(sidecar):
    plugin = await sidecar.ask(UPLOAD + b"1\r\na\r\n")
    sidecar.upstream._protocol.pause_writing()
    assert plugin.transport.paused
    sidecar.upstream._protocol.resume_writing()
    assert not plugin.transport.paused


async def test_the_answer_to_head_has_no_body_whatever_its_length(sidecar):
    plugin = await sidecar.ask(GET.replace(b"GET", b"HEAD") + GET)
    await sidecar.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    await sidecar.answer(OK)
    assert plugin.got == b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + OK


# ---- what BioT may do


async def test_what_comes_before_the_request_is_no_answer_to_it(sidecar):
    sidecar.pool.on_dial = lambda transport: transport.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    plugin = await sidecar.ask(GET)
    assert plugin.got.startswith(b"HTTP/1.1 502 ")
    assert b"before the request" in plugin.got


async def test_a_head_that_never_ends_is_a_502(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 140_000)
    assert plugin.got.startswith(b"HTTP/1.1 502 ")
    assert b"64 KiB" in plugin.got


async def test_nothing_more_is_sent_to_one_who_says_no_more(sidecar):
    await sidecar.ask(GET)
    sidecar.upstream.backlog = 5
    sidecar.upstream.end()
    assert sidecar.upstream.aborted


async def test_an_answer_that_is_cut_reaches_a_slow_client_as_far_as_it_came(sidecar):
    plugin = await sidecar.ask(GET)
    plugin.transport.backlog = 5
    await sidecar.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    sidecar.upstream.lose()
    await sidecar.settle()
    assert plugin.got.endswith(b"half")
    assert not plugin.transport.closed
    plugin.transport.backlog = 0
    await sidecar.advance(1.0)
    await sidecar.advance(60.0)
    assert plugin.transport.closed
