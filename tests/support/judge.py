"""What an answer must look like to count as one of our own errors, or as BioT's own words passed on."""

from __future__ import annotations

import re

from tests.support.rawclient import Answer
from tests.support.scripted_upstream import TOKEN_CANARY
from tests.support.sidecar import CANARY, SECRET

# The registered proxy error types of RFC 9209, section 2.3.
_ERROR_TYPES = frozenset(
    [
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
        "tls_certificate_error",
        "tls_alert_received",
        "http_request_error",
        "http_request_denied",
        "http_response_incomplete",
        "http_response_header_section_size",
        "http_response_header_size",
        "http_response_body_size",
        "http_response_trailer_section_size",
        "http_response_trailer_size",
        "http_response_transfer_coding",
        "http_response_content_coding",
        "http_response_timeout",
        "http_upgrade_failed",
        "http_protocol_error",
        "proxy_internal_response",
        "proxy_internal_error",
        "proxy_configuration_error",
        "proxy_loop_detected",
    ]
)
_KEYS = {"code", "message", "serviceName", "traceId", "environment", "details"}


def is_ours(answer: Answer) -> bool:
    return any(value.startswith(b"biot-sidecar") for value in answer.head.values(b"proxy-status"))


def assert_ours(answer: Answer, status: int, *codes: str) -> None:
    """The answer is our own error, whole and in BioT's shape (contract section 7), with one of these codes."""
    assert answer.complete, answer
    assert answer.status == status, answer
    _assert_proxy_status(answer)
    error = answer.json
    assert set(error) == _KEYS, error
    assert error["code"] in codes, error
    assert error["serviceName"] == "biot-sidecar"
    assert re.fullmatch(r"[0-9a-f]{32}", error["traceId"]), error
    assert set(error["details"]) == {"route", "hint"}, error
    assert error["details"]["hint"], error
    assert (answer.head.first(b"content-type") or b"").startswith(b"application/json")
    _assert_discreet(answer)


def _assert_proxy_status(answer: Answer) -> None:
    (value,) = answer.head.values(b"proxy-status")
    match = re.match(rb"biot-sidecar; ?error=([a-z_]+)", value)
    assert match, value
    assert match[1].decode() in _ERROR_TYPES, value


def _assert_discreet(answer: Answer) -> None:
    said = answer.head.raw + answer.body
    for text in (CANARY, SECRET, TOKEN_CANARY):
        assert text.encode() not in said, answer


def assert_passed_on(answer: Answer, status: int, body: bytes | None = None) -> None:
    """The answer is the upstream's own, untouched and whole."""
    assert answer.complete, answer
    assert answer.status == status, answer
    assert not is_ours(answer), answer
    if body is not None:
        assert answer.body == body, answer
