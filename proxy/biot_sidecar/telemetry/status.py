"""The JSON of `/_sidecar/status`: routes and their use, the token's times, logins, the last reload. Never the token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from biot_sidecar.routing.route import Route
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.telemetry.histogram import RouteStats
from biot_sidecar.telemetry.snapshot import LOGIN_OUTCOMES, LOGIN_REASONS, Snapshot, merge_snapshots
from biot_sidecar.timestamps import iso


class LoginRecord(Protocol):
    """One token or failed login, as auth.tokens keeps it; times in seconds, `at` by the wall clock."""

    @property
    def at(self) -> float: ...
    @property
    def reason(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def calls(self) -> int: ...


def status(
    *,
    table: RouteTable,
    snapshots: Sequence[bytes],
    token: Mapping[str, Any],
    history: Iterable[LoginRecord],
    reload: Mapping[str, Any],
    upstream: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """The page's JSON. `snapshots` are those of every process; `token` is auth.tokens.Tokens.status(), times in
    wall-clock seconds or None; `history` are the latest logins, the oldest first;
    `upstream` has its `url`, and the HOST:PORT of the `proxy` on the way.
    """
    state = merge_snapshots(snapshots)
    return {
        "routes": [_route(route, state) for route in (*table.routes, table.unmatched)],
        "token": {
            "state": token["state"],
            "obtained": _iso_or_none(token["obtained"]),
            "expires": _iso_or_none(token["expires"]),
        },
        "secret_key": _secret_key(state),
        "logins": _logins(state) | {"blocked_until": _iso_or_none(token["blocked_until"]), "recent": _recent(history)},
        "clock": {"offset_seconds": None if (offset := token.get("clock_offset")) is None else round(offset, 1)},
        "upstream": dict(upstream or {}),
        "reload": dict(reload),
        "build": {"version": state.version, "python": state.python},
    }


def _route(route: Route, state: Snapshot) -> dict[str, Any]:
    use = state.routes.get(route.name) or RouteStats()
    observes = route.observe is not None and bool(route.patterns)  # `unmatched` decides as well
    return {
        "name": route.name,
        "hits": use.would_deny if observes else sum(use.requests.values()),
        "last_used": _iso_or_none(use.last_used or None),
        "source": route.source,
        "match": list(route.patterns),
        "interception": route.interception.value,
        "authorization": route.authorization.value,
        "timeout": route.timeout,
        "retry": route.retry.value,
        "deny": route.deny,
        "observe": route.observe,
        "would_deny": use.would_deny if route.observe is not None else None,
    }


def _secret_key(state: Snapshot) -> dict[str, Any] | None:
    """The first end of how many keys; None while it is not known."""
    if not state.secret_keys:
        return None
    return {"expires": _iso_or_none(state.secret_key_expires or None), "keys": state.secret_keys}


def _logins(state: Snapshot) -> dict[str, Any]:
    good = sum(count for (outcome, _), count in state.logins.items() if outcome == "success")
    served = sum(count for result, count in state.token_requests.items() if result != "fail")
    wait = state.token_wait
    return {
        "total": sum(state.logins.values()),
        "by_outcome": {name: _sum(state, 0, name) for name in LOGIN_OUTCOMES},
        "by_reason": {name: _sum(state, 1, name) for name in LOGIN_REASONS},
        "calls_per_login": round(served / good, 1) if good else None,
        "waits": {
            "count": sum(wait.counts),
            "total_seconds": round(wait.seconds, 3),
            "longest_seconds": round(wait.most, 3),
        },
    }


def _sum(state: Snapshot, position: int, name: str) -> int:
    return sum(count for labels, count in state.logins.items() if labels[position] == name)


def _recent(history: Iterable[LoginRecord]) -> list[dict[str, Any]]:
    return [
        {
            "at": iso(record.at),
            "reason": record.reason,
            "outcome": record.outcome,
            "seconds": round(record.seconds, 3),
            "calls": record.calls,
        }
        for record in history
    ]


def _iso_or_none(wall: float | None) -> str | None:
    return None if wall is None else iso(wall)
