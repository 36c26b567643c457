"""A request may ask for less time and no second try, never for more."""

from __future__ import annotations

import pytest
from biot_sidecar.durations import LONGEST, show_duration
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http.header_fields import NOT_FORWARDED, Kind, kind_of
from biot_sidecar.http.request_limits import within_request
from biot_sidecar.routing.route import Retry, Route
from hypothesis import given
from hypothesis import strategies as st

ROUTE = Route(name="a", source="f:1", timeout=30.0)
NAMES = {"sidecar-timeout": Kind.TIMEOUT, "sidecar-retry": Kind.RETRY}


def test_a_request_that_asks_for_nothing_has_its_route():
    assert within_request(ROUTE, {}) is ROUTE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"2500ms", 2.5), (b"1s", 1.0), (b"0.5s", 0.5), (b"1m", 30.0), (b"30s", 30.0), (b"168h", 30.0)],
)
def test_the_shorter_time_holds(value, seconds):
    asked = within_request(ROUTE, {Kind.TIMEOUT: [value]})
    assert (asked.timeout, asked.retry, asked.name) == (seconds, Retry.IDEMPOTENT, "a")


@given(st.floats(0.001, LONGEST).map(show_duration))
def test_no_time_is_longer_than_the_routes(value):
    assert 0 < within_request(ROUTE, {Kind.TIMEOUT: [value.encode()]}).timeout <= ROUTE.timeout


def test_retries_can_be_turned_off():
    assert within_request(ROUTE, {Kind.RETRY: [b"none"]}).retry is Retry.NONE
    once = Route(name="a", source="f:1", retry=Retry.NONE)
    assert within_request(once, {Kind.RETRY: [b"none"]}) is once


BAD = [b"", b"0", b"0s", b"0ms", b"5", b"-1s", b"1 s", b"01s", b"1s, 2s", b"1S", b"169h", b"inf", b"\xb2s", b"1e3s"]


@pytest.mark.parametrize(
    "known",
    [{Kind.TIMEOUT: [value]} for value in BAD]
    + [{Kind.TIMEOUT: [b"1s", b"1s"]}, {Kind.RETRY: [b"idempotent"]}, {Kind.RETRY: [b""]}, {Kind.RETRY: [b"none"] * 2}],
)
def test_a_bad_value_is_refused(known):
    with pytest.raises(ClientError) as refused:
        within_request(ROUTE, known)
    assert refused.value.code is Code.BAD_REQUEST


@given(st.sampled_from(sorted(NAMES)), st.sampled_from("-_.!#$%&'*+^`|~"), st.booleans())
def test_every_spelling_is_taken_off_and_only_the_plain_one_counts(name, dash, capitals):
    spelled = name.replace("-", dash)
    kind = kind_of((spelled.upper() if capitals else spelled).encode())
    assert kind == (NAMES[name] if dash == "-" else Kind.LOOKALIKE)
    assert kind in NOT_FORWARDED
