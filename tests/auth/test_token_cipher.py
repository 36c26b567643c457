"""What sidecars seal for each other, and what of a store that lies they take."""

from __future__ import annotations

import math

import msgspec
import pytest
from biot_sidecar.auth.backoff import NO_BACKOFF
from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.token_cipher import (
    NONCE_BYTES,
    ROUNDING_SECONDS,
    StoredValue,
    TokenCipher,
    backoff_ttl,
    token_ttl,
)  # fmt: skip
from biot_sidecar.errors import Code
from biot_sidecar.settings.secret import Secret
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_763_549_574.0
ISSUED = IssuedToken("a.b.c", NOW - 10, NOW + 1790, age=10)
REJECTED = LoginFailure(Code.LOGIN_REJECTED, "rejected", "rejected", "check", blocks=True)
BROKEN = LoginFailure(Code.LOGIN_UNAVAILABLE, "server_error", "BioT answered 500")


def cipher(secret: str = "s", user: str = "u", base: str = "https://b") -> TokenCipher:
    return TokenCipher(Secret(secret), user, base)


def kept(sealed: bytes, passed: float = 0.0) -> StoredValue:
    """As a store gives it back that keeps a token for all its life, or a backoff for a quarter of an hour more."""
    return StoredValue(sealed, 1800 - passed)


def nonce(number: int = 0) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def test_biots_clock_is_shared_with_the_token():
    issued = msgspec.structs.replace(ISSUED, date=NOW + 1860)
    opened = cipher().open_token(kept(cipher().seal_token(issued, nonce()), 10), NOW)
    assert opened is not None
    assert opened.date == NOW + 1860


def test_what_one_seals_another_opens():
    opened = cipher().open_token(kept(cipher().seal_token(ISSUED, nonce()), 10), NOW)
    assert opened == msgspec.structs.replace(ISSUED, shared=True)


def test_a_backoff_comes_back_with_its_failure():
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW, 0.0)
    stored = StoredValue(cipher().seal_backoff(backoff, NOW, nonce()), backoff_ttl(backoff, NOW))
    opened = cipher().open_backoff(stored, NOW)
    assert (opened.until, opened.rejections) == (backoff.until, 1)
    assert opened.failure == REJECTED
    assert opened.blocked(NOW)


def test_no_backoff_is_nothing_to_share():
    with pytest.raises(ValueError, match="no back-off to share"):
        cipher().seal_backoff(NO_BACKOFF, NOW, nonce())


def test_nothing_sealed_shows_the_token_or_the_secret():
    sealed = cipher("the-secret").seal_token(ISSUED, nonce())
    names = " ".join([cipher("the-secret").token, cipher("the-secret").backoff, cipher("the-secret").lock])
    for text in ("a.b.c", "the-secret", "https://b"):
        assert text.encode() not in sealed
        assert text not in names
    assert "a.b.c" not in repr(cipher().open_token(kept(sealed), NOW))


@pytest.mark.parametrize("other", [cipher(secret="t"), cipher(user="v"), cipher(base="https://c")])
def test_another_secret_user_or_base_url_shares_nothing(other):
    mine = cipher()
    assert {mine.token, mine.backoff, mine.lock}.isdisjoint({other.token, other.backoff, other.lock})
    assert other.open_token(kept(mine.seal_token(ISSUED, nonce())), NOW) is None


def test_names_that_run_together_are_told_apart():
    assert cipher(user="ab", base="c").token != cipher(user="a", base="bc").token


def test_the_keys_lie_in_one_slot_of_a_cluster():
    mine = cipher()
    assert len({key.partition("{")[2].partition("}")[0] for key in (mine.token, mine.backoff, mine.lock)}) == 1


def test_a_value_of_another_key_does_not_open():
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW, 0.0)
    assert cipher().open_token(kept(cipher().seal_backoff(backoff, NOW, nonce())), NOW) is None
    assert cipher().open_backoff(kept(cipher().seal_token(ISSUED, nonce())), NOW) == NO_BACKOFF


@pytest.mark.parametrize("value", [b"", b"\x02", b"\x02" * 13, b"\x01" * 200, b"\x02" * 200, "text", 17, [b"x"]])
def test_what_was_never_sealed_does_not_open(value):
    assert cipher().open_token(kept(value), NOW) is None
    assert cipher().open_backoff(kept(value), NOW) == NO_BACKOFF


def test_nothing_stored_is_nothing():
    assert cipher().open_token(None, NOW) is None
    assert cipher().open_backoff(None, NOW) == NO_BACKOFF


@given(st.data())
def test_one_changed_byte_and_it_does_not_open(data):
    sealed = bytearray(cipher().seal_token(ISSUED, nonce()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert cipher().open_token(kept(bytes(sealed)), NOW) is None


@given(st.binary(max_size=300))
def test_garbage_does_not_open(garbage):
    assert cipher().open_token(kept(b"\x02" + garbage), NOW) is None
    assert cipher().open_backoff(kept(b"\x02" + garbage), NOW) == NO_BACKOFF


@pytest.mark.parametrize(
    "issued",
    [
        IssuedToken("a b", NOW, NOW + 60),
        IssuedToken("a\r\nX: y", NOW, NOW + 60),
        IssuedToken("", NOW, NOW + 60),
        IssuedToken("a.b.c", NOW + 60, NOW),
        IssuedToken("a.b.c", NOW, NOW),
        IssuedToken("a.b.c", math.nan, NOW + 60),
        IssuedToken("a.b.c", NOW, math.inf),
    ],
)
def test_an_absurd_token_is_not_taken_even_if_it_was_sealed_well(issued):
    assert cipher().open_token(StoredValue(cipher().seal_token(issued, nonce()), token_ttl(issued)), NOW) is None


@pytest.mark.parametrize(
    ("left", "age"),
    [(1800, 0), (1800 + ROUNDING_SECONDS / 2, 0), (1800 + 2 * ROUNDING_SECONDS, None), (500, 1300), (-1, None)],
)
def test_the_time_that_the_store_has_left_for_a_token_tells_its_age(left, age):
    opened = cipher().open_token(
        StoredValue(cipher().seal_token(IssuedToken("a.b.c", 0.0, 1800.0), nonce()), left), NOW
    )
    assert age == (None if opened is None else opened.age)
    if opened is not None:
        assert (opened.obtained, opened.expires) == (NOW - age, NOW - age + 1800)


@pytest.mark.parametrize("wall", [-1e6, 1e6])
def test_the_time_that_the_store_has_left_for_a_backoff_tells_its_end_whatever_the_wall_clocks_say(wall):
    backoff = NO_BACKOFF.after_failure(REJECTED, NOW + wall, 0.0)
    sealed = cipher().seal_backoff(backoff, NOW + wall, nonce())
    keep = backoff_ttl(backoff, NOW + wall)
    assert cipher().open_backoff(StoredValue(sealed, keep - 20), NOW).until == pytest.approx(NOW + 40)
    assert not cipher().open_backoff(StoredValue(sealed, keep - 60), NOW).paused(NOW)
    assert cipher().open_backoff(StoredValue(sealed, keep + 2 * ROUNDING_SECONDS), NOW) == NO_BACKOFF
