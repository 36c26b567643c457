"""More requests than the program may have in flight: a short queue, then a clear refusal."""

import asyncio

import pytest
from biot_sidecar.http.in_flight_slots import QUEUE_TIME

from tests.support.in_time import in_time
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import request, response

pytestmark = LIVE


async def fill(house, held, count=2):
    """So many requests in flight, their clients and what arrived of them."""
    clients = [await house.client() for _ in range(count)]
    for client in clients:
        await client.send(request("GET", "/busy"))
    return clients, [await held.next() for _ in clients]


async def test_beyond_the_limit_a_request_waits_a_second_and_is_refused(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="2")
    await house.warm_up()
    held = house.upstream.hold("/busy")
    clients, exchanges = await fill(house, held)
    answer = await house.get("/more")
    assert_ours(answer, 503, "SIDECAR_OVERLOADED")
    assert answer.head.values(b"retry-after") == [b"1"]
    assert house.upstream.seen("/more") == []
    for exchange in exchanges:
        await held.answer(exchange, response(200))
    for client in clients:
        assert_passed_on(await client.read_answer(), 200)
    assert_passed_on(await house.get("/more"), 200)


async def test_a_request_in_the_queue_goes_out_as_soon_as_there_is_room(start):
    async def queue(watch):
        house = await start(SIDECAR_MAX_IN_FLIGHT="2")
        await house.warm_up()
        held = house.upstream.hold("/busy")
        _, exchanges = await fill(house, held)
        waiting = await house.client()
        watch.start()
        await waiting.send(request("POST", "/more", body=b"x"))
        await house.local_fence()
        assert house.upstream.seen("/more") == []
        await held.answer(exchanges[0], response(200))
        watch.stop()
        assert_passed_on(await waiting.read_answer(), 200)
        assert house.upstream.seen("/more")[0].content == b"x"

    await in_time(QUEUE_TIME, queue)


async def test_a_full_house_goes_on_answering_for_itself(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="2")
    await house.warm_up()
    held = house.upstream.hold("/busy")
    await fill(house, held)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await house.get(path)).status == 200
    assert_ours(await house.get("/closed/x"), 403, "SIDECAR_ROUTE_DENIED")


async def test_a_client_that_leaves_makes_room(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="2")
    await house.warm_up()
    held = house.upstream.hold("/busy")
    clients, exchanges = await fill(house, held)
    for client in clients:
        client.reset()
    for exchange in exchanges:
        assert await exchange.abandoned()
    for _ in range(5):
        assert_passed_on(await house.get("/more"), 200)


async def test_a_client_that_leaves_the_queue_takes_no_place(start):
    async def leave(watch):
        house = await start(SIDECAR_MAX_IN_FLIGHT="2")
        await house.warm_up()
        held = house.upstream.hold("/busy")
        _, exchanges = await fill(house, held)
        for _ in range(5):
            client = await house.client()
            await client.send(request("GET", "/gone"))
            await house.local_fence()
            client.reset()
        await house.local_fence()
        waiting = await house.client()
        watch.start()
        await waiting.send(request("GET", "/more"))
        await house.local_fence()
        await held.answer(exchanges[0], response(200))
        watch.stop()
        assert_passed_on(await waiting.read_answer(), 200)
        assert house.upstream.seen("/gone") == []

    await in_time(QUEUE_TIME, leave)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_overloaded_answer_leaves_the_connection_in_step(start, method):
    house = await start(SIDECAR_MAX_IN_FLIGHT="1")
    await house.warm_up()
    held = house.upstream.hold("/busy")
    _, exchanges = await fill(house, held, 1)
    client = await house.client()
    refused = await client.ask(request(method, "/more", body=request("GET", "/smuggled")))
    assert_ours(refused, 503, "SIDECAR_OVERLOADED")
    await held.answer(exchanges[0], response(200))
    await house.fence()
    assert house.upstream.seen("/smuggled") == []
    if b"close" not in refused.head.values(b"connection"):
        assert_passed_on(await client.ask(request("GET", "/more")), 200)


async def test_a_burst_far_beyond_the_limit_gets_an_answer_each(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="4")
    await house.warm_up()
    clients = [await house.client() for _ in range(200)]
    answers = await asyncio.gather(*(client.ask(request("GET", f"/burst/{n}")) for n, client in enumerate(clients)))
    assert {answer.status for answer in answers} <= {200, 503}
    assert [answer.status for answer in answers].count(200) > 4
