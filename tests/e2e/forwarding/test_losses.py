"""Connections that end: noticed at once in the pool, before, during and after an answer and an upload, over TLS, too.

A loss can hide behind what arrives together with it, so each case is tried many times.
"""

from __future__ import annotations

import asyncio
import signal
import ssl

import pytest
import pytest_asyncio

from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream, then_close, then_reset
from tests.support.sidecar import running
from tests.support.wire import DEADLINE, lines, request, response

pytestmark = LIVE

TIMES = 25
WIRES = {"plain": None, "TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
LARGE = 40_000
"""Bytes of several TLS records, and less than a kernel takes before anybody reads."""
HALF = lines(b"HTTP/1.1 200 OK", b"Content-Length: 10") + b"half "
ENDS = pytest.mark.parametrize("end", [then_close, then_reset], ids=["closed", "reset"])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WIRES.values(), ids=WIRES.keys())
async def shared(request, tmp_path_factory, authority):
    """A program of each kind of wire."""
    version, context, settings = request.param, None, {}
    if version is not None:
        context = authority.server_context()
        context.minimum_version = context.maximum_version = version
        settings = {"SIDECAR_CA_FILE": str(authority.ca_file)}
    async with running(tmp_path_factory.mktemp("wire"), upstream=ScriptedUpstream(tls=context), **settings) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared):
    shared.upstream.forget()
    await shared.warm_up()
    yield shared
    await shared.tidy()


@ENDS
async def test_an_upstream_that_hangs_up_instead_of_answering_is_a_502_at_once(house, end):
    house.upstream.on("/e", end(b""))
    client = await house.client()
    for _ in range(TIMES):
        assert_ours(await client.ask(request("POST", "/e", body=b"x")), 502, "SIDECAR_UPSTREAM_UNREACHABLE")


@ENDS
@pytest.mark.parametrize("size", [2, LARGE])
async def test_a_connection_that_ends_behind_its_answer_is_not_used_again(house, end, size):
    body = bytes(size)
    house.upstream.on("/e", end(response(200, body=body)))
    client = await house.client()
    for _ in range(TIMES):
        assert_passed_on(await client.ask(request("POST", "/e", body=b"x")), 200, body)
        await house.upstream.seen("/e")[-1].connection.over.wait()
        assert_passed_on(await client.ask(request("POST", "/next", body=b"x")), 200)


@ENDS
async def test_a_cut_answer_is_noticed_at_once(house, end):
    house.upstream.on("/once/e", end(HALF))
    for _ in range(TIMES):
        client = await house.client()
        await client.send(request("POST", "/once/e", body=b"x"))
        answer = await client.read_any()
        if answer.status == 200:
            assert not answer.complete
        else:
            assert_ours(answer, 502, "SIDECAR_UPSTREAM_PROTOCOL", "SIDECAR_UPSTREAM_UNREACHABLE")
        client.reset()


async def test_a_reset_never_completes_an_answer_that_ends_with_its_connection(house):
    held = house.upstream.hold("/once/e")
    for _ in range(TIMES):
        client = await house.client()
        await client.send(request("POST", "/once/e", body=b"x"))
        exchange = await held.next()
        house.sidecar.process.send_signal(signal.SIGSTOP)  # so that it finds answer and reset at once
        await exchange.send(lines(b"HTTP/1.1 200 OK") + b"half ")
        exchange.connection.reset()
        held.release(exchange)
        house.sidecar.process.send_signal(signal.SIGCONT)
        answer = await client.read_any()
        assert answer.status == 502 or not answer.complete
        client.reset()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_an_early_refusal_of_a_large_upload_always_arrives(house, reset):
    async def refuse(exchange):
        await exchange.send(response(413, body=b"too much"))
        if reset:
            exchange.connection.reset()
        else:
            exchange.connection.close()

    house.upstream.on("/e", refuse)
    for _ in range(40):
        client = await house.client()
        client.writer.write(request("POST", "/e", body=bytes(2_000_000)))
        assert_passed_on(await client.read_answer(), 413, b"too much")
        client.reset()


async def test_a_large_answer_that_overtakes_an_upload_is_read_to_its_end(house):
    body = bytes(LARGE)

    async def refuse(exchange):
        await exchange.send(response(413, body=body))
        exchange.connection.reset()

    house.upstream.on("/e", refuse)
    for _ in range(TIMES):
        client = await house.client()
        client.writer.write(request("POST", "/e", body=bytes(2_000_000)))
        assert_passed_on(await client.read_answer(), 413, body)
        client.reset()


async def idle(house) -> int:
    page = (await house.get("/metrics")).body.decode()
    return int(float(page.partition('upstream_connections{state="idle"} ')[2].split()[0]))


@pytest.mark.parametrize("how", ["close", "reset", "cut_off"])
async def test_a_connection_that_ends_in_the_pool_is_noticed_at_once(house, how):
    for _ in range(5):
        await house.warm_up()
        for connection in house.upstream.connections:
            if not connection.gone:
                getattr(connection, how)()
        async with asyncio.timeout(DEADLINE):  # it would rest for longer
            while await idle(house):
                await asyncio.sleep(0.01)
        assert_passed_on(await house.ask(request("POST", "/next", body=b"x")), 200)


@pytest.mark.parametrize("how", ["close", "reset", "cut_off"])
async def test_of_an_end_and_a_request_that_came_at_once_the_end_is_heard_first(house, how):
    client = await house.client()
    for _ in range(5):
        await house.warm_up()
        house.sidecar.process.send_signal(signal.SIGSTOP)
        for connection in house.upstream.connections:
            if not connection.gone:
                getattr(connection, how)()
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn
        await client.send(request("POST", "/next", body=b"x"))
        house.sidecar.process.send_signal(signal.SIGCONT)
        assert_passed_on(await client.read_answer(), 200)
