"""What sidecars seal for each other, and what of a store that lies they take."""

from __future__ import annotations

import math

import msgspec
import pytest
from biot_sidecar.auth.login_response import (
    OPEN_GATE,
    IssuedToken,
    LoginBackoff,
    LoginFailure,
    TokenRequest,
    after_setback,
)
from biot_sidecar.auth.token_cipher import (
    NONCE,
    ROUNDING,
    Box,
    Stored,
    after_shared_setback,
    gate_keeping,
    keeping,
    shared_setback,
    suits,
)  # fmt: skip
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.settings.secret import Secret
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_763_549_574.0
GRANT = IssuedToken("a.b.c", NOW - 10, NOW + 1790, age=10)
REJECTED = LoginFailure(LoginError(Code.LOGIN_REJECTED, "rejected", outcome="rejected", hint="check"), blocks=True)
BROKEN = LoginFailure(LoginError(Code.LOGIN_UNAVAILABLE, "BioT answered 500", outcome="server_error"))


def box(secret: str = "s", user: str = "u", base: str = "https://b") -> Box:
    return Box(Secret(secret), user, base)


def kept(sealed: bytes, passed: float = 0.0) -> Stored:
    """As a store gives it back that keeps a token for all its life, or a gate for a quarter of an hour more."""
    return Stored(sealed, 1800 - passed)


def nonce(number: int = 0) -> bytes:
    return number.to_bytes(NONCE, "big")


def test_what_one_seals_another_opens():
    opened = box().open_grant(kept(box().seal_grant(GRANT, nonce()), 10), NOW)
    assert opened == msgspec.structs.replace(GRANT, shared=True)


def test_a_gate_comes_back_with_its_fault():
    gate = after_setback(OPEN_GATE, REJECTED, NOW, 0.0)
    stored = Stored(box().seal_gate(gate, NOW, nonce()), gate_keeping(gate, NOW))
    opened = box().open_gate(stored, NOW)
    assert (opened.until, opened.rejections) == (gate.until, 1)
    assert opened.setback is not None
    fault = opened.setback.fault
    assert (fault.code, fault.message, fault.outcome, fault.hint) == (
        Code.LOGIN_REJECTED, "rejected", "rejected", "check",
    )  # fmt: skip
    assert opened.blocked(NOW)


def test_an_open_gate_is_nothing_to_share():
    with pytest.raises(ValueError, match="open gate"):
        box().seal_gate(OPEN_GATE, NOW, nonce())


def test_nothing_sealed_shows_the_token_or_the_secret():
    sealed = box("the-secret").seal_grant(GRANT, nonce())
    names = " ".join([box("the-secret").token, box("the-secret").gate, box("the-secret").lock])
    for text in ("a.b.c", "the-secret", "https://b"):
        assert text.encode() not in sealed
        assert text not in names
    assert "a.b.c" not in repr(box().open_grant(kept(sealed), NOW))


@pytest.mark.parametrize("other", [box(secret="t"), box(user="v"), box(base="https://c")])
def test_another_secret_user_or_base_url_shares_nothing(other):
    mine = box()
    assert {mine.token, mine.gate, mine.lock}.isdisjoint({other.token, other.gate, other.lock})
    assert other.open_grant(kept(mine.seal_grant(GRANT, nonce())), NOW) is None


def test_names_that_run_together_are_told_apart():
    assert box(user="ab", base="c").token != box(user="a", base="bc").token


def test_the_keys_lie_in_one_slot_of_a_cluster():
    mine = box()
    assert len({key.partition("{")[2].partition("}")[0] for key in (mine.token, mine.gate, mine.lock)}) == 1


def test_a_value_of_another_key_does_not_open():
    gate = after_setback(OPEN_GATE, REJECTED, NOW, 0.0)
    assert box().open_grant(kept(box().seal_gate(gate, NOW, nonce())), NOW) is None
    assert box().open_gate(kept(box().seal_grant(GRANT, nonce())), NOW) == OPEN_GATE


