"""What a plugin's own login gets, and how it is known again."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from biot_sidecar.auth.placeholder import LIFE, is_placeholder, logs_in, might_log_in, placeholder_answer
from biot_sidecar.routing.biot_operations import find_operation
from biot_sidecar.routing.route import Route, Verdict

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


@pytest.mark.parametrize(
    ("target", "might"),
    [
        (b"/ums/v2/services/accessToken", True),
        (b"//ums/v2/services/accessToken/?a=b", True),
        (b"/UMS/v2/services/ACCESSTOKEN", True),
        (b"/ums/v2/services;a=b/accessToken", True),
        (b"/ums%2Fv2/services/access%2554oken", True),
        (b"/ums/v2/services/accessTokens", False),
        (b"/ums/v2/services", False),
        (b"/ums/v2/services/accessToken/x", False),
        (b"/x?/ums/v2/services/accessToken", False),
        (b"/", False),
    ],
)
def test_a_login_is_known_however_it_is_spelled(target, might):
    assert might_log_in(b"POST", target) is might
    assert not might_log_in(b"GET", target)


def test_the_login_as_biot_spells_it_is_the_one_that_is_answered():
    path = (b"ums", b"v2", b"services", b"accessToken")
    verdict = Verdict(route=Route(name="r", source="f:1"), template="", operation=find_operation("POST", path))
    assert logs_in(b"POST", verdict)
    assert not logs_in(b"GET", verdict)
    assert not logs_in(b"POST", Verdict(route=verdict.route, template="", operation=None))
