"""Waiting without losing an event, and deadlines by a clock set by hand."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from biot_sidecar.http.deadlines import DeadlineTimer, Wakeup, timeout

from tests.support.fakes import Clock


def make():
    loop = asyncio.get_running_loop()
    clock = Clock(100.0)
    deadlines = DeadlineTimer(loop, clock)
    wakeup = Wakeup()
    deadlines.register(wakeup)
    return clock, deadlines, wakeup


async def test_waking_ends_the_wait_and_waking_nobody_is_no_mistake():
    wakeup = Wakeup()
    wakeup.wake()
    waiting = wakeup.next()
    wakeup.wake()
    wakeup.wake()
    await waiting
    assert not wakeup.next().done()


async def test_a_deadline_that_has_passed_wakes_and_says_so_once():
    clock, deadlines, wakeup = make()
    deadlines.arm(wakeup, 105.0)
    waiting = wakeup.next()
    deadlines._expire_due()
    assert not waiting.done()
    assert not wakeup.expired
    clock.now = 105.0
    deadlines._expire_due()
    assert waiting.done()
    assert wakeup.expired
    assert wakeup.deadline == float("inf")
    deadlines.close()


async def test_arming_again_moves_the_deadline():
    clock, deadlines, wakeup = make()
    deadlines.arm(wakeup, 105.0)
    deadlines.arm(wakeup, 110.0)
    clock.now = 106.0
    deadlines._expire_due()
    assert not wakeup.expired
    deadlines.arm(wakeup, 106.0)
    deadlines._expire_due()
    assert wakeup.expired
    deadlines.arm(wakeup, 200.0)
    assert not wakeup.expired
    deadlines.close()


async def test_a_forgotten_signal_does_not_expire():
    clock, deadlines, wakeup = make()
    deadlines.arm(wakeup, 101.0)
    deadlines.unregister(wakeup)
    deadlines.unregister(wakeup)
    clock.now = 200.0
    deadlines._expire_due()
    assert not wakeup.expired
    deadlines.close()


async def test_the_timer_itself_sweeps():
    _, deadlines, wakeup = make()
    waiting = wakeup.next()
    deadlines.arm(wakeup, 100.0)
    await asyncio.wait_for(waiting, 40)
    assert wakeup.expired
    deadlines.close()


async def test_a_deadline_lets_the_loop_read_its_sockets_before_it_passes():
    _, deadlines, wakeup = make()
    deadlines.arm(wakeup, 100.0)
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        found: list[bool] = []
        loop.add_reader(ours, lambda: found.append(wakeup.expired))
        loop.call_later(0.0, stand_still, theirs)
        await asyncio.wait_for(wakeup.next(), 40)
        loop.remove_reader(ours)
        assert wakeup.expired
        assert found[0] is False
    deadlines.close()


def stand_still(sock: socket.socket) -> None:
    """The loop's thread does nothing for longer than any timer of these tests; meanwhile something arrives."""
    sock.send(b"x")
    time.sleep(0.05)


async def test_a_wait_ends_with_its_time():
    with pytest.raises(TimeoutError), timeout(0.01):
        await asyncio.Event().wait()
    with timeout(30):
        await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_what_came_before_a_late_timer_was_looked_at_came_in_time():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        loop.call_soon(stand_still, theirs)
        with timeout(0.01):
            assert await loop.sock_recv(ours, 1) == b"x"


async def test_who_waits_for_one_who_was_answered_is_answered_too():
    """As a call waits for a login that others share."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()

    async def share(read: asyncio.Future[bytes]) -> bytes:
        return await asyncio.shield(read)

    with ours, theirs:
        ours.setblocking(False)
        read = asyncio.ensure_future(share(asyncio.ensure_future(loop.sock_recv(ours, 1))))
        loop.call_soon(stand_still, theirs)
        with timeout(0.01):
            assert await asyncio.shield(read) == b"x"


async def test_a_wait_that_somebody_cancels_is_cancelled():
    async def wait() -> None:
        with timeout(0.01):
            await asyncio.sleep(30)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wait_that_somebody_cancels_as_its_time_ends_is_cancelled():
    loop = asyncio.get_running_loop()

    async def wait() -> None:
        with timeout(0.0):
            try:
                await asyncio.sleep(30)
            finally:
                task.cancel()

    task = loop.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_time_that_is_over_is_not_given_again():
    async def wait() -> None:
        limit = timeout(0.0)
        with limit:
            try:
                await asyncio.sleep(30)
            finally:
                limit.reschedule(30)

    with pytest.raises(TimeoutError):
        await wait()
