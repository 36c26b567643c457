"""A client's connection: heads, refusals, places, pages, the plugin's own login, and the end."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from biot_sidecar.auth.token import Token
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http import in_flight_slots as slots
from biot_sidecar.http.server import Limits
from biot_sidecar.routing.local_paths import LOGIN_PATH
from biot_sidecar.routing.route import Authorization, Interception, Operation, Route, Verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import ROUTE, FakeSidecar

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = GET[:-2] + b"traceparent: 00-" + TRACE + b"-00f067aa0ba902b7-01\r\n\r\n"
LOGIN_BODY = b'{"id":"x","secretKey":"y"}'
LOGIN = b"POST /ums/v2/services/accessToken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 26\r\n\r\n" + LOGIN_BODY
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def error(raw: bytes) -> tuple[int, str]:
    """Status and code of an answer of our own."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"Proxy-Status: biot-sidecar; error=" in head
    return int(head.split(b" ")[1]), json.loads(body)["code"]


# ---- refusals


@pytest.mark.parametrize(
    ("raw", "status", "code", "reason"),
    [
        (b"GET / HTTP/2.0\r\n\r\n", 400, "SIDECAR_BAD_REQUEST", "framing"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "SIDECAR_BAD_REQUEST", "framing"),
        (b"GET /\n", 400, "SIDECAR_BAD_REQUEST", "framing"),
        (b"\x16\x03\x01", 400, "SIDECAR_BAD_REQUEST", "framing"),
        (b"\r\n" * 10, 400, "SIDECAR_BAD_REQUEST", "framing"),
        (b"a" * 70_000, 414, "SIDECAR_HEAD_TOO_LARGE", "limit"),
        (b"GET / HTTP/1.1\r\n" + b"a" * 70_000, 431, "SIDECAR_HEAD_TOO_LARGE", "limit"),
        (b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n", 421, "SIDECAR_HOST_REFUSED", "host"),
        (GET[:-2] + b"Origin: null\r\n\r\n", 403, "SIDECAR_BROWSER_REFUSED", "browser"),
        (GET.replace(b"GET", b"TRACE"), 405, "SIDECAR_METHOD_REFUSED", "method"),
        (GET.replace(b"/a", b"/_sidecar/x"), 404, "SIDECAR_NOT_FOUND", "path"),
        (GET.replace(b"GET /a", b"DELETE /_sidecar/x"), 404, "SIDECAR_NOT_FOUND", "path"),
        (HEALTH.replace(b"GET", b"POST"), 405, "SIDECAR_METHOD_REFUSED", "method"),
    ],
)
async def test_a_refused_request_gets_its_error_and_biot_hears_nothing(sidecar, raw, status, code, reason):
    plugin = await sidecar.ask(raw)
    assert error(plugin.got) == (status, code)
    assert sidecar.exchange.refused == reason
    assert not sidecar.pool.dialled


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_the_body_of_an_answer_of_our_own_counts_as_those_of_biot_do(sidecar, method):
    sidecar.routes.deny = "no"
    plugin = await sidecar.ask(GET.replace(b"GET", method))
    assert sidecar.exchange.response_bytes == len(plugin.got.partition(b"\r\n\r\n")[2])
    assert bool(sidecar.exchange.response_bytes) is (method == b"GET")


async def test_after_ambiguous_bytes_the_connection_ends_and_what_follows_is_not_read(sidecar):
    plugin = await sidecar.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\n" + GET)
    assert plugin.got.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in plugin.got
    assert plugin.transport.ended
    await sidecar.advance(3.0)
    assert plugin.transport.closed
    assert not sidecar.pool.dialled


async def test_after_a_refusal_that_is_clear_the_connection_goes_on(sidecar):
    plugin = await sidecar.ask(GET.replace(b"GET", b"TRACE") + GET)
    await sidecar.answer(OK)
    assert plugin.got.endswith(OK)


@pytest.mark.parametrize(
    ("field", "status", "code"), [("deny", 403, "SIDECAR_ROUTE_DENIED"), ("path_refused", 400, "SIDECAR_PATH_REFUSED")]
)
async def test_what_the_rules_refuse_is_not_forwarded(sidecar, field, status, code):
    setattr(sidecar.routes, field, "because")
    plugin = await sidecar.ask(GET)
    assert error(plugin.got) == (status, code)
    assert b"because" in plugin.got
    assert b'"route": "a rule"' in plugin.got
    assert not sidecar.pool.dialled


async def test_an_error_carries_the_trace_id_of_its_request(sidecar):
    sidecar.routes.deny = "no"
    plugin = await sidecar.ask(TRACED)
    assert json.loads(plugin.got.partition(b"\r\n\r\n")[2])["traceId"] == TRACE.decode()


@pytest.mark.parametrize("bad", [b"junk", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"])
async def test_an_error_of_a_request_without_a_valid_traceparent_gets_a_trace_id_of_ours(sidecar, bad):
    sidecar.routes.deny = "no"
    plugin = await sidecar.ask(GET[:-2] + b"traceparent: " + bad + b"\r\n\r\n")
    assert json.loads(plugin.got.partition(b"\r\n\r\n")[2])["traceId"] == "1235".zfill(32)


async def test_an_error_to_head_has_no_body(sidecar):
    sidecar.routes.deny = "no"
    plugin = await sidecar.ask(GET.replace(b"GET", b"HEAD"))
    assert plugin.got.endswith(b"\r\n\r\n")
    assert b"HTTP/1.1 403 Forbidden\r\n" in plugin.got


async def test_a_client_that_is_gone_by_the_time_of_its_refusal_is_told_nothing(sidecar):
    plugin = sidecar.plugin()

    def verdict(method, target):
        plugin.transport.lose()
        return Verdict(ROUTE, "/template", None, "because", None)

    sidecar.routes.verdict = verdict
    await sidecar.settle()
    await plugin.say(GET)
    assert plugin.got == b""
    assert (sidecar.exchange.code, sidecar.exchange.status) == (Code.ROUTE_DENIED, 0)


# ---- heads and time


async def test_a_few_empty_lines_before_a_request_are_ignored(sidecar):
    plugin = await sidecar.ask(b"\r\n\r\n" + GET)
    await sidecar.answer(OK)
    assert plugin.got == OK


async def test_a_head_that_does_not_end_in_time_is_a_408(sidecar):
    plugin = await sidecar.ask(GET[:10])
    for _ in range(3):
        await sidecar.advance(3.0)
        await plugin.say(b"a")
    assert plugin.got == b""
    await sidecar.advance(2.0)
    assert error(plugin.got) == (408, "SIDECAR_REQUEST_TIMEOUT")


async def test_a_connection_that_says_nothing_is_closed_without_a_word(sidecar):
    plugin = sidecar.plugin()
    await sidecar.settle()
    await sidecar.advance(11.0)
    assert plugin.transport.ended
    assert plugin.got == b""
    assert not sidecar.watch.exchanges


async def test_a_connection_may_rest_between_requests(sidecar):
    plugin = await sidecar.ask(GET)
    await sidecar.answer(OK)
    await sidecar.advance(3000.0)
    await plugin.say(GET)
    await sidecar.answer(OK)
    assert plugin.got == OK * 2


async def test_a_client_that_goes_away_before_its_head_ended_leaves_no_exchange(sidecar):
    plugin = await sidecar.ask(GET[:10])
    plugin.transport.lose()
    await sidecar.settle()
    assert not sidecar.watch.exchanges


# ---- places


def crowded(start):
    return start(limits=Limits(in_flight_requests=1))


async def test_a_request_beyond_the_limit_waits_for_a_place(start):
    sidecar = crowded(start)
    first = await sidecar.ask(GET)
    second = await sidecar.ask(GET)
    assert len(sidecar.pool.dialled) == 1
    await sidecar.answer(OK)
    await sidecar.answer(OK)
    assert (first.got, second.got) == (OK, OK)


@pytest.mark.interpreted("sets a constant, which the compiler has put where it is used")
async def test_a_request_that_waits_too_long_for_a_place_is_a_503(start, monkeypatch):
    monkeypatch.setattr(slots, "QUEUE_TIME", 0.0)
    sidecar = crowded(start)
    await sidecar.ask(GET)
    second = await sidecar.ask(GET)
    assert error(second.got) == (503, "SIDECAR_OVERLOADED")
    assert b"Retry-After: 1\r\n" in second.got
    assert sidecar.exchange.refused == "overload"


async def test_a_request_waits_for_a_place_no_longer_than_its_own_timeout():
    one = slots.Slots(1, lambda: True)
    await one.take(False)
    with pytest.raises(ClientError) as raised:
        await one.take(False, 0.001)
    assert raised.value.message == "1 requests are in flight and none ended within 0.001s."
    one.leave()
    assert one.taken == 0


async def test_a_request_whose_time_is_up_when_its_turn_comes_is_not_sent(start):
    sidecar = crowded(start)
    await sidecar.ask(GET)
    second = await sidecar.ask(GET)
    sidecar.clock.now += 61.0  # more than the route's timeout
    await sidecar.answer(OK)
    assert error(second.got) == (504, "SIDECAR_UPSTREAM_TIMEOUT")
    assert (len(sidecar.pool.dialled), sidecar.pool.dialled[0].out.count(b"GET ")) == (1, 1)


async def test_the_sidecars_own_pages_need_no_place(start):
    sidecar = crowded(start)
    await sidecar.ask(GET)
    plugin = await sidecar.ask(HEALTH)
    assert plugin.got.endswith(b"\r\n\r\nok\n")


async def test_a_place_given_to_one_who_has_just_left_goes_to_the_next(start):
    sidecar = crowded(start)
    first = await sidecar.ask(GET)
    second, third = await sidecar.ask(GET), await sidecar.ask(GET)
    first.transport.lose()
    second.transport.lose()
    await sidecar.settle()
    await sidecar.answer(OK)
    assert third.got == OK


async def test_a_place_given_to_one_who_leaves_in_that_moment_is_given_back():
    one = slots.Slots(1, lambda: True)
    await one.take(False)
    waiting = asyncio.ensure_future(one.take(False))
    await asyncio.sleep(0)
    one.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert one.taken == 0


async def test_those_that_wait_for_a_token_leave_a_quarter_of_the_places_to_those_that_need_none(start):
    sidecar = start(limits=Limits(in_flight_requests=8))
    sidecar.tokens.token, sidecar.tokens.hangs = None, True
    waiting = [await sidecar.ask(GET) for _ in range(20)]
    assert sidecar.handler._slots.taken == 6
    sidecar.routes.route = Route(name="no token", source="f:1", authorization=Authorization.NONE)
    for _ in range(3):  # one leaves its place to nobody who would wait for a token
        plugin = await sidecar.ask(GET)
        await sidecar.answer(OK)
        assert plugin.got == OK
        assert sidecar.handler._slots.taken == 6
    waiting[0].transport.lose()
    await sidecar.settle()
    assert sidecar.handler._slots.taken == 6  # the next in their own queue has it


async def test_when_the_token_comes_those_that_queued_for_it_have_every_place(start):
    sidecar = start(limits=Limits(in_flight_requests=8))
    sidecar.tokens.token, sidecar.tokens.hangs = None, True
    waiting = [await sidecar.ask(GET) for _ in range(7)]
    sidecar.tokens.token, sidecar.tokens.hangs = Token("jwt", 0.0, 1e12, 7), False
    waiting[0].transport.lose()
    await sidecar.settle()
    await sidecar.answer(OK)
    assert waiting[6].got == OK


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "leave", "settle", "hurry"]), st.integers(0, 9)), max_size=40
)


