"""A process that stood still finds its timers due and its sockets full: what lies in a socket came in time."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
import pytest_asyncio

from tests.support.hasty import SHORT
from tests.support.in_time import in_time
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.scripted_upstream import ScriptedUpstream, login_answer
from tests.support.sidecar import running
from tests.support.wire import request, response

pytestmark = LIVE

ROUTES = """\
version: 1
routes:
  - {name: hasty, match: "* /hasty/**", timeout: 400ms}
  - {name: soon, match: "* /soon/**", timeout: 1s}
"""


@pytest_asyncio.fixture(params=["tcp", "tls"], loop_scope="module")
async def house(request, tmp_path, authority):
    settings, tls = {}, None
    if request.param == "tls":
        tls, settings = authority.server_context(), {"SIDECAR_CA_FILE": str(authority.ca_file)}
    upstream = ScriptedUpstream(tls)
    async with running(tmp_path, upstream=upstream, routes=ROUTES, module="tests.support.hasty", **settings) as house:
        yield house


@contextlib.asynccontextmanager
async def standing_still(house, watch=None, deadline=SHORT):
    """What is done within happens while the program stands still, for longer than its deadlines of so many seconds;
    `watch` is stopped when it stands.
    """
    house.sidecar.signal(signal.SIGSTOP)
    if watch is not None:
        watch.stop()
    try:
        yield
        await asyncio.sleep(1.3 * deadline)
    finally:
        house.sidecar.signal(signal.SIGCONT)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_came_while_the_process_stood_still_is_passed_on(house, method):
    await house.warm_up()

    async def call(watch):
        house.upstream.forget()
        held = house.upstream.hold("/hasty/x")
        client = await house.client()
        watch.start()
        await client.send(request(method, "/hasty/x", body=b"x" * (method == "POST")))
        exchange = await held.next()
        async with standing_still(house, watch):
            await held.answer(exchange, response(200, body=b"done"))
        answer = await client.read_answer()
        assert (answer.status, answer.body) == (200, b"done")
        assert len(house.upstream.seen("/hasty/x")) == 1

    await in_time(SHORT, call)


async def test_fifty_answers_that_came_while_the_process_stood_still_are_passed_on(house):
    await house.warm_up()

    async def fifty(watch):
        house.upstream.forget()
        clients = [await house.client() for _ in range(50)]
        await ask_at_once(house, clients, "/x")  # the connections to the upstream are there
        watch.start()
        exchanges = await ask_at_once(house, clients, "/soon/x", watch, deadline=1.0)
        assert len(exchanges) == 50

    await in_time(1.0, fifty)


async def ask_at_once(house, clients, path, watch=None, deadline=0.0):
    """All ask, then all are answered, while the program stands still if there is a deadline; what the upstream got."""
    held = house.upstream.hold(path)
    for client in clients:
        await client.send(request("POST", path, body=b"x"))
    exchanges = [await held.next() for _ in clients]
    async with standing_still(house, watch, deadline) if deadline else contextlib.nullcontext():
        for exchange in exchanges:
            await held.answer(exchange, response(200))
    assert [(await client.read_answer()).status for client in clients] == [200] * len(clients)
    return house.upstream.seen(path)


async def test_a_head_that_came_while_the_process_stood_still_came_in_time(house):
    await house.warm_up()

    async def halves(watch):
        client, silent = await house.client(), await house.client()
        head = request("GET", "/x")
        watch.start()
        for one in (client, silent):
            await one.send(head[:20])
        await house.local_fence()
        async with standing_still(house, watch):
            await client.send(head[20:])
        assert (await client.read_answer()).status == 200
        assert_ours(await silent.read_answer(), 408, "SIDECAR_REQUEST_TIMEOUT")

    await in_time(SHORT, halves)


async def test_a_login_that_was_answered_while_the_process_stood_still_succeeded(tmp_path_factory):
    async def log_in(watch):
        folder = tmp_path_factory.mktemp("house")
        hasty = {"module": "tests.support.hasty", "SIDECAR_LOGIN_AT_START": "0"}
        async with running(folder, routes=ROUTES, **hasty) as house:
            held = house.upstream.login_script = house.upstream.hold("/nothing")
            watch.start()
            waiting = [asyncio.ensure_future(house.get(path)) for path in ("/x", "/y")]
            login = await held.next()
            async with standing_still(house, watch):
                await held.answer(login, login_answer(1, 4e9))
            assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
            assert len(house.upstream.logins) == 1

    await in_time(SHORT, log_in)


async def test_who_has_said_nothing_is_given_up_all_the_same(house):
    await house.warm_up()
    held = house.upstream.hold("/hasty/x")
    client = await house.client()
    await client.send(request("POST", "/hasty/x"))
    exchange = await held.next()
    async with standing_still(house):
        pass
    assert_ours(await client.read_answer(), 504, "SIDECAR_UPSTREAM_TIMEOUT")
    held.release(exchange)


async def test_a_place_that_came_free_while_the_process_stood_still_is_taken(tmp_path):
    """Within the second for which a request may queue, as the kernel saw it; the process looks a second later."""
    async with running(tmp_path, SIDECAR_MAX_IN_FLIGHT="1") as house:
        await house.warm_up()

        async def queue(watch):
            held = house.upstream.hold("/x")
            first, second = await house.client(), await house.client()
            await first.send(request("GET", "/x/1"))
            exchange = await held.next()
            watch.start()
            await second.send(request("GET", "/y"))
            await house.local_fence()
            async with standing_still(house, watch, 1.0):
                await held.answer(exchange, response(200))
            assert (await first.read_answer()).status == 200
            assert (await second.read_answer()).status == 200

        await in_time(1.0, queue)
