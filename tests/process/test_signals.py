"""Signals: once to drain, twice to end at once."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from biot_sidecar.process.signals import StopSignals

from tests.http.wires import settled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_asks_and_the_second_hurries(number):
    stop = StopSignals(asyncio.get_running_loop(), lambda: None)
    assert not stop.drain_requested.is_set()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.drain_requested.wait(), 40)
    assert not stop.force_requested.is_set()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.force_requested.wait(), 40)


async def test_a_hangup_is_no_reason_to_stop():
    hangups = []
    stop = StopSignals(asyncio.get_running_loop(), lambda: hangups.append(1))
    os.kill(os.getpid(), signal.SIGHUP)
    await settled(lambda: hangups)
    assert not stop.drain_requested.is_set()
