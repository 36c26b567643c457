"""Handshakes begin a few at a time, and those that nobody needs any more do not begin at all."""

from __future__ import annotations

import asyncio

import pytest
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.dialing import Dialer
from biot_sidecar.http.handshake_pacing import PER_TURN, HandshakePacer, NotNeeded
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.http.tls import tls_context

from tests.http.test_pool_waiting import acquiring
from tests.http.test_upstream_pool import answer_each, exchange
from tests.http.wires import Wires, server, settled
from tests.support.authority import Authority


async def test_a_few_begin_in_each_turn_of_the_loop_in_the_order_of_arrival():
    pacer, begun, turns = HandshakePacer(), [], []

    async def begin(number: int) -> None:
        await pacer.turn(lambda: True)
        begun.append(number)

    tasks = [asyncio.ensure_future(begin(number)) for number in range(4 * PER_TURN)]
    while not all(task.done() for task in tasks):
        before = len(begun)
        await asyncio.sleep(0)
        turns.append(len(begun) - before)
    assert begun == list(range(4 * PER_TURN))
    assert max(turns) == PER_TURN


async def test_who_leaves_and_who_is_not_needed_hold_up_nobody():
    pacer, needed = HandshakePacer(), True
    tasks = [asyncio.ensure_future(pacer.turn(lambda: needed)) for _ in range(3 * PER_TURN)]
    await asyncio.sleep(0)
    for task in tasks[PER_TURN:-1]:
        task.cancel()
    await tasks[-1]
    needed = False
    with pytest.raises(NotNeeded):
        await pacer.turn(lambda: needed)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


async def test_a_dial_whose_turn_does_not_come_in_time_speaks_of_tls_where_there_is_no_proxy(authority):
    context = tls_context(str(authority.ca_file))
    async with server(answer_each, authority.server_context()) as port:
        dialer = Dialer(Wires(port, context).address, context, Resolver(float), connect_timeout=0.05)
        dialer._pacer._left, dialer._pacer._scheduled = 0, True
        with pytest.raises(UpstreamError) as raised:
            await dialer.connect(asyncio.Protocol(), lambda: True)
    assert "TLS was not agreed upon within 0.05s" in raised.value.message


async def test_calls_that_are_served_meanwhile_spare_the_handshakes_that_had_not_begun(authority):
    async with server(answer_each, authority.server_context()) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        await exchange(wires)
        busy = wires.pool.take()
        pacer = wires.pool._dialer._pacer
        pacer._left, pacer._scheduled = 0, True  # as in a turn of the loop in which enough have begun
        waiting = [acquiring(wires) for _ in range(5)]
        await settled(lambda: len(pacer._waiting) == 5)
        for one in waiting:
            wires.pool.release(busy, keep=True)
            assert await one is busy
        while pacer._waiting:
            pacer._next_turn()
        late = acquiring(wires)  # in the moment in which the last of them are given up
        connection = await late
        assert connection is not busy
        await settled(lambda: not wires.pool._dials)
        assert wires.connects == [True, True]
        for one in (busy, connection):
            wires.pool.release(one, keep=True)
        wires.pool.close()


async def test_a_dial_that_was_given_up_is_begun_anew_for_who_has_come_since(authority):
    async with server(answer_each, authority.server_context()) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        await exchange(wires)
        busy = wires.pool.take()
        pacer = wires.pool._dialer._pacer
        pacer._left, pacer._scheduled = 0, True
        first = acquiring(wires)
        await settled(lambda: pacer._waiting)
        wires.pool.release(busy, keep=True)
        assert await first is busy
        (dial,) = wires.pool._dials
        later: list[asyncio.Task] = []
        dial.add_done_callback(lambda _: later.append(acquiring(wires)))
        pacer._next_turn()
        await settled(lambda: later)
        connection = await later[0]
        assert connection is not busy
        for one in (busy, connection):
            wires.pool.release(one, keep=True)
        wires.pool.close()
