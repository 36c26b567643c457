"""What BioT's response to a login means."""

from __future__ import annotations

import base64
import json

import pytest
from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.login_response import read_login_response
from biot_sidecar.errors import Code
from biot_sidecar.timestamps import iso

NOW = 1_763_549_574.0  # 2025-11-19T10:52:54Z


def read(status: int, body: object, **more: float | None) -> IssuedToken | LoginFailure:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_login_response(status, content, NOW, **more)


def jwt(**claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzUxMiJ9.{part}.c2ln"


def failure(status: int, body: object, **more: float | None) -> LoginFailure:
    result = read(status, body, **more)
    assert isinstance(result, LoginFailure)
    return result


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-19T11:22:54Z",
        "2025-11-19T11:22:54.000Z",
        "2025-11-19T11:22:54.0Z",
        "2025-11-19T11:22:54.000000000Z",
        "2025-11-19T11:22:54+00:00",
        "2025-11-19T13:22:54.000+02:00",
        "2025-11-19T11:22:54",
    ],
)
def test_every_iso_form_of_an_expiry_is_read(text):
    issued = read(200, {"accessToken": "a.b.c", "accessTokenExpiration": text})
    assert issued == IssuedToken("a.b.c", NOW, NOW + 1800)


@pytest.mark.parametrize(
    "body",
    [
        {"accessToken": "a.b.c", "accessTokenExpiration": "9999-12-31T23:59:59.999999999Z"},
        {"accessToken": "a.b.c", "accessTokenExpiration": "9999-12-31T23:59:59-12:00"},
        {"accessToken": jwt(exp=253_402_300_800)},
        {"accessToken": jwt(exp=1e300)},
        {"accessToken": jwt(exp=10**400)},
    ],
)
def test_an_expiry_beyond_the_last_that_a_date_can_name_is_taken_for_that(body):
    issued = read(200, body)
    assert isinstance(issued, IssuedToken)
    assert iso(issued.expires) == "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize("expiration", [None, "soon", "", 17, "99999-01-01T00:00:00Z"])
def test_without_a_readable_expiry_the_jwts_own_counts(expiration):
    body = {"accessToken": jwt(exp=NOW + 60), "accessTokenExpiration": expiration}
    issued = read(200, body)
    assert isinstance(issued, IssuedToken)
    assert issued.expires == NOW + 60


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[" * 100_000,
        [],
        {},
        {"accessToken": None},
        {"accessToken": ""},
        {"accessToken": 7},
        {"accessToken": "a b"},
        {"accessToken": "a\r\nX: y", "accessTokenExpiration": "2025-11-19T11:22:54Z"},
        {"accessToken": "ä", "accessTokenExpiration": "2025-11-19T11:22:54Z"},
        {"accessToken": "x" * 20_000, "accessTokenExpiration": "2025-11-19T11:22:54Z"},
        {"accessToken": "a.b.c"},
        {"accessToken": jwt(exp="x")},
        {"accessToken": jwt(exp=float("nan"))},
        {"accessToken": jwt(exp=float("inf"))},
        {"accessToken": jwt(exp=True)},
        {"accessToken": jwt(exp=-(10**400))},
        {"accessToken": jwt(exp=[])},
        {"accessToken": jwt()},
        {"accessToken": "a.bm90IGpzb24.c"},
        {"accessToken": "a.b.c", "accessTokenExpiration": "2025-11-19T10:52:54Z"},
        {"accessToken": jwt(exp=NOW - 1)},
        {"accessToken": jwt(exp=NOW + 0.1)},  # it would end before it could be used
        {"accessToken": jwt(exp=NOW + 60), "accessTokenExpiration": "0001-01-01T00:00:00Z"},
    ],
)
def test_an_answer_that_gives_no_usable_token_is_malformed(body):
    result = failure(200, body)
    assert result.outcome == "malformed"
    assert result.code is Code.LOGIN_MALFORMED
    assert not result.blocks
    assert "a.b.c" not in result.message + result.hint


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code", "blocks"),
    [
        (403, {"code": "LOGIN_FAILED"}, "rejected", Code.LOGIN_REJECTED, True),
        (401, {"code": "SERVICE_LOCKED"}, "locked", Code.LOGIN_REJECTED, True),
        (403, b"<html>blocked</html>", "rejected", Code.LOGIN_REJECTED, False),
        (401, {"code": "LOGIN_FAILED"}, "rejected", Code.LOGIN_REJECTED, False),
        (403, {"code": ["LOGIN_FAILED"]}, "rejected", Code.LOGIN_REJECTED, False),
        (500, {"code": "INTERNAL_SERVER_ERROR"}, "server_error", Code.LOGIN_UNAVAILABLE, False),
        (504, b"", "server_error", Code.LOGIN_UNAVAILABLE, False),
        (429, b"", "server_error", Code.LOGIN_UNAVAILABLE, False),
        (400, b"", "malformed", Code.LOGIN_MALFORMED, False),
        (404, b"", "malformed", Code.LOGIN_MALFORMED, False),
        (302, b"", "malformed", Code.LOGIN_MALFORMED, False),
        (201, {"accessToken": "a.b.c"}, "malformed", Code.LOGIN_MALFORMED, False),
    ],
)
def test_every_other_answer_has_a_name(status, body, outcome, code, blocks):
    result = failure(status, body)
    assert (result.outcome, result.code, result.blocks) == (outcome, code, blocks)


def test_a_refusal_that_is_not_biots_points_at_the_base_url_before_anything_else():
    hint = failure(403, b"<html>blocked</html>").hint
    assert hint.startswith("BIOT_BASE_URL may lead elsewhere")
    assert "path" in hint


def test_retry_after_is_heard():
    assert failure(503, b"", retry_after=17.0).retry_after == 17


@pytest.mark.parametrize(
    ("date", "life", "known"),
    [
        (NOW, 1800, True),
        (NOW + 1799, 1, True),
        (NOW + 1860, 1800, False),  # expired by the Date: it is absurd, and our own clock counts
        (NOW + 1800 - 24 * 3600, 24 * 3600, True),
        (NOW + 1800 - 24 * 3600 - 1, 1800, False),
        (0.0, 1800, False),
        (None, 1800, False),
    ],
)
def test_a_tokens_life_is_counted_from_the_responses_date_unless_that_is_absurd(date, life, known):
    body = {"accessToken": "a.b.c", "accessTokenExpiration": "2025-11-19T11:22:54Z"}
    issued = read(200, body, date=date)
    assert isinstance(issued, IssuedToken)
    assert (issued.life, issued.date) == (life, date if known else None)


def test_a_token_that_has_expired_by_both_clocks_is_malformed():
    assert failure(200, {"accessToken": jwt(exp=NOW - 5)}, date=NOW + 60).outcome == "malformed"
