"""Traces: which spans a request makes, what they say, and what becomes of those that cannot be sent."""

from __future__ import annotations

import itertools
import logging

import pytest
from biot_sidecar.errors import Code
from biot_sidecar.telemetry.traces import QUIET_LOGGERS, Traces
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.finished import TRACE, exchange, verdict

SENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
AT, STARTED = 1_700_000_000.0, 50.0  # as tests.support.finished has them
TEMPLATE = "/organization/v1/users/patients/{id}"


class Collected:
    """Traces, and the spans that they sent."""

    def __init__(self, exporter=None, **more) -> None:
        numbers = itertools.count(1)
        self.exporter = exporter or InMemorySpanExporter()
        self.traces = Traces(
            self.exporter,
            version="9.9",
            upstream=("api.example", 443),
            random_bits=lambda bits: next(numbers),
            **more,
        )

    def begin(self, traceparent: bytes = b""):
        return self.traces.begin(traceparent, AT, STARTED)

    def spans(self, finished):
        """The spans of a request, its own last."""
        self.traces.finished(finished)
        self.traces.close()
        return sorted(
            self.exporter.get_finished_spans(), key=lambda span: (span.kind is SpanKind.SERVER, span.start_time)
        )


@pytest.fixture
def collected():
    return Collected()


def milliseconds(span) -> tuple[float, float]:
    """From the request's start to the span's start and end."""
    return tuple(round((moment - AT * 1e9) / 1e6) for moment in (span.start_time, span.end_time))


def hexadecimal(span) -> str:
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


def test_a_request_is_a_span_with_its_try_below_it(collected):
    trace = collected.begin(SENT)
    sent = trace.try_began(STARTED + 0.001)
    attempt, own = collected.spans(exchange(trace=trace, request_bytes=3, response_bytes=5))
    assert (hexadecimal(own), hexadecimal(attempt)) == (trace.traceparent.decode(), sent.decode())
    assert hexadecimal(own).startswith(f"00-{TRACE}-")
    assert (f"{own.parent.span_id:016x}", attempt.parent.span_id) == ("00f067aa0ba902b7", own.context.span_id)
    assert {own.name, attempt.name} == {f"GET {TEMPLATE}"}
    assert (own.kind, attempt.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert (milliseconds(own), milliseconds(attempt)) == ((0, 12), (1, 12))
    assert dict(own.attributes) == {
        "http.request.method": "GET",
        "http.route": TEMPLATE,
        "http.response.status_code": 200,
        "http.request.body.size": 3,
        "http.response.body.size": 5,
        "biot_sidecar.route": "a rule",
        "biot_sidecar.interception": "none",
    }
    assert dict(attempt.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "api.example",
        "server.port": 443,
    }
    assert own.status.status_code is attempt.status.status_code is StatusCode.UNSET


def test_each_try_is_a_span_with_why_it_failed(collected):
    trace = collected.begin()
    parents = {trace.traceparent, trace.try_began(STARTED)}
    trace.try_ended(STARTED + 0.001, 0, "connect")
    parents.add(trace.try_began(STARTED + 0.002))
    trace.try_ended(STARTED + 0.003, 503, "status")
    parents.add(trace.try_began(STARTED + 0.004))
    first, second, third, own = collected.spans(exchange(trace=trace))
    assert len(parents) == 4
    assert [one.attributes.get("error.type") for one in (first, second, third)] == ["connect", "status", None]
    assert [one.attributes.get("http.response.status_code") for one in (first, second, third)] == [None, 503, 200]
    assert [one.attributes.get("http.request.resend_count") for one in (first, second, third)] == [None, 1, 2]
    assert [milliseconds(one) for one in (first, second, third)] == [(0, 1), (2, 3), (4, 12)]
    assert own.status.status_code is StatusCode.UNSET


def test_a_login_that_was_waited_for_is_a_span(collected):
    trace = collected.begin()
    trace.token_awaited(STARTED + 0.002, STARTED + 0.008)
    login, own = collected.spans(exchange(trace=trace))
    assert (login.name, login.kind, milliseconds(login)) == ("login", SpanKind.INTERNAL, (2, 8))
    assert login.parent.span_id == own.context.span_id


def test_a_connection_that_was_not_used_is_a_try_of_its_own(collected):
    trace = collected.begin()
    trace.try_began(STARTED)
    trace.try_began(STARTED + 0.004)
    unused, used, _ = collected.spans(exchange(trace=trace))
    assert (milliseconds(unused), milliseconds(used)) == ((0, 4), (4, 12))


@pytest.mark.parametrize(
    ("told", "reason", "failed"),
    [
        ({"status": 404}, None, False),
        ({"status": 500}, "500", True),
        ({"status": 504, "upstream_status": 0, "code": Code.UPSTREAM_TIMEOUT}, "SIDECAR_UPSTREAM_TIMEOUT", True),
        ({"status": 403, "code": Code.ROUTE_DENIED}, None, False),
        ({"status": 200, "cut": True}, "cut", True),
    ],
)
def test_a_request_failed_if_it_got_a_server_error_or_a_cut_answer(collected, told, reason, failed):
    (own,) = collected.spans(exchange(trace=collected.begin(), **told))
    assert own.attributes.get("error.type") == reason
    assert (own.status.status_code is StatusCode.ERROR) is failed


def test_a_try_failed_from_400_on(collected):
    trace = collected.begin()
    trace.try_began(STARTED)
    attempt, own = collected.spans(exchange(trace=trace, status=404, upstream_status=404))
    assert (attempt.attributes["error.type"], attempt.status.status_code) == ("404", StatusCode.ERROR)
    assert own.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"method": b"BREW"}, f"HTTP {TEMPLATE}"),
        ({"verdict": verdict(template="")}, "GET"),
        ({"verdict": None, "method": b""}, "HTTP"),
    ],
)
def test_names_come_from_closed_sets(collected, told, name):
    (own,) = collected.spans(exchange(trace=collected.begin(), **told))
    assert own.name == name
    assert own.attributes["http.request.method"] in {"GET", "_OTHER"}


