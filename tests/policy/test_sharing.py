"""What sidecars seal for each other, and what of a store that lies they take."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Code, LoginFault
from proxy.message import Secret
from proxy.policy.login import OPEN_GATE, Gate, Grant, Setback, Wanted, after_setback
from proxy.policy.sharing import NONCE, SKEW, Box, after_shared_setback, shared_setback, suits

NOW = 1_763_549_574.0
GRANT = Grant("a.b.c", NOW - 10, NOW + 1790)
REJECTED = Setback(LoginFault(Code.LOGIN_REJECTED, "rejected", outcome="rejected", hint="check"), blocks=True)
BROKEN = Setback(LoginFault(Code.LOGIN_UNAVAILABLE, "BioT answered 500", outcome="server_error"))


def box(secret: str = "s", user: str = "u", base: str = "https://b") -> Box:
    return Box(Secret(secret), user, base)


def nonce(number: int = 0) -> bytes:
    return number.to_bytes(NONCE, "big")


def test_what_one_seals_another_opens():
    opened = box().open_grant(box().seal_grant(GRANT, nonce()), NOW)
    assert opened == msgspec.structs.replace(GRANT, shared=True)


def test_a_gate_comes_back_with_its_fault():
    gate = after_setback(OPEN_GATE, REJECTED, NOW, 0.0)
    opened = box().open_gate(box().seal_gate(gate, NOW, nonce()), NOW)
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
    assert "a.b.c" not in repr(box().open_grant(sealed, NOW))


@pytest.mark.parametrize("other", [box(secret="t"), box(user="v"), box(base="https://c")])
def test_another_secret_user_or_base_url_shares_nothing(other):
    mine = box()
    assert {mine.token, mine.gate, mine.lock}.isdisjoint({other.token, other.gate, other.lock})
    assert other.open_grant(mine.seal_grant(GRANT, nonce()), NOW) is None


def test_names_that_run_together_are_told_apart():
    assert box(user="ab", base="c").token != box(user="a", base="bc").token


def test_the_keys_lie_in_one_slot_of_a_cluster():
    mine = box()
    assert len({key.partition("{")[2].partition("}")[0] for key in (mine.token, mine.gate, mine.lock)}) == 1


def test_a_value_of_another_key_does_not_open():
    gate = after_setback(OPEN_GATE, REJECTED, NOW, 0.0)
    assert box().open_grant(box().seal_gate(gate, NOW, nonce()), NOW) is None
    assert box().open_gate(box().seal_grant(GRANT, nonce()), NOW) == OPEN_GATE


@pytest.mark.parametrize("value", [None, b"", b"\x01", b"\x01" * 13, b"\x02" * 200, "text", 17, [b"x"]])
def test_what_was_never_sealed_does_not_open(value):
    assert box().open_grant(value, NOW) is None
    assert box().open_gate(value, NOW) == OPEN_GATE


@given(st.data())
def test_one_changed_byte_and_it_does_not_open(data):
    sealed = bytearray(box().seal_grant(GRANT, nonce()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert box().open_grant(bytes(sealed), NOW) is None


@given(st.binary(max_size=300))
def test_garbage_does_not_open(garbage):
    assert box().open_grant(b"\x01" + garbage, NOW) is None
    assert box().open_gate(b"\x01" + garbage, NOW) == OPEN_GATE


@pytest.mark.parametrize(
    "grant",
    [
        Grant("a b", NOW, NOW + 60),
        Grant("a\r\nX: y", NOW, NOW + 60),
        Grant("", NOW, NOW + 60),
        Grant("a.b.c", NOW + 60, NOW),
        Grant("a.b.c", NOW, NOW),
        Grant("a.b.c", NOW + SKEW + 1, NOW + 1800),
        Grant("a.b.c", math.nan, NOW + 60),
        Grant("a.b.c", NOW, math.inf),
    ],
)
def test_an_absurd_grant_is_not_taken_even_if_it_was_sealed_well(grant):
    assert box().open_grant(box().seal_grant(grant, nonce()), NOW) is None


@pytest.mark.parametrize(("ahead", "blocks"), [(0.0, True), (SKEW, True), (SKEW + 1, False), (3600.0, False)])
def test_a_clock_that_is_far_ahead_blocks_nobody_else(ahead, blocks):
    gate = after_setback(OPEN_GATE, REJECTED, NOW + ahead, 0.0)
    opened = box().open_gate(box().seal_gate(gate, NOW + ahead, nonce()), NOW)
    assert opened.blocked(NOW) is blocks


def test_a_clock_that_is_a_little_ahead_makes_no_token_of_the_future():
    ahead = Grant("a.b.c", NOW + SKEW, NOW + 1800)
    opened = box().open_grant(box().seal_grant(ahead, nonce()), NOW)
    assert opened is not None
    assert opened.obtained == NOW


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        (Wanted("start", NOW - 300), True),
        (Wanted("start", NOW - 11), True),
        (Wanted("start", NOW - 10), False),  # the very token that is to be replaced
        (Wanted("string", NOW - 5), False),
        (Wanted("string", math.inf), False),
        (Wanted("token_not_valid", NOW - 300, b"Bearer x.y.z"), True),
        (Wanted("token_not_valid", NOW - 300, b"Bearer a.b.c"), False),
    ],
)
def test_a_token_suits_if_it_is_young_enough_and_not_the_refused_one(wanted, good):
    assert suits(GRANT, wanted, NOW) is good


@pytest.mark.parametrize(("later", "good"), [(1339, True), (1341, False), (1740, False), (4000, False)])
def test_a_token_that_is_about_to_be_renewed_suits_nobody(later, good):
    assert suits(GRANT, Wanted("expiring", NOW - 300), NOW + later) is good


def test_only_a_token_of_its_own_will_do_when_nothing_else_is_fresh_enough():
    assert Wanted("string", NOW).shareable
    assert not Wanted("string", math.inf).shareable


def test_a_closed_gate_is_everybodys_for_as_long_as_it_is_closed():
    gate = Gate(NOW + 40, 1, 0, REJECTED)
    told = shared_setback(gate, NOW)
    assert told is not None
    assert (told.fault, told.blocks, told.asked) == (REJECTED.fault, True, 40)
    assert shared_setback(gate, NOW + 40) is None
    assert shared_setback(OPEN_GATE, NOW) is None


def test_rejected_logins_of_all_count_together_and_other_failures_do_not():
    rejected = Gate(NOW, 2, 0, REJECTED)
    assert after_shared_setback(rejected, REJECTED, NOW, 0.0).until == NOW + 240
    broken = after_shared_setback(rejected, BROKEN, NOW, 0.0)
    assert broken.until == NOW + 1
    assert after_shared_setback(broken, BROKEN, NOW, 0.0).until == NOW + 1
    assert after_shared_setback(broken, REJECTED, NOW, 0.0).until == NOW + 240
