"""Times, durations, trace ids attributes and BioT's error shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from biot_sidecar.simulator.values import BiotError, Call, instant, timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.helpers import NOW, relaxed


def test_an_error_has_biots_shape() -> None:
    answer = BiotError(404, "DEVICE_NOT_FOUND", "no such device", {"id": "x"}).answer("Device Service", "abc")
    assert answer.status == 404
    assert answer.body == {
        "code": "DEVICE_NOT_FOUND",
        "message": "no such device",
        "serviceName": "Device Service",
        "traceId": "abc",
        "environment": "simulator",
        "details": {"id": "x"},
    }


def test_times_are_written_in_utc_with_three_digits_and_z() -> None:
    assert timestamp(NOW + 0.125) == "2025-11-24T16:00:00.125Z"


@relaxed
@given(st.integers(0, 4_000_000_000))
def test_what_is_written_as_a_time_reads_back(now: int) -> None:
    assert instant(timestamp(now)) == now


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-11-24", datetime(2025, 11, 24, tzinfo=UTC)),
        ("2025-11-24T16:00:00Z", datetime(2025, 11, 24, 16, tzinfo=UTC)),
        ("2025-11-24T18:00:00+02:00", datetime(2025, 11, 24, 16, tzinfo=UTC)),
        ("2025-11-24T16:00:00.000000000Z", datetime(2025, 11, 24, 16, tzinfo=UTC)),
        ("2025-11-24T16:00", datetime(2025, 11, 24, 16, tzinfo=UTC)),
    ],
)
def test_dates_and_date_times_of_iso_8601_are_moments(text: str, moment: datetime) -> None:
    assert instant(text) == moment.timestamp()


@pytest.mark.parametrize(
    "value", ["", "20251124", "12345678", "2025-13-01", "soon", "2025-11-24 or so", None, 20251124]
)
def test_everything_else_is_no_moment(value: object) -> None:
    assert instant(value) is None


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(BiotError, match="BAD_REQUEST"):
        Call(body=body).document()


def test_the_first_of_repeated_parameters_counts() -> None:
    call = Call(query={"a": ["1", "2"], "b": []})
    assert (call.parameter("a"), call.parameter("b"), call.parameter("c")) == ("1", None, None)
