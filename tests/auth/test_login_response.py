"""What BioT's answer to a login means, and when the next one may be tried."""

from __future__ import annotations

import base64
import json

import pytest
from biot_sidecar.auth.login_response import (
    OPEN_GATE,
    IssuedToken,
    LoginBackoff,
    LoginFailure,
    TokenRequest,
    after_new_secret,
    after_setback,
    login_body,
    read_answer,
    read_fault,
    unreadable_secret,
)
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.http.error_catalogue import lost_before_response, untrusted_response, upstream_timeout
from biot_sidecar.http.messages import Response
from biot_sidecar.telemetry.access_log import iso
from biot_sidecar.telemetry.snapshot import LOGIN_OUTCOMES
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_763_549_574.0  # 2025-11-19T10:52:54Z


def answered(status: int, body: object, *headers: tuple[bytes, bytes]) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, list(headers), content)


def jwt(**claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzUxMiJ9.{part}.c2ln"


def setback(answer: Response) -> LoginFailure:
    result = read_answer(answer, NOW)
    assert isinstance(result, LoginFailure)
    return result


def test_the_body_is_biots():
    assert json.loads(login_body("id", 'a"b')) == {"id": "id", "secretKey": 'a"b'}


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
    grant = read_answer(answered(200, {"accessToken": "a.b.c", "accessTokenExpiration": text}), NOW)
    assert grant == IssuedToken("a.b.c", NOW, NOW + 1800)


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
    grant = read_answer(answered(200, body), NOW)
    assert isinstance(grant, IssuedToken)
    assert iso(grant.expires) == "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize("expiration", [None, "soon", "", 17, "99999-01-01T00:00:00Z"])
def test_without_a_readable_expiry_the_jwts_own_counts(expiration):
    body = {"accessToken": jwt(exp=NOW + 60), "accessTokenExpiration": expiration}
    grant = read_answer(answered(200, body), NOW)
    assert isinstance(grant, IssuedToken)
    assert grant.expires == NOW + 60


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
    result = setback(answered(200, body))
    assert result.fault.outcome == "malformed"
    assert result.fault.code is Code.LOGIN_MALFORMED
    assert not result.blocks
    assert "a.b.c" not in result.fault.message + result.fault.hint


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
    result = setback(answered(status, body))
    assert (result.fault.outcome, result.fault.code, result.blocks) == (outcome, code, blocks)


def test_a_refusal_that_is_not_biots_points_at_the_base_url_before_anything_else():
    hint = setback(answered(403, b"<html>blocked</html>")).fault.hint
    assert hint.startswith("BIOT_BASE_URL may lead elsewhere")
    assert "path" in hint


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        (upstream_timeout(10), "timeout", Code.LOGIN_TIMEOUT),
        (untrusted_response("odd"), "malformed", Code.LOGIN_MALFORMED),
        (lost_before_response(), "network", Code.LOGIN_UNAVAILABLE),
    ],
)
def test_no_answer_has_a_name_too(fault, outcome, code):
    result = read_fault(fault)
    assert (result.fault.outcome, result.fault.code, result.blocks) == (outcome, code, False)


def test_retry_after_is_heard():
    assert setback(answered(503, b"", (b"Retry-After", b"17"))).asked == 17


def gates(one: LoginFailure, count: int, jitter: float = 0.0) -> list[float]:
    """The waits after each of `count` failures in a row."""
    gate, waits, now = OPEN_GATE, [], NOW
    for _ in range(count):
        gate = after_setback(gate, one, now, jitter)
        waits.append(gate.until - now)
        now = gate.until
    return waits


REJECTED = setback(answered(403, {"code": "LOGIN_FAILED"}))
BROKEN = setback(answered(500, b""))


def test_rejected_logins_block_for_a_minute_doubling_up_to_a_quarter_of_an_hour():
    assert gates(REJECTED, 6) == [60, 120, 240, 480, 900, 900]


def test_other_failures_pause_for_a_second_doubling_up_to_a_minute_with_jitter():
    assert gates(BROKEN, 8) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert gates(BROKEN, 2, jitter=0.8) == pytest.approx([1.2, 2.4])


def test_a_login_is_not_tried_before_retry_after():
    asked = LoginFailure(BROKEN.fault, asked=17)
    assert gates(asked, 6) == [17, 17, 17, 17, 17, 32]
    assert gates(LoginFailure(BROKEN.fault, asked=10**6), 1) == [3600]


def test_another_sort_of_failure_counts_from_the_start():
    gate = after_setback(after_setback(OPEN_GATE, BROKEN, NOW, 0), REJECTED, NOW, 0)
    assert gate.until == NOW + 60
    assert gate.blocked(NOW)
    assert not gate.blocked(NOW + 60)


def test_trouble_on_the_way_does_not_shorten_the_next_block():
    gate = after_setback(OPEN_GATE, REJECTED, NOW, 0)
    gate = after_setback(gate, BROKEN, NOW, 0)
    assert gate.until == NOW + 1
    assert not gate.blocked(NOW)
    gate = after_setback(gate, REJECTED, NOW, 0)
    assert gate.until == NOW + 120


def test_another_secret_is_a_new_case_and_biots_trouble_is_not():
    gate = after_setback(after_setback(OPEN_GATE, REJECTED, NOW, 0), BROKEN, NOW, 0)
    gate = after_new_secret(gate)
    assert gate.until == NOW + 1
    assert after_setback(gate, BROKEN, NOW, 0).until == NOW + 2
    gate = after_setback(gate, REJECTED, NOW, 0)
    assert gate.until == NOW + 60
    assert not after_new_secret(gate).closed(NOW)


def test_an_open_gate_is_open():
    assert not OPEN_GATE.closed(NOW)
    assert not OPEN_GATE.blocked(NOW)


@given(st.integers(0, 10**6), st.floats(0, 0.999), st.floats(0, 1e9), st.booleans())
def test_a_wait_is_never_absurd(failures, jitter, asked, blocks):
    fault = LoginError(Code.LOGIN_REJECTED, "", outcome="rejected")
    one = LoginFailure(fault, blocks=blocks, asked=asked)
    gate = after_setback(LoginBackoff(0, failures, failures, one), one, NOW, jitter)
    assert 1 <= gate.until - NOW <= 3600


def test_an_unreadable_secret_is_no_login():
    result = unreadable_secret("no such file")
    assert result.fault.code is Code.LOGIN_UNAVAILABLE
    assert result.fault.outcome not in LOGIN_OUTCOMES
    assert not result.blocks


def test_another_secret_is_news_to_a_block_and_to_nothing_that_biot_has_trouble_with():
    for one, news in [(REJECTED, True), (unreadable_secret("no such file"), True), (BROKEN, False)]:
        assert after_setback(OPEN_GATE, one, NOW, 0).about_secret is news
    assert not OPEN_GATE.about_secret


@pytest.mark.parametrize(
    "value",
    [
        IssuedToken("a.b.c", 1, 2),
        TokenRequest("token_not_valid", 1.0, b"Bearer a.b.c"),
        Response(200, [(b"X", b"a.b.c")], b'{"accessToken": "a.b.c"}'),
    ],
    ids=["grant", "wanted", "answer"],
)
def test_what_holds_a_token_does_not_show_it(value):
    assert "a.b.c" not in repr(value)
    assert "a.b.c" not in f"{value} {value!r} {[value]}"
