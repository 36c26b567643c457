"""One key for whatever somebody who ignores case takes for equal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from biot_sidecar.routing.case_folding import fold_case
from biot_sidecar.routing.pattern_tree import fold
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "text",
    ["services", "SERVICES", "serv\u0131ces", "SERV\u0130CES", "Servi\u0307ces", "\u017fervices", "SERV\u0131CE\u017f"],
)
def test_a_word_has_one_key_in_java_turkish_and_python(text):
    assert fold_case(text) == "services"
    assert fold(text.encode()) == b"services"


@pytest.mark.parametrize(
    ("one", "other"),
    [("stra\u00dfe", "STRASSE"), ("\u212a", "k"), ("\u03a3", "\u03c2"), ("\u1f80", "\u1f88"), ("\ufb01", "FI")],
)
def test_pairs_that_java_or_python_takes_for_equal(one, other):
    assert fold_case(one) == fold_case(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("\u00e9", "e"), ("\u0131", "l"), ("i\u0300", "i")])
def test_other_letters_stay_apart(one, other):
    assert fold_case(one) != fold_case(other)


def like_java(character: str) -> str:
    """Character.toLowerCase(Character.toUpperCase(c)), as a run of Java 17 over all of Unicode confirms."""
    simple = {"\u0130": "i", "\u0131": "i"}.get(character)
    upper = character.upper()
    return simple or (upper.lower() if len(upper) == 1 else character.lower())


def cases(character: str) -> Iterator[str]:
    yield from (character.lower(), character.upper(), character.title(), character.casefold(), like_java(character))


def test_every_character_has_the_key_of_all_its_cases():
    everything = (chr(point) for point in range(0x80, sys.maxunicode + 1) if not 0xD800 <= point < 0xE000)
    cased = (one for one in everything if one.lower() != one or one.upper() != one or one.casefold() != one)
    apart = [one for one in cased if {fold_case(other) for other in cases(one)} != {fold_case(one)}]
    assert not apart


@given(st.text(max_size=6), st.text(max_size=6))
def test_what_either_takes_for_equal_is_equal(before, behind):
    text = before + behind
    assert fold_case(text.casefold()) == fold_case(text.upper()) == fold_case(text) == fold_case(fold_case(text))
    assert fold_case("".join(map(like_java, text))) == fold_case(text)


@given(st.binary(max_size=12))
def test_bytes_that_are_no_text_are_kept_apart(segment):
    assert fold(fold(segment)) == fold(segment)
