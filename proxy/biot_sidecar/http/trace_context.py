"""The trace context of a request: the caller's, a new one, or that of the request's own span (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Callable

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.messages import RequestHead
from biot_sidecar.http.request_trace import RequestTracer
from biot_sidecar.http.traceparent import TraceparentGenerator, trace_id_of


class TraceContexts:
    """Gives each request its traceparent; without a `tracer` no request has a span of its own."""

    def __init__(self, random_bits: Callable[[int], int], tracer: RequestTracer | None) -> None:
        self._generator = TraceparentGenerator(random_bits)
        self._tracer = tracer

    def of(self, head: RequestHead, exchange: Exchange) -> bytes:
        """The traceparent to send: the request's own, or one for it, or that of its span. The exchange takes the trace
        id, and the trace, if there is one.
        """
        sent = b""
        for value in head.known_fields.get(Kind.TRACEPARENT, ()):
            trace_id = trace_id_of(value)
            if trace_id is not None:
                exchange.trace_id = trace_id
                sent = value
                break
        if self._tracer is not None:
            exchange.trace = trace = self._tracer.begin(sent, exchange.at, exchange.started)
            exchange.trace_id = trace.traceparent[3:35].decode()
            return trace.traceparent
        return sent or self._new(exchange)

    def ensure(self, exchange: Exchange) -> None:
        """Give a trace id to a request whose head could not be read."""
        if not exchange.trace_id:
            self._new(exchange)

    def _new(self, exchange: Exchange) -> bytes:
        made = self._generator.new(exchange.at - exchange.started)
        exchange.trace_id = made[3:35].decode()
        return made
