"""Long work beside the loop: it rests, and collects no garbage."""

from __future__ import annotations

import gc

from biot_sidecar.background_work import MANY, REST, WORK, Rests, no_collections

from tests.support.fakes import Clock


def test_a_rest_follows_each_piece_of_work():
    clock, rests = Clock(100.0), []
    pace = Rests(clock, rests.append)
    pace()
    assert rests == []
    clock.now += WORK
    pace()
    pace()
    assert rests == [REST]
    clock.now += WORK
    pace()
    assert rests == [REST, REST]


def test_nothing_is_collected_meanwhile_nor_looked_at_later_if_it_is_much():
    frozen = gc.get_freeze_count()
    with no_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    try:
        with no_collections():
            made = [[number] for number in range(2 * MANY)]
        assert gc.get_freeze_count() - frozen >= len(made)
    finally:
        gc.unfreeze()


def test_where_nothing_is_collected_nothing_is_afterwards():
    gc.disable()
    try:
        with no_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