@pytest.mark.parametrize("value", [b"", b"\x02", b"\x02" * 13, b"\x01" * 200, b"\x02" * 200, "text", 17, [b"x"]])
def test_what_was_never_sealed_does_not_open(value):
    assert box().open_grant(kept(value), NOW) is None
    assert box().open_gate(kept(value), NOW) == OPEN_GATE


def test_nothing_stored_is_nothing():
    assert box().open_grant(None, NOW) is None
    assert box().open_gate(None, NOW) == OPEN_GATE


@given(st.data())
def test_one_changed_byte_and_it_does_not_open(data):
    sealed = bytearray(box().seal_grant(GRANT, nonce()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert box().open_grant(kept(bytes(sealed)), NOW) is None


@given(st.binary(max_size=300))
def test_garbage_does_not_open(garbage):
    assert box().open_grant(kept(b"\x02" + garbage), NOW) is None
    assert box().open_gate(kept(b"\x02" + garbage), NOW) == OPEN_GATE


@pytest.mark.parametrize(
    "grant",
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
def test_an_absurd_grant_is_not_taken_even_if_it_was_sealed_well(grant):
    assert box().open_grant(Stored(box().seal_grant(grant, nonce()), keeping(grant)), NOW) is None


@pytest.mark.parametrize(
    ("left", "age"), [(1800, 0), (1800 + ROUNDING / 2, 0), (1800 + 2 * ROUNDING, None), (500, 1300), (-1, None)]
)
def test_the_time_that_the_store_has_left_for_a_token_tells_its_age(left, age):
    opened = box().open_grant(Stored(box().seal_grant(IssuedToken("a.b.c", 0.0, 1800.0), nonce()), left), NOW)
    assert age == (None if opened is None else opened.age)
    if opened is not None:
        assert (opened.obtained, opened.expires) == (NOW - age, NOW - age + 1800)


@pytest.mark.parametrize("wall", [-1e6, 1e6])
def test_the_time_that_the_store_has_left_for_a_gate_tells_its_end_whatever_the_wall_clocks_say(wall):
    gate = after_setback(OPEN_GATE, REJECTED, NOW + wall, 0.0)
    sealed = box().seal_gate(gate, NOW + wall, nonce())
    keep = gate_keeping(gate, NOW + wall)
    assert box().open_gate(Stored(sealed, keep - 20), NOW).until == pytest.approx(NOW + 40)
    assert not box().open_gate(Stored(sealed, keep - 60), NOW).closed(NOW)
    assert box().open_gate(Stored(sealed, keep + 2 * ROUNDING), NOW) == OPEN_GATE


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
def test_a_token_suits_if_it_is_young_enough_and_not_the_refused_one(wanted, good):
    assert suits(GRANT, wanted) is good


@pytest.mark.parametrize(("later", "good"), [(1339, True), (1341, False), (1740, False), (4000, False)])
def test_a_token_that_is_about_to_be_renewed_suits_nobody(later, good):
    assert suits(msgspec.structs.replace(GRANT, age=10 + later), TokenRequest("expiring")) is good


def test_a_closed_gate_is_everybodys_for_as_long_as_it_is_closed():
    gate = LoginBackoff(NOW + 40, 1, 0, REJECTED)
    told = shared_setback(gate, NOW)
    assert told is not None
    assert (told.fault, told.blocks, told.asked) == (REJECTED.fault, True, 40)
    assert shared_setback(gate, NOW + 40) is None
    assert shared_setback(OPEN_GATE, NOW) is None


def test_rejected_logins_of_all_count_together_and_other_failures_do_not():
    rejected = LoginBackoff(NOW, 2, 0, REJECTED)
    assert after_shared_setback(rejected, REJECTED, NOW, 0.0).until == NOW + 240
    broken = after_shared_setback(rejected, BROKEN, NOW, 0.0)
    assert broken.until == NOW + 1
    assert after_shared_setback(broken, BROKEN, NOW, 0.0).until == NOW + 1
    assert after_shared_setback(broken, REJECTED, NOW, 0.0).until == NOW + 240
