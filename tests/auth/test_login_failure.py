"""Every failed login has a name, words and a code, and shows nothing of the secret."""

from __future__ import annotations

import ssl

import pytest
from biot_sidecar.auth.login_failure import TRIED_AGAIN, no_response, secret_unreadable
from biot_sidecar.errors import CLIENT_CERTIFICATE, Code
from biot_sidecar.http.connect_errors import tls_broken
from biot_sidecar.http.error_catalogue import (
    lost_before_response,
    untrusted_response,
    upstream_timeout,
)
from biot_sidecar.telemetry.snapshot import LOGIN_OUTCOMES


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        (upstream_timeout(10), "timeout", Code.LOGIN_TIMEOUT),
        (untrusted_response("odd"), "malformed", Code.LOGIN_MALFORMED),
        (lost_before_response(), "network", Code.LOGIN_UNAVAILABLE),
    ],
)
def test_no_answer_has_a_name_too(fault, outcome, code):
    result = no_response(fault)
    assert (result.outcome, result.code, result.blocks) == (outcome, code, False)


def test_a_server_that_wants_a_certificate_is_told_so_too_when_it_says_so_after_the_handshake():
    error = ssl.SSLError(1, "alert")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert no_response(tls_broken(error, "api.example:443")).hint == CLIENT_CERTIFICATE
    error.reason = "TLSV1_ALERT_INTERNAL_ERROR"
    assert no_response(tls_broken(error, "api.example:443")).hint == TRIED_AGAIN


def test_an_unreadable_secret_has_a_code_and_an_outcome_of_its_own():
    result = secret_unreadable("no such file")
    assert result.code is Code.SECRET_UNAVAILABLE
    assert result.outcome in LOGIN_OUTCOMES
    assert not result.blocks
