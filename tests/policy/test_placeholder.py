"""What a plugin's own login gets, and how it is known again."""

from __future__ import annotations

import json
from datetime import datetime

from proxy.policy.placeholder import LIFE, is_placeholder, placeholder_answer

NOW = 1_763_549_574.25


def test_the_answer_has_biots_shape():
    answer = json.loads(placeholder_answer(NOW))
    assert set(answer) == {"accessToken", "accessTokenExpiration"}
    assert answer["accessTokenExpiration"] == "2025-11-19T11:22:54.250Z"
    assert datetime.fromisoformat(answer["accessTokenExpiration"]).timestamp() == NOW + LIFE
    assert answer["accessToken"].count(".") == 2


def test_a_placeholder_is_known_again_in_any_case_of_the_scheme():
    token = json.loads(placeholder_answer(NOW))["accessToken"].encode()
    assert is_placeholder(b"Bearer " + token)
    assert is_placeholder(b"bearer " + token)


def test_other_credentials_are_none():
    token = json.loads(placeholder_answer(NOW))["accessToken"].encode()
    for value in (b"", b"Bearer ", b"Bearer a.b.c", b"Basic " + token, b"Bearer " + token + b"x", token):
        assert not is_placeholder(value)
