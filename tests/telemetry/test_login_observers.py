"""One login, several observers."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.login_observers import LoginObservers
from biot_sidecar.timestamps import iso

from tests.telemetry.reading import new_metrics, samples, value


def test_metrics_and_log_both_hear_of_logins():
    lines: list[bytes] = []

    def write(batch: bytes) -> int:
        lines.append(batch)
        return 0

    metrics, log = new_metrics(), Log(level="debug", form="json", write=write, wall=lambda: 1_700_000_000.0)
    observers = LoginObservers(metrics, log)
    observers.login_finished("rejected", "start", 0.1)
    observers.token_obtained(1_700_000_900.0)
    observers.blocked_until(1_700_000_060.0)
    seen = samples(metrics)
    assert value(seen, "logins_total", outcome="rejected", reason="start") == 1
    assert value(seen, "token_expiry_timestamp_seconds") == 1_700_000_900
    assert value(seen, "login_blocked_until_timestamp_seconds") == 1_700_000_060
    assert [json.loads(line)["event"] for line in lines] == ["login", "token", "login_blocked"]


class Broken:
    def __getattr__(self, name: str):
        raise OverflowError


def test_an_observer_that_raises_is_reported_and_takes_nothing_along():
    errors: list[BaseException] = []
    metrics = new_metrics()
    observers = LoginObservers(Broken(), metrics, report=errors.append)
    observers.login_finished("rejected", "start", 0.1)
    observers.event("warning", "secret", "odd")
    observers.token_obtained(1_700_000_900.0)
    observers.blocked_until(1_700_000_060.0)
    assert value(samples(metrics), "logins_total", outcome="rejected", reason="start") == 1
    assert [type(error) for error in errors] == [OverflowError] * 4


def test_a_moment_that_no_date_can_name_is_shown_as_the_nearest_that_one_can():
    assert [iso(moment) for moment in (-1e300, float("nan"), 253_402_300_799.9999999, float("inf"))] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.000Z",
        "9999-12-31T23:59:59.000Z",
    ]


@pytest.mark.interpreted("compiled, the value is refused where it is handed over")
def test_an_event_that_cannot_be_written_down_is_still_an_event():
    for form in ("json", "text"):
        lines = lines_of_odd_events(form)
        assert len(lines) == 2
        assert b"cannot be written down" in lines[0]


def lines_of_odd_events(form: str) -> list[bytes]:
    lines: list[bytes] = []

    def write(batch: bytes) -> int:
        lines.append(batch)
        return 0

    log = Log(level="info", form=form, write=write, wall=lambda: 1_700_000_000.0)
    log.event("info", "odd", "told", value=[object()])  # type: ignore[arg-type]
    log.event("info", "odd", "\ud800")
    return lines
