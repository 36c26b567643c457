"""When a worker counts as one that hangs, by a clock that is passed in."""

from __future__ import annotations

import pytest
from biot_sidecar.process.worker_liveness import MAX_UNANSWERED, MAX_UNANSWERED_STARTING, Liveness, ProbeClock


def probed(times: int, *, late_at: int = -1, answered_at: int = -1) -> Liveness:
    """A worker that has served, and then was asked so many times, once a second."""
    worker = Liveness()
    worker.probe_sent(late=False)
    worker.probe_answered()
    for number in range(times):
        worker.probe_sent(late=number == late_at)
        if number == answered_at:
            worker.probe_answered()
    return worker


def test_ten_questions_in_a_row_left_unanswered_are_one_too_many():
    assert not probed(MAX_UNANSWERED).is_unresponsive  # the tenth is still open
    assert probed(MAX_UNANSWERED + 1).is_unresponsive


@pytest.mark.parametrize("at", range(MAX_UNANSWERED))
def test_an_answer_begins_the_count_anew(at):
    assert not probed(MAX_UNANSWERED + 1, answered_at=at).is_unresponsive
    assert not probed(at + 1 + MAX_UNANSWERED, answered_at=at).is_unresponsive
    assert probed(at + 2 + MAX_UNANSWERED, answered_at=at).is_unresponsive


@pytest.mark.parametrize("at", range(MAX_UNANSWERED))
def test_a_late_question_begins_the_count_anew(at):
    assert not probed(MAX_UNANSWERED + at, late_at=at).is_unresponsive
    assert probed(MAX_UNANSWERED + at + 1, late_at=at).is_unresponsive


def test_a_worker_that_starts_has_more_time():
    worker = Liveness()
    for _ in range(MAX_UNANSWERED_STARTING):
        worker.probe_sent(late=False)
    assert not worker.is_unresponsive
    worker.probe_sent(late=False)
    assert worker.is_unresponsive


def test_who_stood_still_comes_late_once():
    asker = ProbeClock(100.0)
    assert [asker.is_late(now) for now in (101.0, 102.9, 103.9, 163.9, 164.9)] == [False, False, False, True, False]
