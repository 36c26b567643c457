"""What a trace asks of a request on its way: when a login was waited for, and when each try began and ended.

Only the interfaces stand here: spans themselves are made where OpenTelemetry is known (telemetry/traces).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from biot_sidecar.traits import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestTrace(ABC):
    """The trace of one request; times are monotonic seconds. No trait: what is not compiled implements it."""

    traceparent: bytes
    """Of the request's own span, in the trace of the caller."""

    @abstractmethod
    def token_awaited(self, began: float, ended: float) -> None:
        """The request waited for a login."""

    @abstractmethod
    def try_began(self, at: float) -> bytes:
        """A try begins with looking for a connection; the traceparent to send with it."""

    @abstractmethod
    def try_ended(self, at: float, status: int, reason: str) -> None:
        """The try failed and another may follow: `status` is BioT's, 0 for none; `reason` one of `retries_total`."""


class RequestTracer(Protocol):
    """Begins traces."""

    def begin(self, traceparent: bytes, at: float, started: float) -> RequestTrace:
        """A request has come in with `traceparent`, or without (empty): `at` by the wall clock, `started` by the
        monotonic one, in seconds.
        """
