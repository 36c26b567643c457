"""What BioT's responses about secret keys mean."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.auth.secret_keys import (
    NewKey,
    Refusal,
    SecretKey,
    is_key_id,
    list_keys,
    read_created,
    read_deleted,
    read_keys,
)
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import iso

NOW = 1_763_549_574.0
FOREVER = float("inf")


def body(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_keys_have_an_id_and_times():
    told = [{"id": "a", "creationTime": iso(NOW), "expirationTime": iso(NOW + 60)}, {"id": "b"}, {"id": 7}]
    assert read_keys(200, body(secretKeys=told)) == (
        SecretKey("a", NOW, NOW + 60),
        SecretKey("b", None, FOREVER),
        SecretKey("", None, FOREVER),
    )


def test_a_new_key_has_its_secret():
    made = read_created(201, body(id="a", creationTime=iso(NOW), expirationTime=iso(NOW + 60), secretKey="canary"))
    assert made == NewKey("a", Secret("canary"), NOW + 60)
    assert "canary" not in repr(made)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"<html>", b"[" * 99_999, b'{"id": "a"}'])
def test_a_new_key_that_cannot_be_read_may_have_been_made(content):
    made = read_created(201, content)
    assert isinstance(made, Refusal)
    assert "may have been made" in made.reason


def test_of_a_refusal_only_the_code_is_kept():
    assert read_created(409, body(code="MAX_SECRET_KEYS", message="canary")).code == "MAX_SECRET_KEYS"
    assert read_created(409, body(code="canary text")).code == ""
    assert read_created(409, body(code=["X"])).code == ""


@pytest.mark.parametrize(
    ("status", "content", "gone"),
    [
        (204, b"", True),
        (200, b"{}", True),
        (404, body(code="SECRET_KEY_ID_NOT_FOUND"), True),
        (404, b"{}", False),
        (403, b"{}", False),
        (500, b"", False),
        (302, b"", False),
    ],
)
def test_a_key_is_deleted_where_biot_says_so_or_knows_it_no_more(status, content, gone):
    assert (read_deleted(status, content) is None) == gone


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("226da895-dc61-4a76-975a-56ef8c024a6c", True),
        ("k", True),
        ("", False),
        (".", False),
        ("..", False),
        ("a/b", False),
        ("a?b", False),
        ("a%2Fb", False),
        ("a\n", False),
        ("a b", False),
        ("é", False),
        ("x" * 129, False),
    ],
)
def test_an_id_is_one_plain_segment_of_a_path(text, is_one):
    assert is_key_id(text) == is_one


def test_keys_are_listed_with_their_times_the_oldest_first():
    known = (SecretKey("b", NOW, NOW - 5), SecretKey("a", NOW - 9, NOW + 5), SecretKey("c", None, FOREVER))
    assert list_keys(known, NOW) == "; ".join(
        [
            "c",
            f"a, made at {iso(NOW - 9, 'seconds')}, ends at {iso(NOW + 5, 'seconds')}",
            f"b, made at {iso(NOW, 'seconds')}, ended at {iso(NOW - 5, 'seconds')}",
        ]
    )
