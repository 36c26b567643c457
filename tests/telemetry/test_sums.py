"""How several processes' counts add up, and which request an exemplar names."""

from __future__ import annotations

import pytest
from biot_sidecar.telemetry import snapshot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.finished import TRACE, exchange, refused, verdict
from tests.telemetry.reading import OPENMETRICS, new_metrics, samples, value


def test_the_sums_over_processes_are_shown():
    one, two = new_metrics(), new_metrics()
    one.gauges, two.gauges = (lambda: (1, 2, 3)), (lambda: (10, 20, 30))
    for metrics, times in ((one, 2), (two, 3)):
        metrics.routes(["a rule", "idle"])
        for _ in range(times):
            metrics.finished(exchange(0.5, request_bytes=100, retries=("reset",), token_wait=0.1))
        metrics.login_finished("success", "start", 0.25)
        metrics.connected(True)
    two.finished(refused("limit", status=414))
    seen = samples(one, two)
    assert value(seen, "requests_total", route="a rule", method="GET", status="200", interception="off") == 5
    assert value(seen, "request_duration_seconds_sum", route="a rule") == pytest.approx(2.5)
    assert value(seen, "request_duration_seconds_bucket", route="a rule", le="+Inf") == 5
    assert value(seen, "interception_total", route="idle", action="set") == 0
    assert value(seen, "overhead_seconds_count") == 5
    assert value(seen, "token_wait_seconds_count") == 5
    assert value(seen, "logins_total", outcome="success", reason="start") == 2
    assert value(seen, "login_duration_seconds_sum") == pytest.approx(0.5)
    assert value(seen, "retries_total", reason="reset") == 5
    assert value(seen, "request_body_bytes_total") == 500
    assert value(seen, "refused_total", reason="limit") == 1
    assert value(seen, "upstream_connects_total", outcome="success") == 2
    assert value(seen, "requests_in_flight") == 11
    assert value(seen, "upstream_connections", state="idle") == 22
    assert value(seen, "upstream_connections", state="active") == 33
    assert value(seen, "build_info", version="1.2.3", python="3.11.7") == 1


def test_of_moments_the_latest_counts_and_of_reloads_the_worst():
    one, two = new_metrics(), new_metrics()
    one.token_obtained(200.0)
    two.token_obtained(100.0)
    two.blocked_until(50.0)
    two.reloaded(False)
    one.reloaded(True)
    for seen in (samples(one, two), samples(two, one)):
        assert value(seen, "token_expiry_timestamp_seconds") == 200
        assert value(seen, "login_blocked_until_timestamp_seconds") == 50
        assert value(seen, "config_last_reload_successful") == 0


def test_a_rule_that_only_one_process_knows_counts_too():
    one, two = new_metrics(), new_metrics()
    two.finished(exchange(verdict=verdict("late")))
    assert value(samples(one, two), "interception_total", route="late", action="none") == 1


@given(st.lists(st.lists(st.floats(0, 1000), max_size=8), min_size=1, max_size=4))
def test_sums_do_not_depend_on_which_process_served_a_request(processes):
    together = new_metrics()
    apart = [new_metrics() for _ in processes]
    for metrics, durations in zip(apart, processes, strict=True):
        for seconds in durations:
            metrics.finished(exchange(seconds, started=0.0, finished=seconds))
            together.finished(exchange(seconds, started=0.0, finished=seconds))
    expected = snapshot.merge_snapshots([together.snapshot()]).routes.get("a rule", snapshot.RouteStats())
    found = snapshot.merge_snapshots([one.snapshot() for one in apart]).routes.get("a rule", snapshot.RouteStats())
    assert found.duration.counts == expected.duration.counts
    assert found.duration.seconds == pytest.approx(expected.duration.seconds)
    assert found.duration.most == expected.duration.most
    assert found.requests == expected.requests


# ---- exemplars


def test_openmetrics_buckets_name_the_last_trace_that_fell_into_them():
    metrics = new_metrics()
    metrics.finished(exchange(0.012, trace_id="0" * 31 + "1"))
    metrics.finished(exchange(0.013))
    metrics.finished(exchange(7.0, trace_id="0" * 31 + "7"))
    seen = samples(metrics, accept=OPENMETRICS)
    exemplars = {
        dict(key)["le"]: found.exemplar.labels["trace_id"]
        for (name, key), found in seen.items()
        if name == "biot_sidecar_request_duration_seconds_bucket" and found.exemplar
    }
    assert exemplars == {"0.025": TRACE, "7.5": "0" * 31 + "7"}


def test_of_several_processes_exemplars_the_youngest_is_shown():
    one, two = new_metrics(), new_metrics()
    one.finished(exchange(at=2000.0, trace_id="a" * 32))
    two.finished(exchange(at=1000.0, trace_id="b" * 32))
    for order in ((one, two), (two, one)):
        seen = samples(*order, accept=OPENMETRICS)
        found = [sample.exemplar for sample in seen.values() if sample.exemplar]
        assert [exemplar.labels for exemplar in found] == [{"trace_id": "a" * 32}]


def test_a_request_without_a_trace_leaves_no_exemplar():
    metrics = new_metrics()
    metrics.finished(exchange(trace_id=""))
    assert not any(sample.exemplar for sample in samples(metrics, accept=OPENMETRICS).values())


def test_what_is_left_of_processes_that_ended_is_their_counts_not_their_gauges():
    metrics = new_metrics()
    metrics.gauges = lambda: (1, 2, 3)
    metrics.finished(exchange(0.5))
    left = snapshot.merge_snapshots([snapshot.ended_totals([metrics.snapshot(), metrics.snapshot()])])
    assert (left.in_flight, left.idle, left.active) == (0, 0, 0)
    assert sum(sum(route.requests.values()) for route in left.routes.values()) == 2
