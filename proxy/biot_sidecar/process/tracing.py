"""Traces of one serving process, if there are to be any: sent from where its settings say to where OTEL_* say."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from biot_sidecar import __version__
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.process.factories import RANDOM
from biot_sidecar.settings import Settings
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.threads import in_thread

if TYPE_CHECKING:
    from biot_sidecar.telemetry.traces import Traces

GRACE: Final = 2.0
"""Seconds that the last spans may take when the sidecar ends."""
EVENT: Final = "traces"


def make_traces(settings: Settings, log: Log) -> Traces | None:
    """None where none are wanted, or cannot be sent for what the environment says; the log is told of that."""
    if not settings.traces:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    from biot_sidecar.telemetry.traces import Traces  # 300 ms and 20 MB for those who have a collector

    loop = asyncio.get_running_loop()

    def told(sent: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(_tell, log, sent)

    try:
        upstream = settings.upstream
        return Traces(
            OTLPSpanExporter(),
            version=__version__,
            upstream=(upstream.host, upstream.port),
            random_bits=RANDOM.getrandbits,
            told=told,
        )
    except Exception as error:  # the SDK's for what it finds wrong in OTEL_*, whose values may hold credentials
        log.event("warning", EVENT, f"there are no traces: OTEL_* cannot be used ({type(error).__name__})")
        return None


async def close_traces(traces: Traces | None) -> None:
    """Send what waits, for as long as GRACE."""
    if traces is not None:
        with contextlib.suppress(TimeoutError), timeout(GRACE):
            await in_thread(traces.close, "traces")


def _tell(log: Log, sent: bool) -> None:
    if sent:
        log.event("info", EVENT, "traces are sent again")
    else:
        log.event("warning", EVENT, "traces cannot be sent to the collector; they are dropped and counted meanwhile")
