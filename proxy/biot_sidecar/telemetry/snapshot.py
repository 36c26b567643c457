"""What one process has counted: plain numbers, cheap to add to, to send to another process and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import msgspec

from biot_sidecar.telemetry.histogram import Histogram, RouteStats, histogram
from biot_sidecar.telemetry.merging import (
    LIVE_ALL,
    LIVE_KNOWN,
    LIVE_MAX,
    LIVE_MIN,
    LIVE_SUM,
    LIVE_UNION,
    MAX,
    merge,
    reset_live,
)
from biot_sidecar.telemetry.process_metrics import ProcessMetrics

UNMATCHED: Final = "unmatched"
"""The route of requests that no route matched, or that were rejected before the routes were asked."""
OTHER: Final = "_OTHER"
CLIENT_GONE: Final = 499
"""The status of a request whose connection ended before any answer, as nginx calls it when the client went away."""
METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
}

LOGIN_OUTCOMES: Final = (
    "success", "rejected", "locked", "timeout", "network", "server_error", "malformed", "secret", "proxy_refused",
)  # fmt: skip
LOGIN_REASONS: Final = ("start", "string", "expiring", "token_not_valid")
REFUSALS: Final = (
    "framing", "limit", "host", "browser", "caller", "path", "method", "deny", "loop", "overload", "draining",
)  # fmt: skip
RETRIES: Final = ("connect", "reset", "status", "token_not_valid")
TOKEN_RESULTS: Final = ("hit", "stale", "wait", "fail")
OUTCOMES: Final = ("success", "failure")
CLOSINGS: Final = ("age", "reload", "idle", "upstream", "error", "surplus")
RESTARTS: Final = ("exit", "unresponsive")

# Upper bounds in seconds: the sidecar's own part is a fraction of one millisecond to the length of a login.
OVERHEAD_BOUNDS: Final[tuple[float, ...]] = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 3.5, 5.0, 7.5,
    10.0, 15.0, 20.0, 30.0, 40.0, 60.0,
)  # fmt: skip
LOGIN_BOUNDS: Final[tuple[float, ...]] = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 3.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0,
)  # fmt: skip


@dataclass(eq=False, repr=False)
class Snapshot:
    """Everything that one process, or several together, have counted; `telemetry.merging` makes one of two."""

    version: str
    python: str
    routes: dict[str, RouteStats] = field(default_factory=lambda: {UNMATCHED: RouteStats()})
    overhead: Histogram = field(default_factory=lambda: histogram(OVERHEAD_BOUNDS))
    token_wait: Histogram = field(default_factory=lambda: histogram(LOGIN_BOUNDS))
    login_duration: Histogram = field(default_factory=lambda: histogram(LOGIN_BOUNDS))
    request_bytes: int = 0
    response_bytes: int = 0
    cut: int = 0
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))
    retries: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RETRIES, 0))
    token_requests: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKEN_RESULTS, 0))
    logins: dict[tuple[str, str], int] = field(
        default_factory=lambda: {(outcome, reason): 0 for outcome in LOGIN_OUTCOMES for reason in LOGIN_REASONS}
    )
    connects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    closed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLOSINGS, 0))
    reloads: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    reload_successful: bool = field(default=True, metadata=LIVE_ALL)
    token_expires: float = field(default=0.0, metadata=MAX)  # wall-clock seconds; 0: no token yet
    blocked_until: float = field(default=0.0, metadata=LIVE_MAX)  # wall-clock seconds; 0: logins are not blocked
    clock_offset: float | None = field(default=None, metadata=LIVE_KNOWN)  # BioT's clock less ours, in seconds
    secret_key_expires: float = field(default=0.0, metadata=LIVE_MIN)  # wall-clock seconds; 0: unknown, or endless
    secret_keys: int = field(default=0, metadata=LIVE_MAX)  # 0: it is not known when they end
    in_flight: int = field(default=0, metadata=LIVE_SUM)
    idle: int = field(default=0, metadata=LIVE_SUM)
    active: int = field(default=0, metadata=LIVE_SUM)
    descriptor_shortages: int = 0
    worker_restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESTARTS, 0))
    lines_dropped: int = 0  # of the log
    spans_dropped: int = 0  # of traces
    dropped: tuple[str, ...] = field(default=(), metadata=LIVE_UNION)  # routes that are shown no more
    process: ProcessMetrics = field(default_factory=ProcessMetrics)


class _Dropped(msgspec.Struct):
    """The one field of a Snapshot that is asked for alone."""

    dropped: tuple[str, ...] = ()


@cache
def _decoder() -> msgspec.msgpack.Decoder[Snapshot]:
    """Made with the first scrape: msgspec looks at the type of every field."""
    return msgspec.msgpack.Decoder(Snapshot)


_DROPPED_DECODER: Final = msgspec.msgpack.Decoder(_Dropped)


def ended_totals(snapshots: Sequence[bytes]) -> bytes:
    """The totals of processes that have ended, as one snapshot: counters stay, gauges are reset."""
    state = merge_snapshots(snapshots)
    reset_live(state)
    reset_live(state.process)
    return msgspec.msgpack.encode(state)


def merge_snapshots(snapshots: Sequence[bytes]) -> Snapshot:
    """The sums over several processes; at least one snapshot of Metrics.snapshot()."""
    first, *others = map(_decoder().decode, snapshots)
    for other in others:
        merge(first, other)
    for name in first.dropped:
        first.routes.pop(name, None)
    return first


def drop_routes(ended: bytes, living: Sequence[bytes]) -> bytes:
    """The totals of `ended` processes, less the routes that a living process shows no more."""
    state = _decoder().decode(ended)
    for snapshot in living:
        for name in _DROPPED_DECODER.decode(snapshot).dropped:
            state.routes.pop(name, None)
    return msgspec.msgpack.encode(state)
