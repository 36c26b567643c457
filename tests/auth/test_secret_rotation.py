"""Which step of a rotation comes next, and which key is in use: functions of values."""

from __future__ import annotations

import pytest
from biot_sidecar.auth.secret_keys import SecretKey
from biot_sidecar.auth.secret_rotation import (
    UNKNOWN,
    InUse,
    OnDisk,
    SoFar,
    Step,
    is_gone,
    is_near_its_end,
    key_in_use,
    must_stay,
    next_step,
)

NOW = 1_763_549_574.0
FOREVER = float("inf")


def keys(*ids: str) -> tuple[SecretKey, ...]:
    return tuple(SecretKey(one, NOW, FOREVER) for one in ids)


@pytest.mark.parametrize(
    ("disk", "so_far", "step"),
    [
        (OnDisk(), SoFar(), Step.CREATE),
        (OnDisk(key_id="b"), SoFar(), Step.CREATE),
        (OnDisk(), SoFar(goes_on=True), Step.DONE),
        (OnDisk(key_id="b"), SoFar(created=True, proven=True, noted=True), Step.DONE),
        (OnDisk(new=True), SoFar(goes_on=True), Step.PROVE),
        (OnDisk(new=True, new_id="b"), SoFar(created=True), Step.PROVE),
        (OnDisk(new=True, old_id="a"), SoFar(goes_on=True), Step.PROVE),
        (OnDisk(new=True), SoFar(proven=True), Step.NOTE_OLD),
        (OnDisk(new=True, old_id="a"), SoFar(proven=True), Step.NOTE_OLD),
        (OnDisk(new=True, old_id="a"), SoFar(proven=True, noted=True), Step.REPLACE),
        (OnDisk(new_id="b", old_id="a"), SoFar(), Step.NOTE_ID),
        (OnDisk(key_id="b", old_id="a", old_since=NOW), SoFar(), Step.DELETE),
        (OnDisk(key_id="b", old_id="a", old_since=NOW + 9), SoFar(), Step.DELETE),
    ],
)
def test_the_next_step_is_told_by_what_is_there(disk, so_far, step):
    assert next_step(disk, so_far, now=NOW, grace=0) is step


@pytest.mark.parametrize(("passed", "step"), [(0, Step.WAIT), (59, Step.WAIT), (60, Step.DELETE), (-9, Step.WAIT)])
def test_the_old_key_stays_for_the_grace(passed, step):
    assert next_step(OnDisk(old_id="a", old_since=NOW - passed), SoFar(), now=NOW, grace=60) is step


@pytest.mark.parametrize(
    ("known", "disk", "named", "in_use"),
    [
        (keys("a"), OnDisk(), "", InUse("a", "the only one")),
        (keys("a", "b"), OnDisk(), "", UNKNOWN),
        (keys("a", "b"), OnDisk(key_id="b"), "", InUse("b", "named in FILE.id")),
        (keys("a", "b"), OnDisk(key_id="b"), "a", InUse("a", "named by --delete")),
        (keys("a", "b"), OnDisk(key_id="gone"), "", UNKNOWN),
        (keys("a", "b"), OnDisk(), "gone", UNKNOWN),
        (keys("a"), OnDisk(key_id="gone"), "", InUse("a", "the only one")),
        (keys("a", "b"), OnDisk(new=True, new_id="b"), "", InUse("a", "the only one")),
        (keys("a", "b"), OnDisk(new=True, new_id="b", key_id="b"), "b", InUse("a", "the only one")),
        (keys("a", "b", "c"), OnDisk(new=True, new_id="b"), "", UNKNOWN),
        (keys("b"), OnDisk(new=True), "", UNKNOWN),
        (keys("a", "b"), OnDisk(new=True, key_id="a"), "", InUse("a", "named in FILE.id")),
        (keys(""), OnDisk(), "", UNKNOWN),
        (None, OnDisk(), "", UNKNOWN),
        (None, OnDisk(key_id="b"), "", InUse("b", "named in FILE.id")),
        (None, OnDisk(), "a", InUse("a", "named by --delete")),
    ],
)
def test_the_key_in_use_is_named_or_noted_or_the_only_one(known, disk, named, in_use):
    assert key_in_use(known, disk, named) == in_use


@pytest.mark.parametrize(
    ("disk", "known", "stays"),
    [
        (OnDisk(key_id="b"), keys("a", "b"), False),
        (OnDisk(), keys("a", "b"), False),
        (OnDisk(), None, False),
        (OnDisk(key_id="a"), keys("a", "b"), True),
        (OnDisk(), keys("a"), True),
        (OnDisk(changed_since=True), keys("a", "b"), True),
    ],
)
def test_a_key_that_may_be_in_use_stays(disk, known, stays):
    assert bool(must_stay("a", disk, known)) == stays


@pytest.mark.parametrize(
    ("known", "gone"), [(keys("b"), True), (keys("a", "b"), False), (keys("b", ""), False), (None, False)]
)
def test_a_key_is_gone_only_if_biot_told_all_of_them(known, gone):
    assert is_gone("a", known) == gone


def test_a_key_is_near_its_end_or_not_but_not_because_of_another():
    known = (SecretKey("a", NOW, NOW + 100), SecretKey("b", NOW, NOW + 9), SecretKey("c", None, FOREVER))
    near = {one.id for one in known if is_near_its_end(one.id, known, now=NOW, before=50)}
    assert near == {"b"}
    assert is_near_its_end("a", known, now=NOW, before=100)
    assert not is_near_its_end("x", known, now=NOW, before=100)
