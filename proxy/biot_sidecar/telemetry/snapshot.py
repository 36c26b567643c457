"""What one process has counted: plain numbers, cheap to add to, to send to another process and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Final

import msgspec
from msgspec import field

from biot_sidecar.telemetry.histogram import Histogram, RouteStats, histogram
from biot_sidecar.telemetry.merging import (
    LIVE_ALL,
    LIVE_KNOWN,
    LIVE_MAX,
    LIVE_MIN,
    LIVE_SUM,
    LIVE_UNION,
    MAX,
    Rule,
    merge,
    names_of,
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


class Snapshot(msgspec.Struct, eq=False):
    """Everything that one process, or several together, have counted; `telemetry.merging` makes one of two."""

    RULES: ClassVar[dict[str, Rule]] = {
        "reload_successful": LIVE_ALL,
        "token_expires": MAX,
        "blocked_until": LIVE_MAX,
        "clock_offset": LIVE_KNOWN,
        "secret_key_expires": LIVE_MIN,
        "secret_keys": LIVE_MAX,
        "in_flight": LIVE_SUM,
        "idle": LIVE_SUM,
        "active": LIVE_SUM,
        "dropped": LIVE_UNION,
    }

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
    reload_successful: bool = True
    token_expires: float = 0.0  # wall-clock seconds; 0: no token yet
    blocked_until: float = 0.0  # wall-clock seconds; 0: logins are not blocked
    clock_offset: float | None = None  # BioT's clock less ours, in seconds
    secret_key_expires: float = 0.0  # wall-clock seconds; 0: unknown, or endless
    secret_keys: int = 0  # 0: it is not known when they end
    in_flight: int = 0
    idle: int = 0
    active: int = 0
    descriptor_shortages: int = 0
    worker_restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESTARTS, 0))
    lines_dropped: int = 0  # of the log
    spans_dropped: int = 0  # of traces
    dropped: tuple[str, ...] = ()  # routes that are shown no more
    process: ProcessMetrics = field(default_factory=ProcessMetrics)


class _Dropped(msgspec.Struct):
    """The one field of a Snapshot that is asked for alone."""

    dropped: tuple[str, ...] = ()


def _as_fields(counts: Any) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in names_of(counts)}


def _from_fields(kind: type, fields: Any) -> Histogram | RouteStats:
    if kind is Histogram:
        return Histogram(**fields)
    stats = RouteStats()
    for name, value in fields.items():
        setattr(stats, name, Histogram(**value) if name in ("duration", "upstream") else value)
    return stats


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_as_fields)


@cache
def _decoder() -> msgspec.msgpack.Decoder[Snapshot]:
    """Made with the first scrape: msgspec looks at the type of every field."""
    return msgspec.msgpack.Decoder(Snapshot, dec_hook=_from_fields)


@cache
def _dropped_decoder() -> msgspec.msgpack.Decoder[_Dropped]:
    return msgspec.msgpack.Decoder(_Dropped)


def encode(snapshot: Snapshot) -> bytes:
    """As merge_snapshots() takes it, in this process or another."""
    return _ENCODER.encode(snapshot)


def ended_totals(snapshots: Sequence[bytes]) -> bytes:
    """The totals of processes that have ended, as one snapshot: counters stay, gauges are reset."""
    state = merge_snapshots(snapshots)
    reset_live(state, Snapshot(state.version, state.python))
    reset_live(state.process, ProcessMetrics())
    return encode(state)


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
        for name in _dropped_decoder().decode(snapshot).dropped:
            state.routes.pop(name, None)
    return encode(state)
