"""What is tried again, how often, and what never is."""

import asyncio

import pytest
import pytest_asyncio
from biot_sidecar.routing.retry import BUDGET_WINDOW, FIRST_PAUSE

from tests.support.in_time import in_time
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import then_close, then_reset
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH", "QUERY"]
FINE = response(200)


@pytest_asyncio.fixture(loop_scope="module")
async def own(start):
    """A program of the test's own, so that its retry budget is full."""
    house = await start()
    await house.warm_up()
    return house


def unavailable(status=503, *fields):
    return response(status, *fields, body=b"BioT is away")


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("lost", [then_close(b""), then_reset()], ids=["closed", "reset"])
async def test_an_idempotent_request_is_sent_again_when_its_connection_is_lost(start, method, lost):
    house = await start()
    house.upstream.on("/r", lost, FINE)
    client = await house.client()
    assert_passed_on(await client.ask(request(method, "/r", body=b"x"), method), 200)
    assert [exchange.content for exchange in house.upstream.seen("/r")] == [b"x", b"x"]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("lost", [then_close(b""), then_reset()], ids=["closed", "reset"])
async def test_any_other_request_is_not_sent_again_when_its_connection_is_lost(start, method, lost):
    house = await start()
    house.upstream.on("/r", lost, FINE)
    assert_ours(
        await house.ask(request(method, "/r")), 502, "SIDECAR_UPSTREAM_UNREACHABLE", "SIDECAR_UPSTREAM_PROTOCOL"
    )
    assert len(house.upstream.seen("/r")) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_idempotent_request_is_sent_again_after_a_gateways_error(own, status):
    own.upstream.on("/r", unavailable(status), unavailable(status), FINE)
    assert_passed_on(await own.get("/r"), 200)
    assert len(own.upstream.seen("/r")) == 3


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateways_error_passes_to_any_other_request(own, status):
    own.upstream.on("/r", unavailable(status), FINE)
    assert_passed_on(await own.ask(request("POST", "/r", body=b"x")), status, b"BioT is away")
    assert len(own.upstream.seen("/r")) == 1


@pytest.mark.parametrize("status", [500, 501, 505, 400, 404, 408, 409, 425, 429])
async def test_no_other_status_is_tried_again(own, status):
    own.upstream.on("/r", unavailable(status), FINE)
    assert_passed_on(await own.get("/r"), status, b"BioT is away")
    assert len(own.upstream.seen("/r")) == 1


async def test_after_two_more_tries_biots_own_answer_is_passed_on(own):
    own.upstream.on("/r", unavailable())
    assert_passed_on(await own.get("/r"), 503, b"BioT is away")
    assert len(own.upstream.seen("/r")) == 3


async def test_after_two_more_tries_a_lost_connection_is_a_502(own):
    own.upstream.on("/r", then_reset())
    assert_ours(await own.get("/r"), 502, "SIDECAR_UPSTREAM_UNREACHABLE", "SIDECAR_UPSTREAM_PROTOCOL")
    assert len(own.upstream.seen("/r")) == 3


async def test_tries_are_at_least_25_ms_apart(own):
    own.upstream.on("/r", unavailable())
    await own.get("/r")
    first, second, third = (exchange.at for exchange in own.upstream.seen("/r"))
    assert second - first > 0.02
    assert third - second > 0.02


async def test_a_route_may_say_that_nothing_is_tried_again(own):
    own.upstream.on("/once/r", unavailable(), FINE)
    assert_passed_on(await own.get("/once/r"), 503, b"BioT is away")
    own.upstream.on("/once/reset", then_reset(), FINE)
    assert (await own.get("/once/reset")).status == 502
    assert len(own.upstream.seen("/once")) == 2


async def test_retry_after_is_honoured(own):
    own.upstream.on("/r", unavailable(503, b"Retry-After: 1"), FINE)
    assert_passed_on(await own.get("/r"), 200)
    first, second = (exchange.at for exchange in own.upstream.seen("/r"))
    assert second - first > 0.95


@pytest.mark.parametrize("value", [b"3600", b"Fri, 31 Dec 2999 23:59:59 GMT"])
async def test_a_retry_after_beyond_the_timeout_passes_the_answer_on_at_once(own, value):
    own.upstream.on("/r", unavailable(503, b"Retry-After: " + value), FINE)
    answer = await own.get("/r")
    assert_passed_on(answer, 503, b"BioT is away")
    assert answer.head.values(b"retry-after") == [value]
    assert len(own.upstream.seen("/r")) == 1


