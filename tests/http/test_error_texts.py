"""The failures of the forwarding path: their codes, their labels, their words."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http import error_texts as faults

REFUSALS = [
    (faults.refused("why"), Code.BAD_REQUEST, "framing"),
    (faults.target_too_large(), Code.TARGET_TOO_LARGE, "limit"),
    (faults.fields_too_large(), Code.HEAD_TOO_LARGE, "limit"),
    (faults.late_head(10.0), Code.REQUEST_TIMEOUT, "limit"),
    (faults.stalled_upload(60.0), Code.REQUEST_TIMEOUT, "limit"),
    (faults.path_refused("why"), Code.PATH_REFUSED, "path"),
    (faults.route_denied("why"), Code.ROUTE_DENIED, "deny"),
    (faults.loop_detected(8, "PATCH", "/a/{id}"), Code.LOOP_DETECTED, "loop"),
    (faults.method_refused("GET"), Code.METHOD_REFUSED, "method"),
    (faults.tunnel_refused("http://here"), Code.METHOD_REFUSED, "method"),
    (faults.trace_refused(), Code.METHOD_REFUSED, "method"),
    (faults.host_refused("http://here"), Code.HOST_REFUSED, "host"),
    (faults.target_host_refused("http://here"), Code.HOST_REFUSED, "host"),
    (faults.no_icon(), Code.NOT_FOUND, "path"),
    (faults.not_for_admins(), Code.NOT_FOUND, "path"),
    (faults.not_found(), Code.NOT_FOUND, "path"),
    (faults.bad_question(), Code.BAD_REQUEST, "path"),
    (faults.overloaded(256), Code.OVERLOADED, "overload"),
    (faults.draining(), Code.DRAINING, "draining"),
]
REASONS = {"framing", "limit", "host", "browser", "path", "method", "deny", "loop", "overload", "draining"}


@pytest.mark.parametrize(("fault", "code", "reason"), REFUSALS, ids=lambda value: str(getattr(value, "name", "")))
def test_a_refusal_has_its_code_and_a_label_of_the_closed_set(fault, code, reason):
    assert isinstance(fault, ClientError)
    assert (fault.code, fault.reason) == (code, reason)
    assert fault.reason in REASONS
    assert fault.message


@pytest.mark.parametrize(
    "fault",
    [
        *(fault for fault, _, _ in REFUSALS),
        faults.untrusted_response("why"),
        faults.lost_before_response(sent=False),
        faults.timed_out(60.0),
        faults.login_timed_out(60.0),
    ],
    ids=lambda fault: fault.message,
)
def test_every_failure_says_what_can_be_done(fault):
    assert fault.hint


def test_the_reasons_given_stand_in_the_message():
    assert faults.refused("a bare CR stands in a header").message.endswith(": a bare CR stands in a header.")
    assert "not for plugins" in faults.route_denied("not for plugins").message
    assert faults.untrusted_response("it broke off").message == "BioT's answer cannot be trusted: it broke off."


def test_a_loop_is_named_by_its_template_never_by_its_path():
    assert faults.loop_detected(8, "PATCH", "/a/{id}").message.startswith("A loop: PATCH /a/{id} was intercepted")
    assert faults.loop_detected(8, "PATCH", "").message.startswith("A loop: this PATCH was intercepted")


def test_a_connection_lost_before_anything_was_sent_counts_as_a_failed_connect():
    fault = faults.lost_before_response(sent=False)
    assert (fault.code, fault.retryable) == (Code.UPSTREAM_UNREACHABLE, "connect")
    assert fault.hint.startswith("Nothing of the request was sent")


def test_a_connection_lost_after_sending_counts_as_a_reset():
    fault = faults.lost_before_response(sent=True)
    assert (fault.code, fault.retryable, fault.sent) == (Code.UPSTREAM_UNREACHABLE, "reset", True)


@pytest.mark.parametrize("fault", [faults.tunnel_refused("http://here"), faults.target_host_refused("http://here")])
def test_a_plugin_that_takes_the_sidecar_for_a_proxy_is_told_so(fault):
    assert "HTTP_PROXY" in fault.hint
    assert "http://here" in fault.hint


def test_time_outs_say_how_long_was_waited():
    assert faults.timed_out(60.0).message == "BioT did not answer within 60s"
    assert faults.timed_out(0.25).message == "BioT did not answer within 0.25s"
    assert faults.timed_out(60.0).retryable == ""
    assert faults.login_timed_out(60.0).code is Code.LOGIN_TIMEOUT
