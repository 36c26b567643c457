"""Traces: a span for each request, with children for the login it waited for and for each try, by OpenTelemetry's SDK.

Imported only where traces were asked for. Spans are named by method and route template and hold what OpenTelemetry's
HTTP conventions name (semantic conventions, HTTP spans), but never a path, a query value, a header value or a body. The
SDK batches and sends them in a thread of its own; what it cannot send, or what waits beyond its queue, is dropped and
counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.request_trace import RequestTrace
from biot_sidecar.telemetry.snapshot import METHODS, OTHER

Attributes = dict[str, str | int]

QUIET_LOGGERS: Final = ("opentelemetry", "urllib3")
"""Libraries that would write to stderr what failed, with addresses and tracebacks."""
_SERVER_ERRORS: Final = 500
_CLIENT_ERRORS: Final = 400
_NANOSECONDS: Final = 1e9
_ROOT_CONTEXT: Final = Context()


class Traces:
    """A RequestTracer and an Observer.

    `upstream` is the host and port of BioT; `random_bits` returns as many as it is asked for; `told` hears each time
    when spans cannot be sent any more (False), and when they can be again (True). It is called in the SDK's thread.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        version: str,
        upstream: tuple[str, int],
        random_bits: Callable[[int], int],
        told: Callable[[bool], None] = lambda sent: None,
        sampler: Sampler | None = None,
    ) -> None:
        quieten()
        self._exporter = _CountingExporter(exporter, told)
        self._provider = TracerProvider(
            sampler=sampler,  # None: as OTEL_TRACES_SAMPLER says
            resource=_resource(version),
            id_generator=_Ids(random_bits),
            shutdown_on_exit=False,
        )
        self._processor = _BoundedProcessor(self._exporter)
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("biot_sidecar", version)
        self._server: Attributes = {"server.address": upstream[0], "server.port": upstream[1]}

    def begin(self, traceparent: bytes, at: float, started: float) -> RequestTrace:
        """A request has come in with `traceparent`, or without (empty): `at` by the wall clock, `started` by the
        monotonic one, in seconds.
        """
        context = _context_of(traceparent) if traceparent else _ROOT_CONTEXT
        span = self._tracer.start_span("HTTP", context, SpanKind.SERVER, start_time=int(at * _NANOSECONDS))
        if not span.is_recording():
            return _Unsampled(span)
        return _Trace(self._tracer, span, at - started)

    def finished(self, exchange: Exchange) -> None:
        """End the request's span, and send it with its children."""
        trace = exchange.trace
        if isinstance(trace, _Trace):
            trace.end(exchange, self._server)

    @property
    def dropped(self) -> int:
        """Spans that were not sent, so far."""
        return self._processor.dropped + self._exporter.failed

    def close(self) -> None:
        """Send what waits, if it can be sent at once. It blocks."""
        self._provider.shutdown()


def quieten() -> None:
    """Keep what libraries log off stderr: the program tells of what failed in its own log."""
    for name in QUIET_LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


class _Unsampled(RequestTrace):
    """A trace that nobody keeps: its context goes on, and says so."""

    def __init__(self, span: Span) -> None:
        self.traceparent = _traceparent_of(span)

    def token_awaited(self, began: float, ended: float) -> None:
        return

    def try_began(self, at: float) -> bytes:
        return self.traceparent

    def try_ended(self, at: float, status: int, reason: str) -> None:
        return


class _Trace(RequestTrace):
    """`ahead`: by how many seconds the wall clock is ahead of the monotonic one."""

    def __init__(self, tracer: Tracer, span: Span, ahead: float) -> None:
        self.traceparent = _traceparent_of(span)
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, _ROOT_CONTEXT)
        self._ahead = ahead
        self._try: Span | None = None
        self._ended: list[tuple[Span, float, int, str]] = []

    def token_awaited(self, began: float, ended: float) -> None:
        span = self._tracer.start_span("login", self._context, start_time=self._nanoseconds(began))
        span.end(self._nanoseconds(ended))

    def try_began(self, at: float) -> bytes:
        if self._try is not None:  # its connection was not used
            self.try_ended(at, 0, "")
        self._try = self._tracer.start_span("HTTP", self._context, SpanKind.CLIENT, start_time=self._nanoseconds(at))
        return _traceparent_of(self._try)

    def try_ended(self, at: float, status: int, reason: str) -> None:
        if self._try is not None:
            self._ended.append((self._try, at, status, reason))
            self._try = None

    def end(self, exchange: Exchange, server: Mapping[str, str | int]) -> None:
        """All is known of the request now: name its spans and end them."""
        if self._try is not None:
            reason = "" if exchange.code is None else exchange.code.value
            self.try_ended(exchange.finished, exchange.upstream_status, reason or "cut" * exchange.cut)
        name, common = _name_of(exchange), _common_attributes(exchange)
        for number, (span, at, status, reason) in enumerate(self._ended):
            resent: Attributes = {"http.request.resend_count": number} if number else {}
            _complete(span, name, common | dict(server) | resent, status, reason, _CLIENT_ERRORS)
            span.end(self._nanoseconds(at))
        reason = "" if exchange.code is None or exchange.status < _SERVER_ERRORS else exchange.code.value
        attributes = common | _request_attributes(exchange)
        _complete(self._span, name, attributes, exchange.status, reason or "cut" * exchange.cut, _SERVER_ERRORS)
        self._span.end(self._nanoseconds(exchange.finished))

    def _nanoseconds(self, monotonic: float) -> int:
        return int((monotonic + self._ahead) * _NANOSECONDS)


