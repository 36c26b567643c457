"""What one process has counted: plain numbers, cheap to add to, to send to another process and to sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import field

from proxy.telemetry.tallies import Histogram, Route, add_counts, histogram

UNMATCHED: Final = "unmatched"
"""The route of requests that no rule matched, or that were refused before the rules were asked."""
OTHER: Final = "_OTHER"
CLIENT_GONE: Final = 499
"""The status of a request whose connection ended before any answer, as nginx calls it when the client went away."""
METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
}

LOGIN_OUTCOMES: Final = ("success", "rejected", "locked", "timeout", "network", "server_error", "malformed")
LOGIN_REASONS: Final = ("start", "string", "expiring", "token_not_valid")
REFUSALS: Final = (
    "framing", "limit", "host", "browser", "path", "method", "deny", "loop", "overload", "draining",
)  # fmt: skip
RETRIES: Final = ("connect", "reset", "status", "token_not_valid")
TOKEN_RESULTS: Final = ("hit", "stale", "wait", "fail")
OUTCOMES: Final = ("success", "failure")

# Upper bounds in seconds: the sidecar's own part is a fraction of one millisecond to the length of a login.
OVERHEAD_BOUNDS: Final[tuple[float, ...]] = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
LOGIN_BOUNDS: Final[tuple[float, ...]] = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class State(msgspec.Struct):
    """Everything that one process, or several together, have counted."""

    version: str
    python: str
    routes: dict[str, Route] = field(default_factory=lambda: {UNMATCHED: Route()})
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
    reloads: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    reload_successful: bool = True
    token_expires: float = 0.0  # wall-clock seconds; 0: no token yet
    blocked_until: float = 0.0  # wall-clock seconds; 0: logins are not blocked
    in_flight: int = 0
    idle: int = 0
    active: int = 0

    def add(self, other: State) -> None:
        """Take another process's numbers in: counts and sizes add up, of moments the latest holds."""
        for name, route in other.routes.items():
            self.routes.setdefault(name, Route()).add(route)
        for name in ("overhead", "token_wait", "login_duration"):
            getattr(self, name).add(getattr(other, name))
        for name in ("refused", "retries", "token_requests", "logins", "connects", "reloads"):
            add_counts(getattr(self, name), getattr(other, name))
        for name in ("request_bytes", "response_bytes", "cut", "in_flight", "idle", "active"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reload_successful = self.reload_successful and other.reload_successful
        self.token_expires = max(self.token_expires, other.token_expires)
        self.blocked_until = max(self.blocked_until, other.blocked_until)


_DECODER: Final = msgspec.msgpack.Decoder(State)


def remains(snapshots: Sequence[bytes]) -> bytes:
    """What processes that are no more have counted, as one snapshot: sums stay, what was under way is gone."""
    state = total(snapshots)
    state.in_flight = state.idle = state.active = 0
    return msgspec.msgpack.encode(state)


def total(snapshots: Sequence[bytes]) -> State:
    """What several processes have counted together; at least one snapshot of Metrics.snapshot()."""
    first, *others = map(_DECODER.decode, snapshots)
    for other in others:
        first.add(other)
    return first
