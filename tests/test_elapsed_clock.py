"""A clock that nobody can set and that counts a sleep."""

from __future__ import annotations

from biot_sidecar.elapsed_clock import LEAP, ElapsedClock
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import Clock

NOW = 1_763_549_574.0


def clocks() -> tuple[Clock, Clock, ElapsedClock]:
    clock, wall = Clock(1000.0), Clock(NOW)
    return clock, wall, ElapsedClock(clock, wall)


def test_it_goes_on_with_both_clocks():
    clock, wall, elapsed = clocks()
    before = elapsed()
    clock.now, wall.now = clock.now + 7, wall.now + 7
    assert elapsed() - before == 7


def test_a_sleep_counts_each_time():
    clock, wall, elapsed = clocks()
    before = elapsed()
    wall.now += 3600
    assert elapsed() - before == 3600
    clock.now += 1
    wall.now += 61
    assert elapsed() - before == 3661


def test_a_wall_clock_set_back_does_not_count_and_a_sleep_after_it_does():
    _, wall, elapsed = clocks()
    before = elapsed()
    wall.now -= 3600
    assert elapsed() == before
    wall.now += 60
    assert elapsed() - before == 60


def test_the_clocks_small_quarrels_do_not_add_up():
    clock, wall, elapsed = clocks()
    before = elapsed()
    for step in range(10_000):
        clock.now += 0.001
        wall.now += 0.001 + (0.3 if step % 2 else -0.3)
        elapsed()
    assert abs(elapsed() - before - 10) < 1e-6


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), max_size=20))
def test_it_never_runs_backwards_and_never_behind_the_monotonic_clock(steps):
    clock, wall, elapsed = clocks()
    last = elapsed()
    for passed, leap in steps:
        clock.now += passed
        wall.now += passed + leap
        now = elapsed()
        assert now - last >= passed - 1e-6
        assert now - last <= passed + max(leap, 0.0) + 2 * LEAP + 1e-6
        last = now
