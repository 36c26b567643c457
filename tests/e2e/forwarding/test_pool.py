"""Pooled connections: reused when clean, dropped at the first doubt."""

import asyncio

import pytest

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import then_close
from tests.support.wire import lines, request, response

pytestmark = LIVE


async def idle_connection(house):
    """The upstream's side of the connection that the pool will hand out next."""
    await house.get("/idle")
    return house.upstream.seen("/idle")[-1].connection


async def test_requests_in_turn_share_one_connection(house):
    await house.get("/r")
    for _ in range(20):
        await house.get("/r")
    assert len({exchange.connection_number for exchange in house.upstream.seen("/r")}) == 1


async def test_requests_at_once_get_a_connection_each(house):
    held = house.upstream.hold("/r")
    clients = [await house.client() for _ in range(10)]
    for client in clients:
        await client.send(request("GET", "/r"))
    exchanges = [await held.next() for _ in clients]
    assert len({exchange.connection_number for exchange in exchanges}) == 10
    for exchange in exchanges:
        await held.answer(exchange, response(200))
    for client in clients:
        assert_passed_on(await client.read_answer(), 200)


async def ask_at_once(house, clients, path):
    """All their requests are in flight together, then all are answered."""
    held = house.upstream.hold(path)
    for client in clients:
        await client.send(request("GET", path))
    for exchange in [await held.next() for _ in clients]:
        await held.answer(exchange, response(200))
    for client in clients:
        assert_passed_on(await client.read_answer(), 200)
    return {exchange.connection_number for exchange in house.upstream.seen(path)}


async def test_as_many_connections_rest_as_may_be_in_flight(start):
    house = await start()
    clients = [await house.client() for _ in range(150)]
    first = await ask_at_once(house, clients, "/first")
    assert len(first) == 150
    assert await ask_at_once(house, clients, "/second") == first


async def test_no_more_connections_rest_than_may_be_in_flight(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="3")
    await house.get("/warm")  # with the token in hand: of three slots two are for waiting for it
    clients = [await house.client() for _ in range(3)]
    assert await ask_at_once(house, clients, "/first") == await ask_at_once(house, clients, "/second")


POISON = response(200, b"X-Poison: 1", body=b"poison")


@pytest.mark.parametrize(
    "raw",
    [
        POISON,
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
        b"x",
        b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["an answer", "a 408", "a letter", "an empty line", "a 100"],
)
async def test_bytes_on_an_idle_connection_never_become_the_next_answer(house, raw):
    connection = await idle_connection(house)
    await connection.send(raw)
    assert await connection.dropped()
    for _ in range(3):
        assert_passed_on(await house.get("/r"), 200)
    assert all(exchange.connection is not connection for exchange in house.upstream.seen("/r"))


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("GET", response(200, body=b"fine") + POISON),
        ("GET", lines(b"HTTP/1.1 304 Not Modified") + POISON),
        ("DELETE", lines(b"HTTP/1.1 204 No Content") + POISON),
        ("HEAD", response(200, body=b"a body nobody asked for")),
        ("GET", lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + POISON),
        ("GET", lines(b"HTTP/1.1 204 No Content", b"Content-Length: 6") + b"poison"),
    ],
    ids=["behind a length", "behind a 304", "behind a 204", "behind a HEAD", "behind chunks", "a body on a 204"],
)
async def test_bytes_behind_an_answer_never_become_the_next_one(house, method, raw):
    house.upstream.on("/once/u", raw)
    client = await house.client()
    answer = await client.ask(request(method, "/once/u"), method)
    assert b"poison" not in answer.body
    connection = house.upstream.seen("/once/u")[0].connection
    assert await connection.dropped()
    for _ in range(3):
        answer = await house.get("/r")
        assert_passed_on(answer, 200)
        assert b"x-poison" not in answer.head.names


async def test_an_idle_connection_that_the_upstream_closed_is_no_trouble_to_any_method(house):
    for method in ("GET", "POST", "PATCH"):
        connection = await idle_connection(house)
        connection.close()
        await connection.wait_closed()
        await house.local_fence()
        assert_passed_on(await house.ask(request(method, "/r", body=b"x")), 200)


async def test_an_idle_connection_that_was_reset_is_no_trouble_to_any_method(house):
    for method in ("GET", "POST", "PATCH"):
        connection = await idle_connection(house)
        connection.reset()
        await house.local_fence()
        assert_passed_on(await house.ask(request(method, "/r", body=b"x")), 200)


async def test_a_reused_connection_lost_after_the_request_went_out_is_no_connect_failure(house):
    await idle_connection(house)
    house.upstream.on("/r", then_close(b""))
    assert_ours(
        await house.ask(request("POST", "/r", body=b"x")),
        502,
        "SIDECAR_UPSTREAM_UNREACHABLE",
        "SIDECAR_UPSTREAM_PROTOCOL",
    )
    assert len(house.upstream.seen("/r")) == 1


async def test_an_answer_that_says_close_ends_its_connection(house):
    house.upstream.on("/r", response(200, b"Connection: close"), response(200))
    for _ in range(2):
        assert_passed_on(await house.get("/r"), 200)
    first, second = house.upstream.seen("/r")
    assert first.connection is not second.connection
    assert await first.connection.dropped()


async def test_an_answer_of_http_1_0_ends_its_connection(house):
    house.upstream.on("/r", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", response(200))
    for _ in range(2):
        assert_passed_on(await house.get("/r"), 200)
    first, second = house.upstream.seen("/r")
    assert first.connection is not second.connection


async def test_a_connection_whose_client_left_is_not_reused(house):
    held = house.upstream.hold("/once/r")
    client = await house.client()
    await client.send(request("GET", "/once/r"))
    exchange = await held.next()
    client.reset()
    assert await exchange.abandoned()
    held.release(exchange)
    assert_passed_on(await house.get("/r"), 200)
    assert house.upstream.seen("/r")[0].connection is not exchange.connection


async def test_a_request_cut_off_halfway_leaves_nothing_on_a_pooled_connection(house):
    for _ in range(10):
        client = await house.client()
        await client.send(request("POST", "/cut", b"Content-Length: 100") + b"GET /smuggled HTTP/1.1\r\n")
        client.reset()
        assert_passed_on(await house.get("/r"), 200)
    await house.fence()
    assert house.upstream.seen("/smuggled") == []
    assert not any(exchange.complete for exchange in house.upstream.seen("/cut"))


async def test_a_client_connection_that_ends_does_not_take_the_pool_along(house):
    connection = await idle_connection(house)
    clients = [await house.client() for _ in range(5)]
    for client in clients:
        client.reset()
    await asyncio.gather(*(client.wait_closed() for client in clients))
    await house.get("/r")
    assert house.upstream.seen("/r")[0].connection is connection
