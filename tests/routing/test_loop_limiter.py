"""A loop of interceptors is cut after a few rounds."""

from __future__ import annotations

from biot_sidecar.routing.loop_limiter import LoopLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_only_so_many_requests_of_one_kind_go_within_a_minute():
    clock = Clock()
    guard = LoopLimiter(clock, 3)
    for _ in range(3):
        clock.now += 1
        assert guard.admits("trace", b"PATCH", b"/a")
    assert not guard.admits("trace", b"PATCH", b"/a")
    assert guard.admits("trace", b"PATCH", b"/b")
    assert guard.admits("trace", b"PUT", b"/a")
    assert guard.admits("other", b"PATCH", b"/a")


def test_the_window_slides():
    clock = Clock()
    guard = LoopLimiter(clock, 2)
    assert guard.admits("t", b"PUT", b"/a")
    clock.now += 40
    assert guard.admits("t", b"PUT", b"/a")
    clock.now += 19.9
    assert not guard.admits("t", b"PUT", b"/a")
    clock.now += 0.2
    assert guard.admits("t", b"PUT", b"/a")
    assert not guard.admits("t", b"PUT", b"/a")


def test_it_forgets():
    clock = Clock()
    guard = LoopLimiter(clock, 1)
    for number in range(20_000):
        assert guard.admits(str(number), b"PUT", b"/a")
    assert len(guard._seen) <= 10_000
