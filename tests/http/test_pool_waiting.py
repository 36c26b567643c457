"""Who waits for a connection: it takes what is given back first, and no dial's failure or success is lost."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.http.upstream_pool import AGE_SPREAD, DIALS_PER_LOOK, DIALS_PER_TURN, LOOK_EVERY, SPARE

from tests.http.test_upstream_pool import OK, answer_each, body_of, exchange, in_use
from tests.http.wires import Basin, Wires, server, settled

OWN_DIAL = "puts a dial of its own into an object of a compiled class"


class Dials:
    """Holds a pool's dials back until they are let through, or fail."""

    def __init__(self, wires: Wires) -> None:
        self._dial = wires.pool.dial
        self.gates: list[asyncio.Future[None]] = []
        wires.pool.dial = self

    async def __call__(self, wakeup, needed=None) -> UpstreamConnection:
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return await self._dial(wakeup)


def acquiring(wires: Wires, wakeup: Wakeup | None = None) -> asyncio.Task[UpstreamConnection]:
    return asyncio.ensure_future(wires.pool.acquire(wakeup or Wakeup()))


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_call_that_waits_for_its_dial_takes_a_connection_that_is_given_back_meanwhile():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy = wires.pool.take()
        dials = Dials(wires)
        waiting = acquiring(wires)
        await settled(lambda: dials.gates)
        wires.pool.release(busy, keep=True)
        assert await waiting is busy
        dials.gates[0].set_result(None)
        await settled(lambda: wires.pool.idle == 1)  # the dial's own connection comes to rest
        wires.pool.release(busy, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (2, 0)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_dial_serves_whoever_has_waited_longest_and_none_is_begun_that_nobody_needs():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy = wires.pool.take()
        dials = Dials(wires)
        first = acquiring(wires)
        await settled(lambda: len(dials.gates) == 1)
        wires.pool.release(busy, keep=True)
        assert await first is busy
        second = acquiring(wires)  # the first one's dial is still under way
        await asyncio.sleep(0)
        assert len(dials.gates) == 1
        third = acquiring(wires)
        await settled(lambda: len(dials.gates) == 2)
        dials.gates[1].set_result(None)
        got = await second
        assert not third.done()
        dials.gates[0].set_result(None)
        for connection in (busy, got, await third):
            wires.pool.release(connection, keep=True)
        assert wires.pool.idle == 3
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_failed_dial_is_told_to_one_who_waits_unless_others_are_under_way_for_all():
    async with server(answer_each) as port:
        wires = Wires(port)
        dials = Dials(wires)
        gone, stays = acquiring(wires), acquiring(wires)
        await settled(lambda: len(dials.gates) == 2)
        gone.cancel()
        await asyncio.sleep(0)
        dials.gates[0].set_exception(errors.lost_before_sending())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not stays.done()
        dials.gates[1].set_exception(errors.lost_before_sending())
        with pytest.raises(errors.UpstreamError):
            await stays
        assert (wires.pool.idle, wires.pool.active) == (0, 0)


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_dial_that_fails_as_its_caller_leaves_is_told_to_nobody():
    async with server(answer_each) as port:
        wires = Wires(port)
        dials = Dials(wires)
        leaving = acquiring(wires)
        await settled(lambda: dials.gates)
        dials.gates[0].set_exception(errors.lost_before_sending())
        await asyncio.sleep(0)  # it has failed, and nobody was told yet
        leaving.cancel()
        await settled(leaving.done)
        assert leaving.cancelled()
        coming = acquiring(wires)
        await settled(lambda: len(dials.gates) == 2)
        dials.gates[1].set_result(None)
        wires.pool.release(await coming, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (1, 0)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_closed_pool_dials_for_nobody():
    async with server(answer_each) as port:
        wires = Wires(port)
        dials = Dials(wires)
        waiting = acquiring(wires)
        await asyncio.sleep(0)  # it waits, and its dial is due in the next turn
        wires.pool.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert dials.gates == []
        waiting.cancel()


@pytest.mark.interpreted(OWN_DIAL)
async def test_who_leaves_in_the_moment_of_being_served_leaves_it_to_others():
    async with server(answer_each) as port:
        wires = Wires(port)
        connection, dials = await wires.dial(), Dials(wires)
        leaves = acquiring(wires)
        await settled(lambda: dials.gates)
        wires.pool._waiting.next().give(connection)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        await settled(lambda: wires.pool.idle == 1)
        assert wires.pool.active == 0
        wires.pool.close()


async def test_what_is_given_back_belongs_to_who_has_waited_and_not_to_who_comes_in_between():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy = wires.pool.take()
        waiting = acquiring(wires)
        await asyncio.sleep(0)
        wires.pool.release(busy, keep=True)
        assert (wires.pool.idle, wires.pool.active, wires.pool.take()) == (0, 1, None)
        assert await waiting is busy
        wires.pool.release(busy, keep=True)
        assert wires.pool.take() is busy
        wires.pool.release(busy, keep=True)
        wires.pool.close()


async def test_who_was_given_one_and_leaves_gives_it_to_the_next():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy = wires.pool.take()
        leaves, stays = acquiring(wires), acquiring(wires)
        await asyncio.sleep(0)
        wires.pool.release(busy, keep=True)
        leaves.cancel()
        assert await stays is busy
        wires.pool.release(busy, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (1, 0)
        wires.pool.close()


async def test_who_waits_until_its_time_is_over_stands_in_the_line_no_more():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy, wakeup = wires.pool.take(), Wakeup()
        waiting = acquiring(wires, wakeup)
        await asyncio.sleep(0)
        wakeup.wake()  # not by a connection
        await asyncio.sleep(0)
        assert not waiting.done()
        wakeup.expired = True
        wakeup.wake()
        with pytest.raises(TimeoutError):
            await waiting
        wires.pool.release(busy, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (1, 0)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_who_was_given_one_that_ends_in_that_moment_keeps_the_first_place():
    async with server(answer_each) as port:
        ended = []
        wires = Wires(port, ended=ended.append)
        busy = [await in_use(wires) for _ in range(2)]
        Dials(wires)
        waiting = [acquiring(wires) for _ in range(2)]
        await asyncio.sleep(0)
        wires.pool.release(busy[0], keep=True)
        busy[0].abort()
        await asyncio.sleep(0)
        wires.pool.release(busy[1], keep=True)
        assert await waiting[0] is busy[1]
        assert not waiting[1].done()
        assert (ended, wires.pool.active) == (["upstream"], 1)
        waiting[1].cancel()
        wires.pool.release(busy[1], keep=True)
        wires.pool.close()


@pytest.mark.parametrize("ends", [False, True], ids=["bytes", "an end"])
async def test_one_that_is_handed_over_is_not_used_if_something_came_that_the_loop_has_not_read(ends):
    """Whoever wrote a second answer behind the first would have it taken for the next request's (RFC 9112, 9.3.1)."""
    say_more = asyncio.Event()

    async def talkative(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await say_more.wait()
        writer.write(b"" if ends else OK)
        if not ends:
            await reader.read()

    async with server(talkative) as port:
        ended = []
        wires = Wires(port, ended=ended.append)
        busy = await in_use(wires)
        busy.pause_reading()  # as for a client that was slow to read the answer
        say_more.set()
        await settled(busy.has_input)
        waiting = acquiring(wires)
        await asyncio.sleep(0)
        wires.pool.release(busy, keep=True)
        got = await waiting
        assert (got is busy, ended, wires.pool.active) == (False, ["upstream"], 1)
        wires.pool.release(got, keep=True)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_who_was_given_one_that_ends_takes_another_that_has_come_to_rest_meanwhile():
    async with server(answer_each) as port:
        wires = Wires(port)
        busy = [await in_use(wires) for _ in range(2)]
        dials = Dials(wires)
        waiting = acquiring(wires)
        await asyncio.sleep(0)
        wires.pool.release(busy[0], keep=True)
        busy[0].abort()
        wires.pool.release(busy[1], keep=True)
        assert wires.pool.idle == 1
        await settled(waiting.done)
        assert await waiting is busy[1]
        assert (wires.pool.idle, wires.pool.active, dials.gates) == (0, 1, [])
        wires.pool.release(busy[1], keep=True)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_dial_that_began_before_a_reload_serves_nobody():
    """It may have been verified by a CA that is trusted no more."""
    async with server(answer_each) as port:
        ended = []
        wires = Wires(port, ended=ended.append)
        outdated = await wires.dial()
        wires.pool.retire()
        began: list[asyncio.Future[UpstreamConnection]] = []

        async def dial(wakeup, needed=None) -> UpstreamConnection:
            began.append(asyncio.get_running_loop().create_future())
            return await began[-1]

        fresh, wires.pool.dial = await wires.dial(), dial
        waiting = acquiring(wires)
        await settled(lambda: began)
        began[0].set_result(outdated)
        await settled(lambda: len(began) == 2)  # it waits still, and another dial is made for it
        assert (ended, waiting.done()) == (["reload"], False)
        began[1].set_result(fresh)
        assert await waiting is fresh
        wires.pool.release(fresh, keep=True)
        assert (wires.pool.idle, wires.pool.active) == (1, 0)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_nobody_is_dialled_for_who_is_served_in_the_same_turn_of_the_loop():
    async with server(answer_each) as port:
        wires = Wires(port)
        await exchange(wires)
        busy, dials = wires.pool.take(), Dials(wires)
        for _ in range(10):
            waiting = acquiring(wires)
            await asyncio.sleep(0)
            wires.pool.release(busy, keep=True)
            assert await waiting is busy
        assert not dials.gates
        wires.pool.release(busy, keep=True)
        wires.pool.close()


@pytest.mark.interpreted(OWN_DIAL)
async def test_a_few_dials_begin_in_each_turn_of_the_loop_until_all_have_one_who_wait():
    async with server(answer_each) as port:
        wires = Wires(port)
        dials, begun = Dials(wires), []
        waiting = [acquiring(wires) for _ in range(3 * DIALS_PER_TURN + 1)]
        for _ in range(2 * len(waiting)):
            before = len(dials.gates)
            await asyncio.sleep(0)
            begun.append(len(dials.gates) - before)
        assert max(begun) == DIALS_PER_TURN
        assert sum(begun) == len(waiting)
        for gate in dials.gates:
            gate.set_result(None)
        for one in waiting:
            wires.pool.release(await one, keep=True)
        assert len(wires.pool._dials) == 0
        wires.pool.close()


@pytest.mark.parametrize(
    ("worked", "given_back", "dials"),
    [
        pytest.param(0.9, 1, 0, id="busy, and what is given back serves all soon"),
        pytest.param(0.9, 0, DIALS_PER_LOOK, id="busy, but nothing is given back"),
        pytest.param(0.7, 1, DIALS_PER_LOOK, id="time to spare"),
    ],
)
async def test_many_connections_become_more_only_while_there_is_time_to_spare_or_none_comes_back(
    worked, given_back, dials
):
    async with server(answer_each) as port:
        cpu = [0.0]
        looks = count()
        # Each look finds a little more, so that the loop's own timer, which may come at any time, finds it busy.
        wires = Wires(port, cpu=lambda: cpu[0] + next(looks) * 1e-12)
        busy = [await wires.dial() for _ in range(2 * SPARE)]
        waiting = [acquiring(wires) for _ in range(SPARE)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not wires.pool._dials
        for connection in busy[:given_back]:
            wires.pool.release(connection, keep=True)
        wires.clocks.sleep(LOOK_EVERY)
        cpu[0] = worked * LOOK_EVERY
        wires.pool._start_dials()  # as a moment later
        assert len(wires.pool._dials) == dials
        for connection in busy[:given_back]:
            assert await waiting.pop(0) is connection
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for connection in busy:
            wires.pool.release(connection, keep=True)
        wires.pool.close()


# ---- connections grow old


@pytest.mark.parametrize(("jitter", "age"), [(0.0, 1 - AGE_SPREAD), (0.5, 1.0), (1.0, 1 + AGE_SPREAD)])
async def test_a_connection_that_is_too_old_is_used_no_more(jitter, age):
    async with server(answer_each) as port:
        closed = []
        wires = Wires(port, max_age=20.0, jitter=lambda: jitter, ended=closed.append)
        await exchange(wires)
        wires.clocks.sleep(20.0 * age - 0.1)
        await exchange(wires)
        assert wires.connects == [True]
        wires.clocks.sleep(0.2)
        assert wires.pool.take() is None
        assert closed == ["age"]


async def test_one_that_grows_old_in_use_or_at_rest_is_closed_without_being_asked_for():
    async with server(answer_each) as port:
        closed = []
        wires = Wires(port, max_age=20.0, ended=closed.append)
        await exchange(wires)
        resting = await wires.dial()
        busy = wires.pool.take()
        wires.pool.release(resting, keep=True)
        wires.clocks.sleep(20.0)
        wires.pool.release(busy, keep=True)
        wires.pool.expire_idle()
        assert (wires.pool.idle, closed) == (0, ["age", "age"])


async def test_without_a_greatest_age_connections_stay():
    async with server(answer_each) as port:
        wires = Wires(port, max_age=0.0)
        await exchange(wires)
        for _ in range(100):
            wires.clocks.sleep(40.0)
            await exchange(wires)
        assert wires.connects == [True]
        wires.pool.close()


async def test_retired_connections_are_used_no_more_those_in_use_once_they_are_given_back():
    async with server(answer_each) as port:
        closed = []
        wires = Wires(port, ended=closed.append)
        await exchange(wires)
        busy = wires.pool.take()
        resting = await wires.dial()
        wires.pool.release(resting, keep=True)
        wires.pool.retire()
        assert (wires.pool.idle, closed) == (0, ["reload"])
        wires.pool.release(busy, keep=True)
        assert (wires.pool.idle, closed) == (0, ["reload", "reload"])
        await exchange(wires)
        assert wires.pool.idle == 1
        wires.pool.close()


async def test_when_an_address_dies_what_rests_there_is_not_tried_one_after_the_other():
    async with server(answer_each) as port:
        closed = []
        wires = Wires(port, ended=closed.append)
        connections = [await wires.dial() for _ in range(4)]
        for connection in connections:
            await body_of(wires, connection, await wires.ask(connection), Basin())
            wires.pool.release(connection, keep=True)
        dies = wires.pool.take()
        dies.begin(wires.wakeup)
        dies.connection_lost(ConnectionResetError())
        wires.pool.release(dies, keep=False)
        assert wires.pool.take() is None
        assert closed == ["upstream", "error", "error", "error"]
