"""Every failure has its answer, in BioT's shape and marked as ours (contract of errors; RFC 9209)."""

from __future__ import annotations

import json
import re
from email.utils import formatdate

import pytest
from biot_sidecar.errors import ClientError, Code, Failure
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.local_responses import (
    REASONS,
    error_body,
    error_response_bytes,
    http_date,
    local_response_bytes,
)
from hypothesis import given
from hypothesis import strategies as st

STATUSES = {
    400: {"SIDECAR_BAD_REQUEST", "SIDECAR_PATH_REFUSED"},
    403: {"SIDECAR_ROUTE_DENIED", "SIDECAR_BROWSER_REFUSED", "SIDECAR_CALLER_REFUSED"},
    404: {"SIDECAR_NOT_FOUND"},
    405: {"SIDECAR_METHOD_REFUSED"},
    408: {"SIDECAR_REQUEST_TIMEOUT"},
    414: {"SIDECAR_HEAD_TOO_LARGE"},
    421: {"SIDECAR_HOST_REFUSED"},
    431: {"SIDECAR_HEAD_TOO_LARGE"},
    502: {
        "SIDECAR_UPSTREAM_UNREACHABLE",
        "SIDECAR_PROXY_REFUSED",
        "SIDECAR_UPSTREAM_PROTOCOL",
        "SIDECAR_LOGIN_REJECTED",
        "SIDECAR_LOGIN_MALFORMED",
    },
    503: {
        "SIDECAR_LOGIN_UNAVAILABLE",
        "SIDECAR_SECRET_UNAVAILABLE",
        "SIDECAR_OVERLOADED",
        "SIDECAR_DRAINING",
    },
    504: {"SIDECAR_UPSTREAM_TIMEOUT", "SIDECAR_LOGIN_TIMEOUT"},
    508: {"SIDECAR_LOOP_DETECTED"},
}
# RFC 9209, section 2.3, as registered.
PROXY_ERRORS = {
    "destination_unavailable",
    "connection_limit_reached",
    "connection_refused",
    "http_request_error",
    "http_request_denied",
    "http_protocol_error",
    "http_response_timeout",
    "proxy_configuration_error",
    "proxy_loop_detected",
}


NOW = 784111777.9


def response(failure: Failure, *, method: bytes = b"POST", close: bool = False) -> tuple[bytes, dict[str, str], bytes]:
    """Status line, fields and body of an answer."""
    raw = error_response_bytes(failure, method=method, trace_id="4bf92f35", route="a route", now=NOW, close=close)
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, dict(field.decode().split(": ", 1) for field in fields), body


def plain(code: Code) -> Failure:
    return Failure(code, "It went wrong.", hint="Do this.")


def test_every_code_has_the_status_that_users_were_promised():
    found: dict[int, set[str]] = {}
    for failure in (*map(plain, Code), errors.target_too_large()):
        found.setdefault(errors.status_of(failure), set()).add(failure.code.value)
    assert found == STATUSES


@pytest.mark.parametrize("code", Code)
def test_an_error_has_biots_shape_and_says_whose_it_is(code):
    line, fields, body = response(plain(code))
    status = errors.CODES[code].status
    assert line == f"HTTP/1.1 {status} {REASONS[status]}".encode()
    assert json.loads(body) == {
        "code": code.value,
        "message": "It went wrong.",
        "serviceName": "biot-sidecar",
        "traceId": "4bf92f35",
        "environment": "",
        "details": {"route": "a route", "hint": "Do this."},
    }
    marked = re.fullmatch(r"biot-sidecar; error=([a-z_]+)", fields["Proxy-Status"])
    assert marked is not None
    assert marked[1] in PROXY_ERRORS
    assert fields["Content-Type"] == "application/json"
    assert fields["Content-Length"] == str(len(body))


@pytest.mark.parametrize("code", Code)
def test_retry_after_stands_only_where_the_sdks_should_wait_and_send_again(code):
    _, fields, _ = response(Failure(code, "m"))
    assert fields.get("Retry-After") == ("1" if code in {Code.OVERLOADED, Code.DRAINING} else None)


@pytest.mark.parametrize("code", Code)
def test_the_answer_to_head_tells_the_length_and_leaves_the_body_out(code):
    _, fields, body = response(Failure(code, "m"), method=b"HEAD")
    assert body == b""
    assert int(fields["Content-Length"]) > 0


def test_connection_close_is_said_when_the_connection_ends():
    assert "Connection" not in response(Failure(Code.BAD_REQUEST, "m"))[1]
    assert response(Failure(Code.BAD_REQUEST, "m"), close=True)[1]["Connection"] == "close"


def test_a_refused_method_names_the_allowed_ones():
    allowed = ClientError(Code.METHOD_REFUSED, "m", reason="method", allow="GET, HEAD")
    assert response(allowed)[1]["Allow"] == "GET, HEAD"
    assert "Allow" not in response(ClientError(Code.METHOD_REFUSED, "m", reason="method"))[1]


def test_details_name_no_route_when_the_rules_were_not_asked():
    failure = Failure(Code.BAD_REQUEST, "m", hint="h")
    raw = error_response_bytes(failure, method=b"", trace_id="t", route="", now=NOW, close=False)
    assert json.loads(raw.partition(b"\r\n\r\n")[2])["details"] == {"route": "", "hint": "h"}


def test_text_that_could_break_a_line_stays_in_the_body():
    failure = Failure(Code.ROUTE_DENIED, "a\r\nX-Own: 1", hint="b\r\n\r\nc")
    _, fields, body = response(failure)
    assert "X-Own" not in fields
    assert json.loads(body)["message"] == failure.message


def test_a_page_is_written_whole():
    assert local_response_bytes(200, "text/plain", b"ok\n", now=NOW) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
    )


@given(st.integers(0, 253_402_300_799))
def test_every_date_is_an_http_date(now):
    assert http_date(now + 0.999) == formatdate(now, usegmt=True)


# ---- what may have happened


def hint(failure: Failure, method: bytes = b"POST") -> str:
    return json.loads(error_body(failure, method=method, trace_id="", route=""))["details"]["hint"]


SENT = [errors.lost_before_response(), errors.upstream_timeout(60.0), errors.untrusted_response("why")]


@pytest.mark.parametrize("failure", SENT, ids=lambda failure: failure.code.name)
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"QUERY"])
def test_what_changes_something_may_have_been_carried_out(failure, method):
    assert hint(failure, method).startswith("The request may have been carried out.")


@pytest.mark.parametrize("failure", SENT, ids=lambda failure: failure.code.name)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_what_changes_nothing_was_not_carried_out(failure, method):
    assert hint(failure, method)
    assert "carried out" not in hint(failure, method)


@pytest.mark.parametrize("failure", [errors.lost_before_sending(), errors.upstream_timeout(1.0, sent=False)])
def test_what_was_not_sent_was_not_carried_out(failure):
    assert hint(failure)
    assert "carried out" not in hint(failure)


def test_a_retry_that_the_budget_withheld_is_told():
    failure = errors.lost_before_sending()
    assert "tried again" not in hint(failure)
    failure.withheld = True
    assert "It was not tried again" in hint(failure)


@pytest.mark.parametrize("status", sorted({meaning.status for meaning in errors.CODES.values()} | {414}))
def test_every_status_of_ours_has_its_words(status):
    assert REASONS[status]


def test_a_page_that_fails_has_a_reason_phrase():
    assert local_response_bytes(500, "text/plain", b"", now=NOW).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
