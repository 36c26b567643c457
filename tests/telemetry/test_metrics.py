"""What is counted, under which labels, and how several processes' counts add up."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from biot_sidecar.errors import Code
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.routing.route import Interception, Route, Verdict
from biot_sidecar.telemetry import histogram, snapshot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.finished import exchange, refused, verdict
from tests.telemetry.reading import OPENMETRICS, label_sets, new_metrics, samples, value


def labels(**pairs):
    return frozenset(pairs.items())


# ---- what exists from the start

REFUSALS = ("framing", "limit", "host", "browser", "caller", "path", "method", "deny", "loop", "overload", "draining")
ENUMS = {
    "refused_total": [{"reason": reason} for reason in REFUSALS],
    "retries_total": [{"reason": reason} for reason in ("connect", "reset", "status", "token_not_valid")],
    "logins_total": [
        {"outcome": outcome, "reason": reason}
        for outcome, reason in product(
            [
                "success",
                "rejected",
                "locked",
                "timeout",
                "network",
                "server_error",
                "malformed",
                "secret",
                "proxy_refused",
            ],
            ["start", "string", "expiring", "token_not_valid"],
        )
    ],
    "token_requests_total": [{"result": result} for result in ["hit", "stale", "wait", "fail"]],
    "interception_total": [
        {"route": route, "action": action}
        for route, action in product(["one", "two", "unmatched"], ["set", "removed", "passed", "none"])
    ],
    "upstream_connections": [{"state": "idle"}, {"state": "active"}],
    "upstream_connects_total": [{"outcome": "success"}, {"outcome": "failure"}],
    "upstream_connections_closed_total": [
        {"reason": reason} for reason in ["age", "reload", "idle", "upstream", "error", "surplus"]
    ],
    "worker_restarts_total": [{"reason": "exit"}, {"reason": "unresponsive"}],
    "descriptor_shortages_total": [{}],
    "log_lines_dropped_total": [{}],
    "config_reloads_total": [{"outcome": "success"}, {"outcome": "failure"}],
    "request_duration_seconds_count": [{"route": "one"}, {"route": "two"}, {"route": "unmatched"}],
    "upstream_request_duration_seconds_count": [{"route": "one"}, {"route": "two"}, {"route": "unmatched"}],
    "overhead_seconds_count": [{}],
    "login_duration_seconds_count": [{}],
    "token_wait_seconds_count": [{}],
    "requests_in_flight": [{}],
    "request_body_bytes_total": [{}],
    "response_body_bytes_total": [{}],
    "answers_cut_total": [{}],
    "token_expiry_timestamp_seconds": [{}],
    "login_blocked_until_timestamp_seconds": [{}],
}


@pytest.mark.parametrize("name", ENUMS)
def test_every_series_of_an_enum_exists_from_the_start_and_says_nothing_yet(name):
    metrics = new_metrics()
    metrics.routes(["one", "two"])
    seen = samples(metrics)
    assert label_sets(seen, name) == {frozenset(one.items()) for one in ENUMS[name]}
    assert all(value(seen, name, **one) == 0 for one in ENUMS[name])


def test_a_fresh_process_says_what_it_is_and_that_its_routes_are_in_force():
    seen = samples(new_metrics())
    assert value(seen, "build_info", version="1.2.3", python="3.11.7") == 1
    assert value(seen, "config_last_reload_successful") == 1


def test_the_reasons_of_refusals_are_those_the_sidecar_can_give():
    made = [
        errors.route_denied("because"),
        errors.not_found(),
        errors.local_method_rejected(),
        errors.overloaded(1, 1.0),
        errors.draining(),
        errors.loop_detected(8, "GET", "/x"),
        errors.path_rejected("because"),
        errors.head_timeout(1.0),
    ]
    assert {fault.reason for fault in made} <= set(snapshot.REFUSALS)


# ---- requests


@pytest.mark.parametrize(
    ("setting", "action"),
    [
        (Interception.ON, "set"),
        (Interception.OFF, "removed"),
        (Interception.OFF, "none"),
        (Interception.CLIENT, "passed"),
        (Interception.CLIENT, "none"),
    ],
)
def test_a_request_counts_under_its_rule_method_status_and_the_rules_interception(setting, action):
    metrics = new_metrics()
    ruled = verdict(interception=setting)
    metrics.finished(exchange(interception=action, method=b"PATCH", status=404, verdict=ruled))
    seen = samples(metrics)
    assert value(seen, "requests_total", route="a rule", method="PATCH", status="404", interception=setting.value) == 1
    acted = {name: value(seen, "interception_total", route="a rule", action=name) for name in histogram.ACTIONS}
    assert acted == {name: int(name == action) for name in histogram.ACTIONS}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
def test_known_methods_count_by_name(method):
    metrics = new_metrics()
    metrics.finished(exchange(method=method.encode()))
    assert value(samples(metrics), "requests_total", route="a rule", method=method, status="200", interception="off")


@pytest.mark.parametrize("method", [b"", b"PROPFIND", b"get", b"G\xffT", b"X" * 5000])
def test_other_methods_count_together(method):
    metrics = new_metrics()
    metrics.finished(exchange(method=method))
    found = label_sets(samples(metrics), "requests_total")
    assert found == {labels(route="a rule", method="_OTHER", status="200", interception="off")}


def test_a_request_refused_before_the_rules_were_asked_counts_as_unmatched():
    metrics = new_metrics()
    metrics.finished(refused("host"))
    seen = samples(metrics)
    assert value(seen, "requests_total", route="unmatched", method="GET", status="421", interception="off") == 1
    assert value(seen, "refused_total", reason="host") == 1
    assert value(seen, "overhead_seconds_count") == 0
    assert value(seen, "upstream_request_duration_seconds_count", route="unmatched") == 0
    assert value(seen, "request_duration_seconds_count", route="unmatched") == 1


def test_nothing_became_of_the_header_of_a_denied_request():
    metrics = new_metrics()
    metrics.finished(refused("deny", status=403, verdict=verdict("no keys"), interception="set"))
    seen = samples(metrics)
    assert value(seen, "interception_total", route="no keys", action="set") == 0
    assert value(seen, "interception_total", route="no keys", action="none") == 1


def test_a_client_that_went_before_any_answer_counts_as_499():
    metrics = new_metrics()
    metrics.finished(exchange(status=0, client_gone=True))
    assert value(samples(metrics), "requests_total", route="a rule", method="GET", status="499", interception="off")


def test_an_answer_that_broke_off_is_counted_beside_the_status_it_began_with():
    metrics = new_metrics()
    metrics.finished(exchange(cut=True))
    seen = samples(metrics)
    assert value(seen, "answers_cut_total") == 1
    assert value(seen, "requests_total", route="a rule", method="GET", status="200", interception="off") == 1


def test_retries_bytes_and_token_results_add_up():
    metrics = new_metrics()
    metrics.finished(exchange(retries=("connect", "status", "status"), request_bytes=10, response_bytes=300))
    metrics.finished(exchange(token_result="wait", token_wait=0.2, request_bytes=1, response_bytes=2))
    metrics.finished(exchange(token_result=""))
    seen = samples(metrics)
    assert value(seen, "retries_total", reason="status") == 2
    assert value(seen, "retries_total", reason="connect") == 1
    assert value(seen, "request_body_bytes_total") == 11
    assert value(seen, "response_body_bytes_total") == 302
    assert value(seen, "token_requests_total", result="hit") == 1
    assert value(seen, "token_requests_total", result="wait") == 1
    assert value(seen, "token_wait_seconds_sum") == pytest.approx(0.2)
    assert value(seen, "token_wait_seconds_count") == 1


@pytest.mark.parametrize(
    ("seconds", "upstream", "overhead"),
    [(1.0, 0.75, 0.25), (1.0, 1.0, 0.0), (1.0, 1.5, 0.0)],
)
def test_overhead_is_the_total_less_the_time_with_biot_and_never_negative(seconds, upstream, overhead):
    metrics = new_metrics()
    metrics.finished(exchange(seconds, upstream_seconds=upstream))
    seen = samples(metrics)
    assert value(seen, "overhead_seconds_sum") == pytest.approx(overhead)
    assert value(seen, "upstream_request_duration_seconds_sum", route="a rule") == pytest.approx(upstream)
    assert value(seen, "request_duration_seconds_sum", route="a rule") == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "first"), [(0.0025, "0.0025"), (0.0026, "0.005"), (0.0, "0.0025"), (300.0, "300.0"), (301.0, "+Inf")]
)
def test_buckets_hold_what_is_at_most_their_bound(seconds, first):
    metrics = new_metrics()
    metrics.routes(["a rule"])
    moved = exchange()
    moved.started, moved.finished = 0.0, seconds
    metrics.finished(moved)
    seen = samples(metrics)
    holding = [
        dict(key)["le"]
        for key in label_sets(seen, "request_duration_seconds_bucket")
        if dict(key)["route"] == "a rule" and value(seen, "request_duration_seconds_bucket", **dict(key)) == 1
    ]
    assert min(holding, key=float) == first


# ---- logins, connections, reloads


def test_logins_are_told_by_outcome_and_reason():
    metrics = new_metrics()
    metrics.login_finished("success", "string", 0.3)
    metrics.login_finished("locked", "expiring", 0.1)
    seen = samples(metrics)
    assert value(seen, "logins_total", outcome="success", reason="string") == 1
    assert value(seen, "logins_total", outcome="locked", reason="expiring") == 1
    assert value(seen, "login_duration_seconds_count") == 2


def test_a_login_for_which_there_was_no_secret_took_no_time():
    metrics = new_metrics()
    metrics.login_finished("secret", "start", 5.0)
    seen = samples(metrics)
    assert value(seen, "logins_total", outcome="secret", reason="start") == 1
    assert value(seen, "login_duration_seconds_count") == 0


def test_each_time_that_descriptors_run_out_counts():
    metrics = new_metrics()
    metrics.descriptors_short()
    metrics.descriptors_short()
    assert value(samples(metrics), "descriptor_shortages_total") == 2


def test_expiry_and_block_are_moments_of_the_wall_clock():
    metrics = new_metrics()
    metrics.token_obtained(1_700_000_900.0)
    metrics.blocked_until(1_700_000_060.5)
    seen = samples(metrics)
    assert value(seen, "token_expiry_timestamp_seconds") == 1_700_000_900.0
    assert value(seen, "login_blocked_until_timestamp_seconds") == 1_700_000_060.5
    metrics.blocked_until(0.0)
    assert value(samples(metrics), "login_blocked_until_timestamp_seconds") == 0


def test_a_routes_file_that_was_not_taken_shows_until_one_is():
    metrics = new_metrics()
    metrics.reloaded(False)
    assert value(samples(metrics), "config_last_reload_successful") == 0
    metrics.reloaded(True)
    seen = samples(metrics)
    assert value(seen, "config_last_reload_successful") == 1
    assert value(seen, "config_reloads_total", outcome="failure") == 1
    assert value(seen, "config_reloads_total", outcome="success") == 1


def test_gauges_are_read_when_asked():
    metrics = new_metrics()
    metrics.gauges = lambda: (3, 4, 5)
    metrics.connected(True)
    metrics.connected(False)
    seen = samples(metrics)
    assert value(seen, "requests_in_flight") == 3
    assert value(seen, "upstream_connections", state="idle") == 4
    assert value(seen, "upstream_connections", state="active") == 5
    assert value(seen, "upstream_connects_total", outcome="success") == 1
    assert value(seen, "upstream_connects_total", outcome="failure") == 1


def test_a_rule_that_a_reload_removed_keeps_its_counts():
    metrics = new_metrics()
    metrics.routes(["old"])
    metrics.finished(exchange(verdict=verdict("old")))
    metrics.routes(["new"])
    seen = samples(metrics)
    assert value(seen, "requests_total", route="old", method="GET", status="200", interception="off") == 1
    assert value(seen, "interception_total", route="new", action="set") == 0


def test_what_was_prepared_aside_is_counted_in_when_the_rules_are_in_force():
    metrics, paces = new_metrics(), []
    metrics.routes(["old"])
    metrics.prepare(["old", "new"], lambda: paces.append(1))
    assert len(paces) == 2
    assert frozenset({"route": "new", "action": "set"}.items()) not in label_sets(
        samples(metrics), "interception_total"
    )
    metrics.routes(["old", "new"])
    seen = samples(metrics)
    assert value(seen, "interception_total", route="new", action="set") == 0


def test_what_is_counted_between_the_preparation_of_a_table_and_its_coming_into_force_stays():
    metrics = new_metrics()
    metrics.prepare(["a rule", "new"], lambda: None)
    metrics.finished(exchange())
    metrics.routes(["a rule", "new"])
    seen = samples(metrics)
    assert value(seen, "interception_total", route="a rule", action="none") == 1
    assert value(seen, "interception_total", route="new", action="none") == 0


# ---- whatever clients do


@given(method=st.binary(max_size=20), query=st.binary(max_size=50), status=st.sampled_from([0, 200, 404, 502]))
def test_no_word_of_a_client_becomes_a_label(method, query, status):
    metrics = new_metrics()
    metrics.finished(exchange(method=method, query=query, status=status))
    (found,) = label_sets(samples(metrics), "requests_total")
    assert dict(found)["method"] in {*snapshot.METHODS.values(), "_OTHER"}
    assert dict(found)["status"] in {"499", "200", "404", "502"}
    assert dict(found)["route"] == "a rule"


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "new\nline", "żółć 🌧", "a{b}=c,d"])
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_rule_may_have_any_name(name, accept):
    metrics = new_metrics()
    metrics.finished(exchange(verdict=verdict(name)))
    assert value(
        samples(metrics, accept=accept), "requests_total", route=name, method="GET", status="200", interception="off"
    )


# ---- what it costs


def test_every_error_of_our_own_has_a_name_for_the_log():
    assert all(code.value.startswith("SIDECAR_") for code in Code)


# ---- how exactly a duration is told


@pytest.mark.parametrize("bounds", [histogram.CALL_BOUNDS, snapshot.LOGIN_BOUNDS, snapshot.OVERHEAD_BOUNDS])
def test_a_wait_of_seconds_is_not_announced_as_twice_as_long(bounds):
    """A quantile that falls into a bucket is announced as its upper bound, at worst."""
    longer = [bound for bound in bounds if bound >= 1.0]
    assert all(two / one <= 1.7 for one, two in pairwise(longer)), longer


# ---- routes that only observe


def observed_by(name: str) -> Verdict:
    plain = verdict("one")
    return Verdict(plain.route, plain.template, plain.operation, observed=Route(name=name, source="f:1", observe="why"))


def test_what_would_have_been_denied_is_counted_under_the_route_that_observes():
    metrics = new_metrics()
    metrics.routes(["one", "two"])
    metrics.observing(["two"])
    assert label_sets(samples(metrics), "would_deny_total") == {labels(route="two")}
    assert value(samples(metrics), "would_deny_total", route="two") == 0
    metrics.finished(exchange(verdict=observed_by("two")))
    metrics.finished(exchange(verdict=observed_by("unmatched")))
    seen = samples(metrics)
    assert value(seen, "would_deny_total", route="two") == 1
    assert value(seen, "would_deny_total", route="unmatched") == 1
    assert value(seen, "requests_total", route="one", method="GET", status="200", interception="off") == 2


def test_what_would_have_been_denied_is_counted_though_a_reload_has_taken_its_route():
    metrics = new_metrics()
    metrics.finished(exchange(verdict=observed_by("gone")))
    assert value(samples(metrics), "would_deny_total", route="gone") == 1


def test_the_secret_keys_end_is_absent_while_unknown_or_endless():
    metrics = new_metrics()
    name = "secret_key_expiry_timestamp_seconds"
    assert not label_sets(samples(metrics), name)
    metrics.secret_key_found(1_700_000_060.0, 2)
    assert value(samples(metrics), name) == 1_700_000_060
    metrics.secret_key_found(None, 1)
    assert not label_sets(samples(metrics), name)
