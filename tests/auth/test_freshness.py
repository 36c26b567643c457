"""When a token is good enough."""

from __future__ import annotations

import math

import msgspec
import pytest
from biot_sidecar.auth.freshness import least_left, new_string, renewal_time, satisfies, too_old_to_start, usable
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.token import Token
from hypothesis import given
from hypothesis import strategies as st


def token(life: float, obtained: float = 1000.0) -> Token:
    return Token("a.b.c", obtained, obtained + life, 1)


@pytest.mark.parametrize(("life", "least"), [(1800, 60), (600, 60), (599, 59.9), (60, 6), (1, 0.1)])
def test_a_tenth_of_its_life_at_most_a_minute_is_left_unused(life, least):
    assert least_left(life) == pytest.approx(least)


@pytest.mark.parametrize(("age", "good"), [(0, True), (1739.9, True), (1740, False), (1800, False), (9999, False)])
def test_a_token_of_thirty_minutes_is_sent_for_twenty_nine(age, good):
    assert usable(token(1800), 1000 + age) is good


def test_no_token_is_not_usable():
    assert not usable(None, 0)


def test_renewal_begins_past_three_quarters_of_life_and_is_spread():
    assert renewal_time(token(1000), 0.0) == 1750
    assert renewal_time(token(1000), 0.999) == pytest.approx(1849.9)


@given(st.floats(0.001, 1e6), st.floats(0, 0.999))
def test_renewal_always_begins_before_the_token_is_unusable(life, jitter):
    one = token(life)
    assert usable(one, renewal_time(one, jitter))


@pytest.mark.parametrize(
    ("age", "fresh_for", "old"), [(300, 300, False), (300.1, 300, True), (0, 0, False), (0.1, 0, True)]
)
def test_a_string_starts_with_a_young_token(age, fresh_for, old):
    assert too_old_to_start(token(1800), 1000 + age, fresh_for) is old


def test_a_clock_that_went_back_makes_no_token_young():
    assert too_old_to_start(token(1800), 990, 300)


@pytest.mark.parametrize(
    ("last", "now", "new"), [(None, 0, True), (100, 129.9, False), (100, 130, True), (100, 50, False)]
)
def test_a_silence_of_the_gap_ends_a_string(last, now, new):
    assert new_string(last, now, 30) is new


ISSUED = IssuedToken("a.b.c", 0.0, 1800.0, age=10.0)


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        (TokenRequest("start", 300), True),
        (TokenRequest("start", 11), True),
        (TokenRequest("start", 10), False),
        (TokenRequest("string", 5), False),
        (TokenRequest("string", math.inf, b"Bearer a.b.c"), False),  # the very token that is to be replaced
        (TokenRequest("token_not_valid", 300, b"Bearer x.y.z"), True),
        (TokenRequest("token_not_valid", 300, b"Bearer a.b.c"), False),
    ],
)
def test_a_token_suits_if_it_is_young_enough_and_not_the_rejected_one(wanted, good):
    assert satisfies(ISSUED, wanted) is good


@pytest.mark.parametrize(("later", "good"), [(1339, True), (1341, False), (1740, False), (4000, False)])
def test_a_token_that_is_about_to_be_renewed_suits_nobody(later, good):
    assert satisfies(msgspec.structs.replace(ISSUED, age=10 + later), TokenRequest("expiring")) is good
