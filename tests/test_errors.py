"""Failures by name."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import BadSettings, ClientError, Code, Failure, LoginError, UpstreamError
from biot_sidecar.http import error_catalogue as errors


@pytest.mark.parametrize("code", Code)
def test_every_code_is_ours_on_the_wire(code):
    assert code.value == f"SIDECAR_{code.name}"


def test_a_too_long_target_and_too_large_headers_share_their_code():
    failures = (errors.target_too_large(), errors.fields_too_large())
    assert {failure.code for failure in failures} == {Code.HEAD_TOO_LARGE}
    assert [errors.status_of(failure) for failure in failures] == [414, 431]


def test_a_failures_text_is_its_code_and_not_its_message():
    for fault in (
        Failure(Code.BAD_REQUEST, "words"),
        ClientError(Code.BAD_REQUEST, "words", reason="framing"),
        UpstreamError(Code.BAD_REQUEST, "words"),
        LoginError(Code.BAD_REQUEST, "words"),
    ):
        assert str(fault) == "SIDECAR_BAD_REQUEST"
        assert "words" not in repr(fault)
        assert fault.message == "words"


def test_wrong_settings_are_counted():
    assert str(BadSettings(["a", "b"])) == "2 problem(s)"
