"""SIDECAR_ALLOWED_UIDS: who may call, and where that can be known."""

from __future__ import annotations

import pytest
from biot_sidecar.settings.addresses import parse_address
from biot_sidecar.settings.users import parse_users, why_callers_unknown

from tests.settings.given import problems, settings


def test_users_are_names_and_numbers():
    assert parse_users("root, 1000,0") == {0, 1000}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (",", "names no user"),
        ("nobody-of-that-name", "'nobody-of-that-name' is no user here"),
        ("-1", "'-1' is no user here"),
        ("4294967295", "is no uid; the largest is 4294967294"),
        ("1000\N{SUPERSCRIPT TWO}", "is no user here"),
        ("a\0b", "is no user here"),
    ],
)
def test_what_is_no_user_is_told(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_users(text)


def test_unset_means_anybody():
    assert settings().allowed_uids is None
    assert settings(SIDECAR_ALLOWED_UIDS=" ").allowed_uids is None
    assert settings(SIDECAR_ALLOWED_UIDS="0,1000").allowed_uids == {0, 1000}


def test_where_callers_cannot_be_known_the_start_is_refused():
    remote = {"SIDECAR_ALLOW_REMOTE": "1", "SIDECAR_ALLOWED_UIDS": "0"}
    assert problems(SIDECAR_LISTEN="127.0.0.1:0,0.0.0.0:0", **remote) == [
        "SIDECAR_ALLOWED_UIDS: 0.0.0.0:0 is not loopback: of callers from elsewhere no user is known; "
        "use 127.0.0.1 or unix:PATH"
    ]
    assert settings(SIDECAR_LISTEN="localhost:0,unix:/tmp/x,[::1]:0", SIDECAR_ALLOWED_UIDS="0").allowed_uids == {0}


def test_other_systems_do_not_tell():
    lacking = "callers' users are known on Linux only"
    assert why_callers_unknown([parse_address("127.0.0.1:1")], lacking) == f"{lacking}; leave it unset here"
