"""A 401 about the token costs one login and one replay; every other 401 and every 403 is BioT's own word."""

import asyncio
import gzip
import json

import pytest
import pytest_asyncio

from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import chunked, lines, request, response

pytestmark = LIVE

JSON = b"Content-Type: application/json"
NOT_VALID = json.dumps({"code": "TOKEN_NOT_VALID", "message": "x", "serviceName": "Device Service"}).encode()
FINE = response(200, body=b"fine")
KIB64 = 64 * 1024
METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "QUERY"]


def refused(body=NOT_VALID, status=401, *fields):
    return response(status, JSON, *fields, body=body, reason=b"Unauthorized")


async def logins_of(house, action):
    """How many logins happen while the coroutine runs."""
    before = len(house.upstream.logins)
    answer = await action
    return answer, len(house.upstream.logins) - before


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def judged_anew(house):
    """Whatever the test before left: a 401 that a replay did not cure is remembered until another answer comes."""
    for method in METHODS:
        assert_passed_on(await house.ask(request(method, "/t")), 200)
    house.upstream.forget()


@pytest.mark.parametrize("method", METHODS)
async def test_a_refused_token_is_renewed_and_the_request_replayed_for_any_method(house, method):
    house.upstream.on("/t", refused(), FINE)
    answer, logins = await logins_of(house, house.ask(request(method, "/t", b"X: 1", body=b"body")))
    assert_passed_on(answer, 200, b"fine")
    assert logins == 1
    first, second = house.upstream.seen("/t")
    assert first.authorization != second.authorization
    assert (second.method, second.content) == (method.encode(), b"body")
    assert second.head.values(b"x") == [b"1"]


REFUSALS = {
    "chunked": lines(b"HTTP/1.1 401 Unauthorized", JSON, b"Transfer-Encoding: chunked")
    + chunked(NOT_VALID[:7], NOT_VALID[7:]),
    "no body": response(401),
    "html": response(401, b"Content-Type: text/html", body=b"<html>Unauthorized</html>"),
    "text": response(401, body=b"Unauthorized"),
    "json without a code": refused(b'{"message": "Unauthorized"}'),
    "a json list": refused(b"[]"),
}


