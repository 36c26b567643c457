"""Waiting without losing an event, and deadlines by a clock set by hand."""

from __future__ import annotations

import asyncio

from proxy.pipeline.signal import Signal, Sweep
from tests.support.fakes import Clock


def make():
    loop = asyncio.get_running_loop()
    clock = Clock(100.0)
    sweep = Sweep(loop, clock)
    signal = Signal(loop)
    sweep.watch(signal)
    return clock, sweep, signal


async def test_waking_ends_the_wait_and_waking_nobody_is_no_mistake():
    signal = Signal(asyncio.get_running_loop())
    signal.wake()
    waiting = signal.next()
    signal.wake()
    signal.wake()
    await waiting
    assert not signal.next().done()


async def test_a_deadline_that_has_passed_wakes_and_says_so_once():
    clock, sweep, signal = make()
    sweep.arm(signal, 105.0)
    waiting = signal.next()
    sweep._sweep()
    assert not waiting.done()
    assert not signal.expired
    clock.now = 105.0
    sweep._sweep()
    assert waiting.done()
    assert signal.expired
    assert signal.deadline == float("inf")
    sweep.close()


async def test_arming_again_moves_the_deadline():
    clock, sweep, signal = make()
    sweep.arm(signal, 105.0)
    sweep.arm(signal, 110.0)
    clock.now = 106.0
    sweep._sweep()
    assert not signal.expired
    sweep.arm(signal, 106.0)
    sweep._sweep()
    assert signal.expired
    sweep.arm(signal, 200.0)
    assert not signal.expired
    sweep.close()


async def test_a_forgotten_signal_does_not_expire():
    clock, sweep, signal = make()
    sweep.arm(signal, 101.0)
    sweep.forget(signal)
    sweep.forget(signal)
    clock.now = 200.0
    sweep._sweep()
    assert not signal.expired
    sweep.close()


async def test_the_timer_itself_sweeps():
    _, sweep, signal = make()
    waiting = signal.next()
    sweep.arm(signal, 100.0)
    await asyncio.wait_for(waiting, 10)
    assert signal.expired
    sweep.close()
