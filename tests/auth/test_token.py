"""A token never shows its text."""

from __future__ import annotations

from biot_sidecar.auth.token import Token

TEXT = "s3cr3t-canary"


def test_a_token_shows_its_times_and_number_never_its_text():
    token = Token(TEXT, 1.0, 2.0, 7)
    assert token.authorization == b"Bearer " + TEXT.encode()
    assert repr(token) == str(token) == "Token(serial=7, obtained=1.0, expires=2.0)"