def _complete(span: Span, name: str, attributes: Attributes, status: int, reason: str, errors_from: int) -> None:
    """`reason` is why it failed, if it did; of what failed by its status that is the status."""
    if status:
        attributes["http.response.status_code"] = status
    if not reason and status >= errors_from:
        reason = str(status)
    if reason:
        attributes["error.type"] = reason
        span.set_status(Status(StatusCode.ERROR))
    span.update_name(name)
    span.set_attributes(attributes)


def _name_of(exchange: Exchange) -> str:
    """Method and template (semantic conventions, HTTP spans, name)."""
    method = METHODS.get(exchange.method, "HTTP")
    template = "" if exchange.verdict is None else exchange.verdict.template
    return f"{method} {template}" if template else method


def _common_attributes(exchange: Exchange) -> Attributes:
    return {"http.request.method": METHODS.get(exchange.method, OTHER)}


def _request_attributes(exchange: Exchange) -> Attributes:
    """What only the request's own span says; names of our own have our prefix."""
    attributes: Attributes = {
        "http.request.body.size": exchange.request_bytes,
        "http.response.body.size": exchange.response_bytes,
        "biot_sidecar.interception": exchange.interception,
    }
    if exchange.verdict is not None:
        attributes["biot_sidecar.route"] = exchange.verdict.route.name
        if exchange.verdict.template:
            attributes["http.route"] = exchange.verdict.template
    return attributes


def _traceparent_of(span: Span) -> bytes:
    """W3C Trace Context, section 3.2."""
    context = span.get_span_context()
    return b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)


def _context_of(traceparent: bytes) -> Context:
    """Of a valid traceparent: the span of whoever sent it."""
    parent = SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:55], 16) & TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(parent), _ROOT_CONTEXT)


def _resource(version: str) -> Resource:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes before our own name."""
    own: dict[str, Any] = {"service.name": "biot-sidecar", "service.version": version}
    return Resource.create(own | dict(OTELResourceDetector().detect().attributes))


class _Ids(IdGenerator):
    """Ids of the system's randomness: those of a generator of our own would come again in clones of a snapshot."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits

    def generate_span_id(self) -> int:
        return self._random_bits(64) or 1

    def generate_trace_id(self) -> int:
        return self._random_bits(128) or 1


class _CountingExporter(SpanExporter):
    """Counts what could not be sent, and what has been handed over; `told` hears of the first of each in a row."""

    def __init__(self, exporter: SpanExporter, told: Callable[[bool], None]) -> None:
        self._exporter = exporter
        self._told = told
        self._sending = True
        self.failed = 0
        self.handled = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # of the exporter's libraries; what it says may hold anything
            result = SpanExportResult.FAILURE
        sent = result is SpanExportResult.SUCCESS
        self.handled += len(spans)
        self.failed += 0 if sent else len(spans)
        if sent is not self._sending:
            self._sending = sent
            self._told(sent)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _BoundedProcessor(BatchSpanProcessor):
    """Drops and counts what comes while the queue is full; the SDK's own would write a warning for each."""

    def __init__(self, exporter: _CountingExporter) -> None:
        super().__init__(exporter)
        self._exporter = exporter
        self._most: int = self._default_max_queue_size()  # type: ignore[no-untyped-call]
        self._taken = 0
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        if self._taken - self._exporter.handled >= self._most:
            self.dropped += 1
        else:
            self._taken += 1
            super().on_end(span)
