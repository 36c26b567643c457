"""When the next login may be tried, and whose decision that is."""

from __future__ import annotations

import pytest
from biot_sidecar.auth.backoff import NO_BACKOFF, LoginBackoff
from biot_sidecar.auth.login_failure import LoginFailure, secret_unreadable
from biot_sidecar.errors import Code
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

NOW = 1_763_549_574.0
REJECTED = LoginFailure(Code.LOGIN_REJECTED, "rejected", "rejected", blocks=True)
BROKEN = LoginFailure(Code.LOGIN_UNAVAILABLE, "server_error", "BioT answered 500")


def waits_after(one: LoginFailure, count: int, jitter: float = 0.0) -> list[float]:
    """The waits after each of `count` failures in a row."""
    backoff, waits, now = NO_BACKOFF, [], NOW
    for _ in range(count):
        backoff = backoff.after_failure(one, now, jitter)
        waits.append(backoff.until - now)
        now = backoff.until
    return waits


def test_rejected_logins_block_for_a_minute_doubling_up_to_a_quarter_of_an_hour():
    assert waits_after(REJECTED, 6) == [60, 120, 240, 480, 900, 900]


def test_other_failures_pause_for_a_second_doubling_up_to_a_minute_with_jitter():
    assert waits_after(BROKEN, 8) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert waits_after(BROKEN, 2, jitter=0.8) == pytest.approx([1.2, 2.4])


def test_a_login_is_not_tried_before_retry_after():
    asked = structs.replace(BROKEN, retry_after=17)
    assert waits_after(asked, 6) == [17, 17, 17, 17, 17, 32]
    assert waits_after(structs.replace(BROKEN, retry_after=10**6), 1) == [3600]


def test_another_sort_of_failure_counts_from_the_start():
    backoff = NO_BACKOFF.after_failure(BROKEN, NOW, 0).after_failure(REJECTED, NOW, 0)
    assert backoff.until == NOW + 60
    assert backoff.blocked(NOW)
    assert not backoff.blocked(NOW + 60)


def test_trouble_on_the_way_does_not_shorten_the_next_block():
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW, 0)
    backoff = backoff.after_failure(BROKEN, NOW, 0)
    assert backoff.until == NOW + 1
    assert not backoff.blocked(NOW)
    backoff = backoff.after_failure(REJECTED, NOW, 0)
    assert backoff.until == NOW + 120


def test_another_secret_is_a_new_case_and_biots_trouble_is_not():
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW, 0).after_failure(BROKEN, NOW, 0)
    backoff = backoff.after_new_secret()
    assert backoff.until == NOW + 1
    assert backoff.after_failure(BROKEN, NOW, 0).until == NOW + 2
    backoff = backoff.after_failure(REJECTED, NOW, 0)
    assert backoff.until == NOW + 60
    assert not backoff.after_new_secret().paused(NOW)


def test_a_secret_that_is_back_ends_the_pause_and_forgets_no_rejection():
    lacking = secret_unreadable("gone")
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW, 0).after_failure(lacking, NOW, 0)
    assert backoff.lacks_secret
    assert backoff.paused(NOW)
    back = backoff.after_secret_came_back()
    assert not back.paused(NOW)
    assert back.after_failure(REJECTED, NOW, 0).until == NOW + 120
    assert back.after_failure(lacking, NOW, 0).until == NOW + 2
    assert not NO_BACKOFF.lacks_secret
    assert not NO_BACKOFF.after_failure(REJECTED, NOW, 0).lacks_secret


def test_no_backoff_is_none():
    assert not NO_BACKOFF.paused(NOW)
    assert not NO_BACKOFF.blocked(NOW)


@given(st.integers(0, 10**6), st.floats(0, 0.999), st.floats(0, 1e9), st.booleans())
def test_a_wait_is_never_absurd(failures, jitter, asked, blocks):
    one = LoginFailure(Code.LOGIN_REJECTED, "rejected", "", blocks=blocks, retry_after=asked)
    backoff = LoginBackoff(0, failures, failures, one).after_failure(one, NOW, jitter)
    assert 1 <= backoff.until - NOW <= 3600


def test_another_secret_is_news_to_a_block_and_to_nothing_that_biot_has_trouble_with():
    for one, news in [(REJECTED, True), (secret_unreadable("no such file"), True), (BROKEN, False)]:
        assert NO_BACKOFF.after_failure(one, NOW, 0).about_secret is news
    assert not NO_BACKOFF.about_secret


def test_the_owners_pause_is_followed_as_it_is():
    told = NO_BACKOFF.after_failure(structs.replace(REJECTED, pause=5.0, retry_after=17), NOW, 0.9)
    assert told.until == NOW + 5
    assert told.blocked(NOW)
    told = told.after_failure(structs.replace(BROKEN, pause=0.0), NOW, 0.9)
    assert not told.paused(NOW)


def test_a_backoff_of_the_fleet_is_everybodys_for_as_long_as_it_lasts():
    backoff = LoginBackoff(NOW + 40, 1, 0, REJECTED)
    told = backoff.failure_to_follow(NOW)
    assert told is not None
    assert (told.message, told.blocks, told.pause) == (REJECTED.message, True, 40)
    assert backoff.failure_to_follow(NOW + 40) is None
    assert NO_BACKOFF.failure_to_follow(NOW) is None
    told = LoginBackoff(NOW + 40, 0, 1, BROKEN).failure_to_follow(NOW)
    assert told is not None
    assert (told.pause, told.retry_after) == (None, 40)  # the least pause, not the whole of it


def test_rejected_logins_of_all_count_together_and_other_failures_do_not():
    rejected = LoginBackoff(NOW, 2, 0, REJECTED)
    assert rejected.after_failure_in_fleet(REJECTED, NOW, 0.0).until == NOW + 240
    broken = rejected.after_failure_in_fleet(BROKEN, NOW, 0.0)
    assert broken.until == NOW + 1
    assert broken.after_failure_in_fleet(BROKEN, NOW, 0.0).until == NOW + 1
    assert broken.after_failure_in_fleet(REJECTED, NOW, 0.0).until == NOW + 240
