"""One login, several observers."""

from __future__ import annotations

import json

from proxy.telemetry.log import Log
from proxy.telemetry.logins import LoginObservers
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
