"""Which format a scraper gets, whatever it asks for."""

from __future__ import annotations

from math import inf

import pytest
from biot_sidecar.pacing import no_pause
from biot_sidecar.telemetry.exposition import render
from hypothesis import given
from hypothesis import strategies as st

from tests.support.finished import exchange
from tests.telemetry.reading import label_sets, new_metrics, samples

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "start"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; version=9.9.9", TEXT),
        ("application/openmetrics-text; version=x", TEXT),
        ("application/openmetrics-text; version=1.0.0\x9b31m", TEXT),
    ],
)
def test_the_format_is_the_one_asked_for_or_else_plain_text(accept, start):
    content_type, body = render([new_metrics().snapshot()], accept)
    assert content_type.startswith(start)
    assert body.endswith(b"# EOF\n") == content_type.startswith("application/openmetrics-text")


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
def test_no_accept_field_breaks_the_page_or_shows_up_in_the_answer(accept):
    content_type, body = render([new_metrics().snapshot()], accept)
    assert content_type.isascii()
    assert content_type.isprintable()
    assert b"biot_sidecar_build_info" in body


@pytest.mark.parametrize("accept", ["", PROMETHEUS_3])
def test_both_formats_say_the_same(accept):
    metrics = new_metrics()
    metrics.routes(["a rule"])
    metrics.finished(exchange())
    metrics.login_finished("success", "start", 0.2)
    plain, asked = samples(metrics), samples(metrics, accept=accept)
    ours = {key for key in plain if key[0].startswith("biot_sidecar_")}
    assert {key for key in asked if key[0].startswith("biot_sidecar_")} == ours
    assert {key: asked[key].value for key in ours} == {key: plain[key].value for key in ours}


@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "process_resident_memory_bytes", "python_info"])
def test_the_process_metrics_that_programs_in_python_have_are_there(name):
    assert name in {found for found, _ in samples(new_metrics())}


# Queries and alerts name them: who changes one says so in docs/upgrade.md.
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 3.5, 5.0, 7.5, 10.0)
OF_A_CALL = (0.0025, 0.005, *SECONDS, 12.5, 15, 20, 25, 30, 40, 50, 60, 90, 120, 180, 300)
BUCKETS = {
    "request_duration": OF_A_CALL,
    "upstream_request_duration": OF_A_CALL,
    "overhead": (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, *SECONDS, 15, 20, 30, 40, 60),
    "token_wait": (*SECONDS, 15, 20, 30, 40, 60),
    "login_duration": (*SECONDS, 15, 20, 30, 40, 60),
}


@pytest.mark.parametrize("name", BUCKETS)
def test_the_buckets_are_those_that_queries_name(name):
    metrics = new_metrics()
    metrics.prepare(["one"], no_pause)
    told = {float(dict(labels)["le"]) for labels in label_sets(samples(metrics), f"{name}_seconds_bucket")}
    assert sorted(told) == [*BUCKETS[name], inf]
