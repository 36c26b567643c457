"""A token never shows its text."""

from __future__ import annotations

import pytest
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.token import Token

TEXT = "s3cr3t-canary"


def test_a_token_shows_its_times_and_number_never_its_text():
    token = Token(TEXT, 1.0, 2.0, 7)
    assert token.authorization == b"Bearer " + TEXT.encode()
    assert repr(token) == str(token) == "Token(serial=7, obtained=1.0, expires=2.0)"


@pytest.mark.parametrize(
    "value",
    [IssuedToken("a.b.c", 1, 2), TokenRequest("token_not_valid", 1.0, b"Bearer a.b.c")],
    ids=["issued", "request"],
)
def test_what_holds_a_token_does_not_show_it(value):
    assert "a.b.c" not in repr(value)
    assert "a.b.c" not in f"{value} {value!r} {[value]}"
