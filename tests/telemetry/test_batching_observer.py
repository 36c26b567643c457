"""Requests that are told of together, and none that is forgotten."""

from __future__ import annotations

from biot_sidecar.telemetry.batching_observer import MAX_BATCH, BatchingObserver

from tests.support.finished import exchange


class Listener:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def finished(self, notified) -> None:
        self.heard.append(notified)


def test_everybody_hears_of_each_request_in_its_order_once_it_is_time():
    one, two, timers, errors = Listener(), Listener(), [], []
    batch = BatchingObserver([one, two], timers.append, errors.append)
    requests = [exchange(0.1), exchange(0.2)]
    for request in requests:
        batch.finished(request)
    assert one.heard == []
    (timer,) = timers
    timer()
    assert one.heard == two.heard == requests


def test_as_many_as_may_wait_are_told_of_at_once():
    one, timers, errors = Listener(), [], []
    batch = BatchingObserver([one], timers.append, errors.append)
    for _ in range(MAX_BATCH):
        batch.finished(exchange(0.1))
    assert len(one.heard) == MAX_BATCH
    timers[0]()  # it finds nothing left
    assert len(one.heard) == MAX_BATCH


def test_after_a_flush_the_next_request_asks_for_a_new_timer():
    one, timers, errors = Listener(), [], []
    batch = BatchingObserver([one], timers.append, errors.append)
    for number in (1, 2):
        batch.finished(exchange(0.1))
        batch.flush()
        assert (len(timers), len(one.heard)) == (number, number)


class Broken(Listener):
    def finished(self, notified) -> None:
        super().finished(notified)
        raise ValueError


def test_an_observer_that_raises_costs_nobody_else_anything():
    broken, one, timers, errors = Broken(), Listener(), [], []
    batch = BatchingObserver([broken, one], timers.append, errors.append)
    requests = [exchange(0.1) for _ in range(MAX_BATCH)]
    for request in requests:
        batch.finished(request)
    assert broken.heard == one.heard == requests
    assert [type(error) for error in errors] == [ValueError] * MAX_BATCH