def test_nothing_that_the_plugin_said_is_in_a_span(collected):
    secrets = {"query": b"canary=1", "request_headers": [(b"X", b"canary")], "response_headers": [(b"Y", b"canary")]}
    trace = collected.begin()
    trace.try_began(STARTED)
    assert "canary" not in "".join(span.to_json() for span in collected.spans(exchange(trace=trace, **secrets)))


def test_a_callers_trace_that_nobody_keeps_is_not_kept_here_either():
    collected = Collected(sampler=ParentBased(TraceIdRatioBased(1.0)))
    trace = collected.begin(SENT[:-1] + b"0")
    assert trace.try_began(STARTED) == trace.traceparent
    assert trace.traceparent.startswith(f"00-{TRACE}-".encode())
    assert trace.traceparent.endswith(b"-00")
    trace.token_awaited(STARTED, STARTED)
    trace.try_ended(STARTED, 503, "status")
    assert collected.spans(exchange(trace=trace)) == []


def test_what_is_not_sampled_says_so_to_biot():
    assert Collected(sampler=ALWAYS_OFF).begin().traceparent.endswith(b"-00")


def test_an_exchange_without_a_trace_makes_no_span(collected):
    assert collected.spans(exchange()) == []


def test_the_programs_name_gives_way_to_the_one_in_the_environment(collected, monkeypatch):
    (own,) = collected.spans(exchange(trace=collected.begin()))
    assert (own.resource.attributes["service.name"], own.resource.attributes["service.version"]) == (
        "biot-sidecar",
        "9.9",
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "plugin")
    other = Collected()
    (own,) = other.spans(exchange(trace=other.begin()))
    assert own.resource.attributes["service.name"] == "plugin"


# ---- what cannot be sent


class Failing(InMemorySpanExporter):
    """Sends what `results` allow."""

    def __init__(self, *results) -> None:
        super().__init__()
        self._results = list(results)

    def export(self, spans):
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_what_cannot_be_sent_is_counted_and_told_of_once():
    told = []
    gone, sent = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    collected = Collected(Failing(gone, ValueError("canary"), sent, sent), told=told.append)
    for _ in range(4):
        collected.traces.finished(exchange(trace=collected.begin()))
        collected.traces._provider.force_flush()
    assert collected.traces.dropped == 2
    assert told == [False, True]


def test_what_comes_while_the_queue_is_full_is_dropped_and_counted(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "3")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    collected = Collected()
    with monkeypatch.context() as patch:
        patch.setattr(collected.traces._processor._batch_processor._worker_awaken, "set", lambda: None)
        for _ in range(5):
            collected.traces.finished(exchange(trace=collected.begin()))
    assert collected.traces.dropped == 2
    assert len(collected.spans(exchange())) == 3


def test_libraries_write_nothing_to_stderr(collected, capfd):
    for name in QUIET_LOGGERS:
        logging.getLogger(f"{name}.below").error("canary")
    assert capfd.readouterr().err == ""
