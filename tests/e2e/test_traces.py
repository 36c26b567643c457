"""Traces of the real program, as a collector gets them: OTLP over HTTP, decoded by its own protocol."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.scripted_upstream import ScriptedUpstream, then_reset
from tests.support.sidecar import CANARY, running
from tests.support.wire import DEADLINE, response

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01".encode()


class Collector:
    """What a collector was sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.bodies: queue.Queue[bytes] = queue.Queue()
        self.status = 200
        self.url = ""

    def spans(self, number: int) -> list:
        """The next spans, so many."""
        spans = []
        while len(spans) < number:
            told = ExportTraceServiceRequest.FromString(self.bodies.get(timeout=DEADLINE))
            spans += [span for one in told.resource_spans for scope in one.scope_spans for span in scope.spans]
        return spans


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield collector
        server.shutdown()
        thread.join()


def traced(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}


async def test_a_call_is_one_trace_from_its_caller_to_biot(tmp_path):
    with collecting() as collector:
        async with running(tmp_path, **traced(collector)) as house:
            house.upstream.on("/none/a", then_reset(), response(body=b"ok"))
            answer = await house.get(f"/none/a?q={CANARY}", TRACEPARENT, b"tracestate: a=1")
            assert answer.status == 200
            first, second = house.upstream.seen("/none/a")
            spans = collector.spans(3)
            bodies = b"".join(span.SerializeToString() for span in spans)
        assert {span.trace_id.hex() for span in spans} == {TRACE}
        (own,) = [span for span in spans if span.parent_span_id.hex() == "00f067aa0ba902b7"]
        tries = sorted((span for span in spans if span is not own), key=lambda span: span.start_time_unix_nano)
        assert {span.parent_span_id for span in tries} == {own.span_id}
        sent = [one.head.values(b"traceparent") for one in (first, second)]
        assert sent == [[f"00-{TRACE}-{span.span_id.hex()}-01".encode()] for span in tries]
        assert second.head.values(b"tracestate") == [b"a=1"]
        assert CANARY.encode() not in bodies
        assert f'"trace_id":"{TRACE}"' in house.sidecar.log()


async def test_spans_wait_for_no_collector_and_those_of_a_stopping_sidecar_are_sent(tmp_path):
    with collecting() as collector:
        settings = traced(collector) | {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        async with running(tmp_path, **settings) as house:
            assert (await house.get("/none/a")).status == 200
        assert len(collector.spans(2)) == 2


async def test_a_collector_that_is_away_is_told_of_once_and_counted(tmp_path):
    with collecting() as collector:
        collector.status = 400  # a status that is not tried again
        async with running(tmp_path, **traced(collector)) as house:
            for _ in range(3):
                assert (await house.get("/none/a")).status == 200
                collector.spans(2)
            await house.local_fence()
            metrics = (await house.get("/metrics")).body.decode()
        log = house.sidecar.log()  # whole, once it has stopped
    assert log.count("traces cannot be sent") == 1
    assert "Traceback" not in log
    dropped = [line for line in metrics.splitlines() if line.startswith("biot_sidecar_trace_spans_dropped_total")]
    assert float(dropped[0].split()[1]) >= 4


async def test_what_the_sdk_cannot_use_costs_the_traces_and_nothing_else(tmp_path):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "-1"}
    async with running(tmp_path, upstream=ScriptedUpstream(), **settings) as house:
        assert (await house.get("/none/a")).status == 200
    assert "there are no traces: OTEL_* cannot be used (ValueError)" in house.sidecar.log()
