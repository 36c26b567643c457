"""Which 401 speaks of the token."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from biot_sidecar.auth.token_rejection import token_rejected
from hypothesis import given
from hypothesis import strategies as st

NOT_VALID = json.dumps({"code": "TOKEN_NOT_VALID", "message": "x"}).encode()
OTHER = json.dumps({"code": "LOGIN_FAILED", "message": "TOKEN_NOT_VALID"}).encode()


@pytest.mark.parametrize("body", [NOT_VALID, b" \n" + NOT_VALID, b'{"code":"TOKEN_NOT_VALID"}'])
def test_biots_own_word_for_a_bad_token_is_understood(body):
    assert token_rejected([], body)


@pytest.mark.parametrize("body", [OTHER, b'{"code": "token_not_valid"}', b'{"code": ""}'])
def test_any_other_biot_code_is_about_something_else(body):
    assert not token_rejected([], body)


@pytest.mark.parametrize(
    "body", [b"", b"Unauthorized", b"<html>401</html>", b"[]", b"{}", b"null", b'{"code": 7}', b'{"code":', b"\xff\xfe"]
)
def test_a_401_without_a_biot_body_counts_as_about_the_token(body):
    assert token_rejected([], body)


@pytest.mark.parametrize("name", [b"Content-Encoding", b"content-encoding"])
@pytest.mark.parametrize(
    ("coding", "pack"), [(b"gzip", gzip.compress), (b"X-Gzip", gzip.compress), (b"deflate", zlib.compress)]
)
def test_compressed_bodies_are_understood(name, coding, pack):
    assert not token_rejected([(name, coding)], pack(OTHER))
    assert token_rejected([(name, coding)], pack(NOT_VALID))


def test_a_body_that_is_not_compressed_as_it_says_is_none_of_biots():
    assert token_rejected([(b"Content-Encoding", b"gzip")], OTHER)


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(OTHER[:-1] + b" " * 50_000_000 + b"}", 9)
    assert token_rejected([(b"Content-Encoding", b"gzip")], bomb)


@pytest.mark.parametrize("deep", [b"[" * 60_000, b'{"a":' * 12_000, b"1" * 60_000])
def test_a_body_made_to_break_a_reader_breaks_nothing(deep):
    assert token_rejected([], deep)


@given(st.binary(max_size=100), st.sampled_from([b"gzip", b"deflate", b"br", b"gzip, gzip", b""]))
def test_no_body_is_too_odd_to_be_judged(body, coding):
    assert token_rejected([(b"Content-Encoding", coding)], body) in {True, False}
