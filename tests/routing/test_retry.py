"""When a try is repeated, after how long, and how many repeats the last seconds allow."""

from __future__ import annotations

import tracemalloc

import pytest
from biot_sidecar.routing.retry import BUDGET_LEAST, MORE_TRIES, RetryBudget, may_retry, pause
from biot_sidecar.routing.route import Retry, Route
from hypothesis import given
from hypothesis import strategies as st

ROUTE = Route(name="r", source="f:1")
NEVER = Route(name="r", source="f:1", retry=Retry.NONE)
IDEMPOTENT = [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"]
OTHERS = [b"POST", b"PATCH", b"PURGE", b"get", b"TRACE"]


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("reason", ["connect", "reset", "status"])
def test_an_idempotent_method_is_tried_again_whatever_went_wrong(method, reason):
    assert may_retry(ROUTE, method, reason, 0)


@pytest.mark.parametrize("method", OTHERS)
def test_any_other_method_is_tried_again_only_when_nothing_of_it_was_sent(method):
    assert may_retry(ROUTE, method, "connect", 0)
    assert not may_retry(ROUTE, method, "reset", 0)
    assert not may_retry(ROUTE, method, "status", 0)


@pytest.mark.parametrize("method", IDEMPOTENT + OTHERS)
def test_what_is_no_reason_is_never_tried_again(method):
    assert not may_retry(ROUTE, method, "", 0)


def test_two_more_tries_are_the_most():
    assert [may_retry(ROUTE, b"GET", "connect", done) for done in range(4)] == [True, True, False, False]
    assert MORE_TRIES == 2


@pytest.mark.parametrize("reason", ["connect", "reset", "status"])
def test_a_route_without_retries_gets_none(reason):
    assert not may_retry(NEVER, b"GET", reason, 0)


@given(st.integers(0, 1), st.floats(0, 1, exclude_max=True))
def test_pauses_lie_between_25_and_250_ms(done, jitter):
    assert 0.025 <= pause(done, jitter) <= 0.25


def test_the_second_pause_may_be_longer_than_the_first():
    assert pause(0, 0.0) == pause(1, 0.0) == 0.025
    assert pause(0, 0.999) == pytest.approx(0.1, abs=0.001)
    assert pause(1, 0.999) == pytest.approx(0.25, abs=0.001)


def test_three_retries_are_always_allowed():
    budget = RetryBudget()
    assert [budget.spend(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_fifth_of_the_requests_may_be_retries():
    budget = RetryBudget()
    for _ in range(50):
        budget.request(100.0)
    assert sum(budget.spend(100.0) for _ in range(50)) == 10


def test_requests_and_retries_are_forgotten_after_ten_seconds():
    budget = RetryBudget()
    for _ in range(50):
        budget.request(100.0)
    assert sum(budget.spend(100.5) for _ in range(50)) == 10
    assert not budget.spend(109.9)
    assert sum(budget.spend(111.5) for _ in range(50)) == BUDGET_LEAST


def test_a_second_counts_until_ten_have_passed_since_it_began():
    budget = RetryBudget()
    for _ in range(50):
        budget.request(100.0)
    assert sum(budget.spend(110.0) for _ in range(50)) == 10
    assert sum(budget.spend(110.5) for _ in range(50)) == 0
    assert sum(budget.spend(120.5) for _ in range(50)) == BUDGET_LEAST


def test_a_second_that_begins_forgets_none_that_counts_yet():
    budget = RetryBudget()
    for _ in range(50):
        budget.request(100.0)
    budget.request(110.0)
    assert sum(budget.spend(110.0) for _ in range(50)) == 10


def test_after_a_long_silence_the_budget_begins_anew():
    budget = RetryBudget()
    for _ in range(50):
        budget.request(100.0)
    budget.request(10_000.0)
    assert sum(budget.spend(10_000.0) for _ in range(50)) == BUDGET_LEAST


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60))
def test_the_budget_is_never_overdrawn(steps):
    budget, now = RetryBudget(), 1000.0
    requests: list[float] = []
    retries: list[float] = []
    for gap, is_request in steps:
        now += gap
        if is_request:
            budget.request(now)
            requests.append(now)
        elif budget.spend(now):
            retries.append(now)
        # Counts are kept by the second: up to one of the ten may have been forgotten already.
        recent = sum(1 for at in retries if at > now - 9.0)
        possible = sum(1 for at in requests if at > now - 20.0)
        assert recent <= max(BUDGET_LEAST, 0.2 * possible)


def test_the_budgets_memory_does_not_grow_with_time():
    budget = RetryBudget()
    tracemalloc.start()
    for second in range(10_000):
        budget.request(float(second))
        if second == 1000:
            before = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4096
