"""The word that was probably meant."""

from __future__ import annotations

import pytest
from biot_sidecar.suggest import suggest

KEYS = ["interception", "authorization", "timeout", "retry"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("interseption", "interception"), ("time_out", "timeout"), ("retries", "retry"), ("retry", "retry")],
)
def test_a_slip_finds_the_word_that_was_meant(word, meant):
    assert suggest(word, KEYS) == meant


@pytest.mark.parametrize(
    ("word", "meant"), [("auth", "authorization"), ("au", None), ("time", "timeout"), ("re", None)]
)
def test_the_beginning_of_one_word_alone_stands_for_it(word, meant):
    assert suggest(word, ["match", "authorization", "timeout", "request", "retry"]) == meant


def test_a_word_like_none_of_them_finds_none():
    assert suggest("zzz", KEYS) is None
    assert suggest("", KEYS) is None
    assert suggest("retry", []) is None


def test_a_higher_likeness_asks_for_more():
    assert suggest("retries", KEYS, 0.9) is None