@given(STEPS)
@settings(max_examples=60)
async def test_no_place_is_ever_lost_whoever_leaves_when(steps):
    sidecar = FakeSidecar(limits=Limits(in_flight_requests=2))
    plugins = []
    for step, number in steps:
        if step == "ask":
            plugin = sidecar.plugin()
            plugins.append(plugin)
            plugin.transport.say(GET)
        elif step == "leave" and plugins:
            plugins[number % len(plugins)].transport.lose()
        elif step == "answer" and sidecar.pool.dialled:
            sidecar.pool.dialled[number % len(sidecar.pool.dialled)].say(OK)
        elif step == "hurry":
            await asyncio.sleep(0)
        else:
            await sidecar.settle()
        assert 0 <= sidecar.handler._slots.taken <= 2
    for plugin in plugins:
        plugin.transport.lose()
    await sidecar.settle()
    asked = [len(upstream.out) for upstream in sidecar.pool.dialled]
    last = await sidecar.ask(GET)
    # On a new connection, or on one that rests in the pool.
    before = itertools.chain(asked, itertools.repeat(0))
    next(one for one, sent in zip(sidecar.pool.dialled, before, strict=False) if len(one.out) > sent).say(OK)
    await sidecar.settle()
    assert last.got == OK
    await sidecar.close()


