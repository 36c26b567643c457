"""What one process has counted: plain numbers, cheap to add to, to send to another process and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from biot_sidecar.telemetry.histogram import Histogram, RouteStats, histogram
from biot_sidecar.telemetry.merging import (
    ALL_OF_LIVING,
    EVERY_LIVING,
    LATEST,
    LATEST_OF_LIVING,
    SUM_OF_LIVING,
    forget_living,
    merged,
)
from biot_sidecar.telemetry.process_metrics import Process

UNMATCHED: Final = "unmatched"
"""The route of requests that no rule matched, or that were refused before the rules were asked."""
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


@dataclass
class State:
    """Everything that one process, or several together, have counted. How two of them become one: telemetry.merging."""

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
    reload_successful: bool = field(default=True, metadata=EVERY_LIVING)
    token_expires: float = field(default=0.0, metadata=LATEST)  # wall-clock seconds; 0: no token yet
    blocked_until: float = field(
        default=0.0, metadata=LATEST_OF_LIVING
    )  # wall-clock seconds; 0: logins are not blocked
    in_flight: int = field(default=0, metadata=SUM_OF_LIVING)
    idle: int = field(default=0, metadata=SUM_OF_LIVING)
    active: int = field(default=0, metadata=SUM_OF_LIVING)
    descriptor_shortages: int = 0
    worker_restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESTARTS, 0))
    lines_dropped: int = 0  # of the log
    dropped: tuple[str, ...] = field(default=(), metadata=ALL_OF_LIVING)  # routes that are shown no more
    process: Process = field(default_factory=Process)


class _Dropped(msgspec.Struct):
    """The one field of a State."""

    dropped: tuple[str, ...] = ()


_DECODER: Final = msgspec.msgpack.Decoder(State)
_DROPPED_DECODER: Final = msgspec.msgpack.Decoder(_Dropped)


def remains(snapshots: Sequence[bytes]) -> bytes:
    """What processes that are no more have counted, as one snapshot: sums stay, what was under way is gone."""
    state = total(snapshots)
    forget_living(state)
    forget_living(state.process)
    return msgspec.msgpack.encode(state)


def total(snapshots: Sequence[bytes]) -> State:
    """What several processes have counted together; at least one snapshot of Metrics.snapshot()."""
    first, *others = map(_DECODER.decode, snapshots)
    for other in others:
        merged(first, other)
    for name in first.dropped:
        first.routes.pop(name, None)
    return first


def drop_routes(remains: bytes, living: Sequence[bytes]) -> bytes:
    """What `remains` has, less the routes that a living process shows no more."""
    state = _DECODER.decode(remains)
    for snapshot in living:
        for name in _DROPPED_DECODER.decode(snapshot).dropped:
            state.routes.pop(name, None)
    return msgspec.msgpack.encode(state)
