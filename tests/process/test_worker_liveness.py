"""When a worker counts as one that hangs, by a clock that is passed in."""

from __future__ import annotations

import pytest
from biot_sidecar.process.worker_liveness import STARTING_MOST, UNANSWERED_MOST, Liveness, Punctuality


def asked(times: int, *, late_at: int = -1, answered_at: int = -1) -> Liveness:
    """A worker that has served, and then was asked so many times, once a second."""
    worker = Liveness()
    worker.asked(late=False)
    worker.answered()
    for number in range(times):
        worker.asked(late=number == late_at)
        if number == answered_at:
            worker.answered()
    return worker


def test_ten_questions_in_a_row_left_unanswered_are_one_too_many():
    assert not asked(UNANSWERED_MOST).hangs  # the tenth is still open
    assert asked(UNANSWERED_MOST + 1).hangs


@pytest.mark.parametrize("at", range(UNANSWERED_MOST))
def test_an_answer_begins_the_count_anew(at):
    assert not asked(UNANSWERED_MOST + 1, answered_at=at).hangs
    assert not asked(at + 1 + UNANSWERED_MOST, answered_at=at).hangs
    assert asked(at + 2 + UNANSWERED_MOST, answered_at=at).hangs


@pytest.mark.parametrize("at", range(UNANSWERED_MOST))
def test_a_late_question_begins_the_count_anew(at):
    assert not asked(UNANSWERED_MOST + at, late_at=at).hangs
    assert asked(UNANSWERED_MOST + at + 1, late_at=at).hangs


def test_a_worker_that_starts_has_more_time():
    worker = Liveness()
    for _ in range(STARTING_MOST):
        worker.asked(late=False)
    assert not worker.hangs
    worker.asked(late=False)
    assert worker.hangs


def test_who_stood_still_comes_late_once():
    asker = Punctuality(100.0)
    assert [asker.comes_late(now) for now in (101.0, 102.9, 103.9, 163.9, 164.9)] == [False, False, False, True, False]
