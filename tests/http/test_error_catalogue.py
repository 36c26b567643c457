"""The failures of the forwarding path: their codes, their labels, their words."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http import error_catalogue as errors

REJECTIONS = [
    (errors.malformed_request("why"), Code.BAD_REQUEST, "framing"),
    (errors.target_too_large(), Code.HEAD_TOO_LARGE, "limit"),
    (errors.fields_too_large(), Code.HEAD_TOO_LARGE, "limit"),
    (errors.incomplete_request(), Code.BAD_REQUEST, "framing"),
    (errors.tls_handshake(), Code.BAD_REQUEST, "framing"),
    (errors.head_timeout(10.0), Code.REQUEST_TIMEOUT, "limit"),
    (errors.body_timeout(60.0), Code.REQUEST_TIMEOUT, "limit"),
    (errors.path_rejected("why"), Code.PATH_REFUSED, "path"),
    (errors.route_denied("why"), Code.ROUTE_DENIED, "deny"),
    (errors.login_denied(), Code.ROUTE_DENIED, "deny"),
    (errors.loop_detected(8, "PATCH", "/a/{id}"), Code.LOOP_DETECTED, "loop"),
    (errors.local_method_rejected(), Code.METHOD_REFUSED, "method"),
    (errors.connect_rejected("http://here"), Code.METHOD_REFUSED, "method"),
    (errors.trace_rejected(), Code.METHOD_REFUSED, "method"),
    (errors.host_rejected("http://here"), Code.HOST_REFUSED, "host"),
    (errors.target_host_rejected("http://here"), Code.HOST_REFUSED, "host"),
    (errors.browser_rejected(), Code.BROWSER_REFUSED, "browser"),
    (errors.caller_refused(), Code.CALLER_REFUSED, "caller"),
    (errors.bad_request_limit("Sidecar-Retry", "why"), Code.BAD_REQUEST, "framing"),
    (errors.no_icon(), Code.NOT_FOUND, "path"),
    (errors.not_on_admin_listener(), Code.NOT_FOUND, "path"),
    (errors.not_found(), Code.NOT_FOUND, "path"),
    (errors.bad_explain_query(), Code.BAD_REQUEST, "path"),
    (errors.overloaded(256, 1.0), Code.OVERLOADED, "overload"),
    (errors.draining(), Code.DRAINING, "draining"),
]
REASONS = {"framing", "limit", "host", "browser", "caller", "path", "method", "deny", "loop", "overload", "draining"}


@pytest.mark.parametrize(("error", "code", "reason"), REJECTIONS, ids=lambda value: str(getattr(value, "name", "")))
def test_a_rejection_has_its_code_and_a_label_of_the_closed_set(error, code, reason):
    assert isinstance(error, ClientError)
    assert (error.code, error.reason) == (code, reason)
    assert error.reason in REASONS
    assert error.message


def test_every_row_is_held_to_that():
    rows = {row.text for row in vars(errors).values() if isinstance(row, errors.Rejection)}
    assert not {text for text in rows if "{" not in text} - {error.message for error, _, _ in REJECTIONS}
    assert len(rows) <= len({error.message for error, _, _ in REJECTIONS})


@pytest.mark.parametrize(
    "error",
    [
        *(error for error, _, _ in REJECTIONS),
        errors.untrusted_response("why"),
        errors.lost_before_sending(),
        errors.upstream_timeout(60.0),
        errors.login_timeout(60.0),
    ],
    ids=lambda error: error.message,
)
def test_every_failure_says_what_can_be_done(error):
    assert error.hint


def test_the_reasons_given_stand_in_the_message():
    assert errors.malformed_request("a bare CR stands in a header").message.endswith(": a bare CR stands in a header.")
    assert "not for plugins" in errors.route_denied("not for plugins").message
    assert errors.untrusted_response("it broke off").message == "BioT's answer cannot be trusted: it broke off."


def test_a_loop_is_named_by_its_template_never_by_its_path():
    assert errors.loop_detected(8, "PATCH", "/a/{id}").message.startswith("A loop: PATCH /a/{id} was intercepted")
    assert errors.loop_detected(8, "PATCH", "").message.startswith("A loop: this PATCH was intercepted")


def test_a_connection_lost_before_anything_was_sent_counts_as_a_failed_connect():
    error = errors.lost_before_sending()
    assert (error.code, error.retryable) == (Code.UPSTREAM_UNREACHABLE, "connect")
    assert error.hint.startswith("Nothing of the request was sent")


def test_a_connection_lost_after_sending_counts_as_a_reset():
    error = errors.lost_before_response()
    assert (error.code, error.retryable, error.sent) == (Code.UPSTREAM_UNREACHABLE, "reset", True)


@pytest.mark.parametrize("error", [errors.connect_rejected("http://here"), errors.target_host_rejected("http://here")])
def test_a_plugin_that_takes_the_sidecar_for_a_proxy_is_told_so(error):
    assert "HTTP_PROXY" in error.hint
    assert "http://here" in error.hint


def test_time_outs_say_how_long_was_waited():
    assert errors.upstream_timeout(60.0).message == "BioT did not answer within 60s"
    assert errors.upstream_timeout(0.25).message == "BioT did not answer within 0.25s"
    assert errors.upstream_timeout(60.0).retryable == ""
    assert errors.login_timeout(60.0).code is Code.LOGIN_TIMEOUT
