"""Memory is given back when a process that has grown is idle, and not for nothing."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest
from biot_sidecar.platform import give_memory_back, resident_memory
from biot_sidecar.process.memory_trim import AGAIN, GROWTH, MemoryTrimmer

MIB = 1024 * 1024


class Process:
    """A process of some size, of which a walk gives back all but 20 MiB."""

    def __init__(self, able: bool = True) -> None:
        self.size = 20 * MIB
        self.walks = 0
        self.able = able
        self.trimmer = MemoryTrimmer(lambda: self.size, self.trim)

    def trim(self) -> bool:
        self.walks += 1
        if self.able:
            self.size = 20 * MIB
        return self.able

    def poll(self, times: int = 1, *, idle: bool = True) -> None:
        for _ in range(times):
            self.trimmer.poll(idle=idle)


def test_a_process_that_has_not_grown_is_left_alone():
    process = Process()
    process.size += GROWTH
    process.poll(100)
    assert process.walks == 0


def test_a_process_that_has_grown_gives_back_when_it_is_idle_and_once_more_later():
    process = Process()
    process.size += GROWTH + 1
    process.poll(3, idle=False)
    assert process.walks == 0
    process.poll()
    assert (process.walks, process.size) == (1, 20 * MIB)
    process.poll(AGAIN - 1)
    assert process.walks == 1
    process.poll(100)
    assert process.walks == 2


def test_growth_in_small_steps_is_growth():
    process = Process()
    for _ in range(10):
        process.size += GROWTH // 4
        process.poll()
    assert process.walks == 2


def test_where_the_library_cannot_it_is_asked_once():
    process = Process(able=False)
    process.size += 2 * GROWTH
    process.poll(100)
    assert process.walks == 1


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5) and glibc")
def test_this_process_knows_its_size():
    assert resident_memory() > MIB


def test_what_ended_in_a_cycle_is_given_back_too():
    class Connection:
        pass

    ended = Connection()
    ended.itself = ended  # type: ignore[attr-defined]
    seen = weakref.ref(ended)
    gc.disable()
    try:
        del ended
        assert give_memory_back() is False or seen() is None
    finally:
        gc.enable()