@pytest.mark.parametrize("raw", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_401_that_is_about_the_token_or_not_biots_at_all_is_replayed(house, raw):
    house.upstream.on("/t", raw, FINE)
    answer, logins = await logins_of(house, house.ask(request("POST", "/t", body=b"x")))
    assert_passed_on(answer, 200, b"fine")
    assert logins == 1


async def test_white_space_behind_a_coding_is_no_part_of_it(house):
    body = gzip.compress(b'{"code": "USER_IS_NOT_ADMIN"}')
    house.upstream.on("/t", refused(body, 401, b"Content-Encoding: gzip "), FINE)
    answer, logins = await logins_of(house, house.ask(request("POST", "/t", body=b"x")))
    assert_passed_on(answer, 401, body)
    assert b"Content-Encoding: gzip \r\n" in answer.head.raw
    assert (logins, len(house.upstream.seen("/t"))) == (0, 1)


@pytest.mark.parametrize("code", ["USER_IS_NOT_ADMIN", "SERVICE_LOCKED", "token_not_valid", ""])
async def test_another_401_of_biot_passes_through_without_a_login(house, code):
    body = json.dumps({"code": code}).encode()
    house.upstream.on("/t", refused(body), FINE)
    answer, logins = await logins_of(house, house.get("/t"))
    if code:
        assert_passed_on(answer, 401, body)
        assert logins == 0


@pytest.mark.parametrize("body", [NOT_VALID, b'{"code": "ACCESS_DENIED"}', b"<html>WAF</html>", b""])
async def test_a_403_never_causes_a_login(house, body):
    house.upstream.on("/t", refused(body, 403), FINE)
    answer, logins = await logins_of(house, house.get("/t"))
    assert_passed_on(answer, 403, body)
    assert logins == 0


async def test_the_second_401_passes_through(house):
    house.upstream.on("/t", refused())
    answer, logins = await logins_of(house, house.get("/t"))
    assert_passed_on(answer, 401, NOT_VALID)
    assert len(house.upstream.seen("/t")) == 2
    assert logins == 1


@pytest.mark.parametrize("size", [0, 1, KIB64 - 1, KIB64])
async def test_a_body_of_up_to_64_kib_is_kept_for_the_replay(house, size):
    house.upstream.on("/t", refused(), FINE)
    body = bytes(range(256)) * 256
    raw = request("POST", "/t", b"Content-Length: %d" % size) + body[:size]
    assert_passed_on(await house.ask(raw), 200, b"fine")
    assert [exchange.content for exchange in house.upstream.seen("/t")] == [body[:size]] * 2


@pytest.mark.parametrize("size", [KIB64 + 1, 1_000_000])
async def test_a_larger_body_passes_the_401_through_but_drops_the_token_all_the_same(house, size):
    house.upstream.on("/t", refused(), FINE)
    answer = await house.ask(request("POST", "/t", body=b"x" * size))
    assert_passed_on(answer, 401, NOT_VALID)
    assert len(house.upstream.seen("/t")) == 1
    assert_passed_on(await house.get("/t"), 200, b"fine")
    first, second = house.upstream.seen("/t")
    assert first.authorization != second.authorization


@pytest.mark.parametrize("size", [10, KIB64])
async def test_a_chunked_body_is_kept_too(house, size):
    house.upstream.on("/t", refused(), FINE)
    raw = lines(b"POST /t HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    body = chunked(b"x" * (size // 2), b"y" * (size - size // 2), trailers=b"X-T: 1\r\n")
    assert_passed_on(await house.ask(raw + body), 200, b"fine")
    for exchange in house.upstream.seen("/t"):
        assert exchange.content == b"x" * (size // 2) + b"y" * (size - size // 2)
        assert exchange.trailers == [(b"X-T", b"1")]


async def test_a_chunked_body_too_large_to_keep_passes_the_401_through(house):
    house.upstream.on("/t", refused(), FINE)
    raw = lines(b"POST /t HTTP/1.1", b"Host: 127.0.0.1", b"Transfer-Encoding: chunked")
    answer = await house.ask(raw + chunked(*[b"x" * 1000] * 70))
    assert_passed_on(answer, 401, NOT_VALID)
    assert len(house.upstream.seen("/t")) == 1


async def test_the_plugins_own_token_is_its_own_affair(house):
    house.upstream.on("/keep/t", refused(), FINE)
    answer, logins = await logins_of(house, house.get("/keep/t", b"Authorization: Bearer own"))
    assert_passed_on(answer, 401, NOT_VALID)
    assert logins == 0


async def test_a_request_that_carried_no_token_is_not_replayed(house):
    house.upstream.on("/none/t", refused(), FINE)
    answer, logins = await logins_of(house, house.get("/none/t"))
    assert_passed_on(answer, 401, NOT_VALID)
    assert logins == 0


async def test_fifty_refusals_at_once_cost_one_login(house):
    held = house.upstream.hold("/t")
    clients = [await house.client() for _ in range(50)]
    for client in clients:
        await client.send(request("POST", "/t", body=b"x"))
    first = [await held.next() for _ in clients]
    before = len(house.upstream.logins)
    house.upstream.on("/t", FINE)
    for exchange in first:
        await held.answer(exchange, refused())
    answers = await asyncio.gather(*(client.read_answer() for client in clients))
    assert {answer.status for answer in answers} == {200}
    assert len(house.upstream.logins) - before == 1


async def test_a_huge_401_passes_through_whole(house):
    body = b"x" * 3_000_000
    house.upstream.on("/t", response(401, b"Content-Type: text/plain", body=body))
    assert_passed_on(await house.ask(request("POST", "/t", body=b"x" * 100_000)), 401, body)


async def test_the_connection_stays_in_step_after_a_replay(house):
    client = await house.client()
    house.upstream.on("/t", refused(), FINE)
    await client.send(request("POST", "/t", body=b"1") + request("POST", "/u", body=b"2"))
    assert_passed_on(await client.read_answer(), 200, b"fine")
    assert_passed_on(await client.read_answer(), 200)
    assert [exchange.content for exchange in house.upstream.requests] == [b"1", b"1", b"2"]