async def test_an_unreadable_retry_after_stops_nothing(own):
    own.upstream.on("/r", unavailable(503, b"Retry-After: soon"), FINE)
    assert (await own.get("/r")).status in (200, 503)


@pytest.mark.parametrize("raw_body", [b"x" * 65536, b""], ids=["64 KiB", "nothing"])
async def test_a_body_that_was_kept_is_sent_again(own, raw_body):
    own.upstream.on("/r", unavailable(), FINE)
    assert_passed_on(await own.ask(request("PUT", "/r", b"X: 1", body=raw_body)), 200)
    assert [exchange.content for exchange in own.upstream.seen("/r")] == [raw_body] * 2


async def test_a_chunked_body_that_was_kept_is_sent_again_with_its_trailers(own):
    own.upstream.on("/r", unavailable(), FINE)
    raw = lines(b"PUT /r HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    assert_passed_on(await own.ask(raw + chunked(b"some", b"where", trailers=b"X-T: 1\r\n")), 200)
    for exchange in own.upstream.seen("/r"):
        assert exchange.content == b"somewhere"
        assert exchange.trailers == [(b"X-T", b"1")]
    assert len(own.upstream.seen("/r")) == 2


async def test_a_body_too_large_to_keep_is_never_sent_in_part(own):
    own.upstream.on("/r", unavailable(), FINE)
    answer = await own.ask(request("PUT", "/r", body=b"x" * 1_000_000))
    assert_passed_on(answer, 503, b"BioT is away")
    assert len(own.upstream.seen("/r")) == 1


async def test_nothing_is_tried_again_once_the_answer_has_begun(own):
    own.upstream.on("/r", then_reset(lines(b"HTTP/1.1 200 OK", b"Content-Length: 10") + b"half"), FINE)
    client = await own.client()
    await client.send(request("GET", "/r"))
    assert not (await client.read_answer()).complete
    assert len(own.upstream.seen("/r")) == 1


async def test_the_retry_budget_leaves_a_dying_upstream_alone(own):
    own.upstream.on("/r", unavailable())
    for _ in range(10):
        assert_passed_on(await own.get("/r"), 503)
    assert len(own.upstream.seen("/r")) == 10 + 3


async def test_the_retry_budget_grows_with_the_requests(start):
    async def a_hundred_and_then_fifty_that_fail(watch):
        house = await start()
        client = await house.client()
        watch.start()
        for _ in range(100):
            assert (await client.ask(request("GET", "/fine"))).status == 200
        house.upstream.on("/r", unavailable())
        clients = [await house.client() for _ in range(50)]
        answers = await asyncio.gather(*(client.ask(request("GET", "/r")) for client in clients))
        watch.stop()
        assert {answer.status for answer in answers} == {503}
        assert 50 + 15 <= len(house.upstream.seen("/r")) <= 50 + 31

    await in_time(BUDGET_WINDOW, a_hundred_and_then_fifty_that_fail)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_any_method_survives_an_upstream_that_is_away_for_a_moment(start, method):
    async def away_for_a_moment(watch):
        house = await start()  # so that its retry budget is full
        await house.warm_up()
        await house.upstream.stop_listening()
        await house.local_fence()
        client = await house.client()
        watch.start()
        await client.send(request(method, "/r", body=b"x"))
        await asyncio.sleep(0.01)  # the first try finds nobody
        await house.upstream.listen()
        watch.stop()
        assert_passed_on(await client.read_answer(), 200)
        assert [exchange.content for exchange in house.upstream.seen("/r")] == [b"x"]

    await in_time(2 * FIRST_PAUSE, away_for_a_moment)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_upstream_that_is_away_is_a_502(own, method):
    await own.upstream.stop_listening()
    await own.local_fence()
    assert_ours(await own.ask(request(method, "/r", body=b"x")), 502, "SIDECAR_UPSTREAM_UNREACHABLE")


async def test_a_client_that_goes_away_ends_the_tries(own):
    own.upstream.on("/r", unavailable(503, b"Retry-After: 1"), FINE)
    client = await own.client()
    await client.send(request("GET", "/r"))
    while not own.upstream.seen("/r"):
        await own.local_fence()
    client.reset()
    await asyncio.sleep(1.2)  # past the moment of the second try
    assert len(own.upstream.seen("/r")) == 1