# ---- pages


async def test_one_who_asks_much_at_once_does_not_hold_up_others(sidecar):
    greedy, other = sidecar.plugin(), sidecar.plugin()
    await sidecar.settle()
    greedy.transport.say(HEALTH * 100)
    other.transport.say(HEALTH)
    for _ in range(5):
        await asyncio.sleep(0)
    assert other.got.endswith(b"ok\n")
    assert greedy.got.count(b"ok\n") < 10


async def test_a_resting_connection_holds_nothing_of_its_last_request(sidecar):
    await sidecar.ask(GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 4\r\n\r\nbody")
    (connection,) = sidecar.listener._connections.values()
    assert connection.replay_buffer
    await sidecar.answer(OK)
    assert (connection.raw_head, connection.replay_buffer, connection.leftover) == (None, None, b"")


async def test_a_page_is_answered_here_and_counted_nowhere(sidecar):
    plugin = await sidecar.ask(HEALTH * 2)
    assert plugin.got.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert not sidecar.watch.exchanges
    assert not sidecar.routes.asked


async def test_a_page_needs_an_allowed_host_too(sidecar):
    plugin = await sidecar.ask(HEALTH.replace(b"localhost", b"evil"))
    assert error(plugin.got) == (421, "SIDECAR_HOST_REFUSED")


async def test_an_admin_listener_shows_its_pages_and_forwards_nothing(start):
    sidecar = start(forwards=False)
    for place in (b"/a", b"/_sidecar/x"):
        plugin = await sidecar.ask(GET.replace(b"/a", place))
        assert error(plugin.got) == (404, "SIDECAR_NOT_FOUND")
        assert b"admin" in plugin.got
    asking = await sidecar.ask(HEALTH)
    assert asking.got.endswith(b"ok\n")
    sidecar.handler.drain()
    await asking.say(HEALTH)
    assert b"Connection: close\r\n" in asking.got.partition(b"ok\n")[2]


# ---- the plugin's own login


def with_login(sidecar):
    sidecar.routes.operation = Operation("POST", LOGIN_PATH, "ums", True, "", None)
    return sidecar


@pytest.mark.parametrize("cut", [len(LOGIN), len(LOGIN) - 10])
async def test_a_plugins_login_is_answered_here_with_a_placeholder(start, cut):
    sidecar = with_login(start(plugin_login="local"))
    plugin = await sidecar.ask(LOGIN[:cut])
    await plugin.say(LOGIN[cut:] + LOGIN if cut < len(LOGIN) else LOGIN)
    assert plugin.got.count(b'"accessToken": "') == 2
    assert not sidecar.pool.dialled
    assert sidecar.exchange.request_bytes == len(LOGIN_BODY)
    assert sidecar.exchange.response_bytes == len(plugin.got.rpartition(b"\r\n\r\n")[2])


async def test_a_plugins_login_that_asks_first_whether_to_send_its_body_is_told_to(start):
    sidecar = with_login(start(plugin_login="local"))
    head, _, body = LOGIN.partition(b"\r\n\r\n")
    plugin = await sidecar.ask(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert plugin.got == b"HTTP/1.1 100 Continue\r\n\r\n"
    await plugin.say(body)
    assert plugin.got.count(b'"accessToken": "') == 1


async def test_a_plugins_login_that_sends_its_body_unasked_is_not_told_to(start):
    sidecar = with_login(start(plugin_login="local"))
    plugin = await sidecar.ask(LOGIN.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert plugin.got.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_deadline_that_passes_as_an_answer_comes_does_not_end_the_connection(sidecar):
    plugin = await sidecar.ask(GET)
    sidecar.clock.now += 59.0
    plugin.connection.wakeup.expired = True
    await sidecar.answer(OK)
    await plugin.say(GET)
    await sidecar.answer(OK)
    assert plugin.got == OK * 2


async def test_a_plugins_login_that_stalls_is_a_408(start):
    sidecar = with_login(start(plugin_login="local"))
    plugin = await sidecar.ask(LOGIN[:-10])
    await sidecar.advance(11.0)
    assert error(plugin.got) == (408, "SIDECAR_REQUEST_TIMEOUT")


async def test_a_plugins_login_with_a_bad_body_is_a_400(start):
    sidecar = with_login(start(plugin_login="local"))
    plugin = await sidecar.ask(LOGIN.replace(b"Content-Length: 26", b"Transfer-Encoding: chunked") + b"\r\n")
    assert error(plugin.got) == (400, "SIDECAR_BAD_REQUEST")


async def test_a_plugins_login_whose_body_turns_bad_is_a_400(start):
    sidecar = with_login(start(plugin_login="local"))
    head, _, _ = LOGIN.replace(b"Content-Length: 26", b"Transfer-Encoding: chunked").partition(LOGIN_BODY)
    plugin = await sidecar.ask(head)
    assert plugin.got == b""
    await plugin.say(b"no length\r\n")
    assert error(plugin.got) == (400, "SIDECAR_BAD_REQUEST")


async def test_a_plugins_login_may_be_passed_on_without_our_token(start):
    sidecar = with_login(start(plugin_login="forward"))
    await sidecar.ask(LOGIN)
    assert sidecar.upstream.out.startswith(b"POST /base/ums/v2/services/accessToken HTTP/1.1\r\n")
    assert b"Authorization" not in sidecar.upstream.out
    assert sidecar.upstream.out.endswith(LOGIN_BODY)


async def test_a_plugins_login_may_be_denied(start):
    sidecar = with_login(start(plugin_login="deny"))
    plugin = await sidecar.ask(LOGIN)
    assert error(plugin.got) == (403, "SIDECAR_ROUTE_DENIED")


# ---- loops


async def test_an_interceptor_that_triggers_itself_is_stopped(start):
    intercepting = Route(name="r", source="f:1", interception=Interception.ON)
    sidecar = start(intercepting, limits=Limits(loop_requests=2))
    plugin = await sidecar.ask(TRACED)
    await sidecar.answer(OK)
    await plugin.say(TRACED)
    await sidecar.answer(OK)
    await plugin.say(TRACED)
    assert error(plugin.got.removeprefix(OK * 2)) == (508, "SIDECAR_LOOP_DETECTED")
    assert b"GET /template" in plugin.got


async def test_requests_without_a_trace_of_their_own_or_without_interception_are_no_loop(start):
    for route, raw in (
        (Route(name="r", source="f:1", interception=Interception.ON), GET),
        (Route(name="r", source="f"), TRACED),
    ):
        sidecar = start(route, limits=Limits(loop_requests=1))
        plugin = await sidecar.ask(raw * 3)
        for _ in range(3):
            await sidecar.answer(OK)
        assert plugin.got == OK * 3


# ---- stopping


async def test_a_draining_sidecar_ends_what_runs_and_takes_nothing_new(sidecar):
    running = await sidecar.ask(GET)
    resting = await sidecar.ask(HEALTH)
    sidecar.handler.drain()
    await resting.say(GET)
    assert error(resting.got.partition(b"ok\n")[2]) == (503, Code.DRAINING.value)
    assert b"Retry-After: 1\r\n" in resting.got
    await sidecar.answer(OK)
    assert running.got == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    assert running.transport.ended


async def test_a_resting_connection_is_closed_when_the_sidecar_closes(sidecar):
    plugin = await sidecar.ask(HEALTH)
    sidecar.handler.drain_idle = True
    sidecar.listener.wake_all()
    await sidecar.settle()
    assert plugin.transport.closed


async def test_room_is_made_by_closing_what_has_rested_since_it_was_asked_for_last(sidecar):
    rests, busy = await sidecar.ask(HEALTH), await sidecar.ask(GET)
    sidecar.listener.make_room()
    fresh = await sidecar.ask(HEALTH)
    await sidecar.settle()
    assert not rests.transport.closed
    sidecar.listener.make_room()
    assert [one.transport.closed for one in (rests, busy, fresh)] == [True, False, False]
    for one in (busy, fresh):
        one.transport.lose()
    await sidecar.settle()
    assert not sidecar.listener._rested  # nothing is held of those that have ended
