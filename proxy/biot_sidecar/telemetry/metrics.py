"""Counts what happens, cheaply; telemetry/exposition gives the numbers their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.pacing import Pace
from biot_sidecar.routing.route import Interception
from biot_sidecar.telemetry.histogram import CALL_BOUNDS, RouteStats
from biot_sidecar.telemetry.process_metrics import read_process_metrics
from biot_sidecar.telemetry.series_expiry import SeriesExpiry
from biot_sidecar.telemetry.snapshot import (
    CLIENT_GONE,
    LOGIN_BOUNDS,
    METHODS,
    OTHER,
    OVERHEAD_BOUNDS,
    UNMATCHED,
    Snapshot,
    encode,
)

_OFF: Final = Interception.OFF
Gauges = Callable[[], tuple[int, int, int]]
"""Requests in flight, idle upstream connections, active ones."""


class Metrics:
    """An Observer and LoginObserver that counts.

    `gauges`, `lines_dropped` and `spans_dropped` are set by whoever knows. `clock` tells monotonic seconds.
    """

    def __init__(self, *, version: str, python: str, clock: Callable[[], float] = lambda: 0.0) -> None:
        snapshot = self._snapshot = Snapshot(version, python)
        # What every request adds to is at hand here: compiled, the fields of a Snapshot are looked up by their names.
        self._routes = snapshot.routes
        self._overhead = snapshot.overhead
        self._token_requests = snapshot.token_requests
        self._request_bytes = 0
        self._response_bytes = 0
        self._expiry = SeriesExpiry(clock)
        self._prepared: dict[str, RouteStats] = {}
        self.gauges: Gauges = lambda: (0, 0, 0)
        self.lines_dropped: Callable[[], int] = lambda: 0
        self.spans_dropped: Callable[[], int] = lambda: 0

    def routes(self, names: Iterable[str]) -> None:
        """These routes are in force now: their series exist from here on. Those of earlier routes stay for a while."""
        # The loop waits for this: of thousands of names only those are looked at one by one that nobody prepared.
        ordered = list(names)
        in_force = set(ordered)
        prepared, self._prepared = self._prepared, {}
        if not prepared.keys().isdisjoint(self._routes):  # requests have been counted under some since
            prepared = {name: prepared[name] for name in prepared.keys() - self._routes.keys()}
        self._routes.update(prepared)
        if not in_force <= self._routes.keys():
            for name in ordered:
                if name not in self._routes:
                    self._routes[name] = RouteStats()
        in_force.add(UNMATCHED)
        self._expiry.take(in_force, self._routes.keys())

    def observing(self, names: Iterable[str]) -> None:
        """These routes, which are in force, only observe."""
        for name in names:
            self._route(name).observes = True

    def scrape(self) -> None:
        """The next snapshot is for a scrape: routes that are gone long enough are not in it."""
        for name in self._expiry.scrape():
            self._routes.pop(name, None)

    def prepare(self, names: Iterable[str], pace: Pace) -> None:
        """Make what routes() will need, aside: another thread may run this."""
        prepared: dict[str, RouteStats] = {}
        for name in names:
            pace()
            if name not in self._routes:
                prepared[name] = RouteStats()
        self._prepared = prepared

    def _route(self, name: str) -> RouteStats:
        self._expiry.count(name)
        return self._routes.setdefault(name, RouteStats())

    def finished(self, exchange: Exchange) -> None:
        """Count one request."""
        verdict = exchange.verdict
        name, setting = UNMATCHED, _OFF  # refused before the routes were asked
        if verdict is not None:
            route = verdict.route
            name, setting = route.name, route.interception
        stats = self._routes.get(name) or self._route(name)
        key = (METHODS.get(exchange.method, OTHER), exchange.status or CLIENT_GONE, setting)
        requests = stats.requests
        requests[key] = requests.get(key, 0) + 1
        # A refused request went nowhere, so nothing became of its header.
        stats.actions["none" if exchange.refused else exchange.interception] += 1
        stats.last_used = exchange.at
        if verdict is not None and verdict.observed is not None:
            self._count_observed(verdict.observed.name, exchange.at)
        seconds = exchange.finished - exchange.started
        duration = stats.duration
        bucket = duration.observe(seconds, CALL_BOUNDS)
        if exchange.trace_id:
            duration.exemplars[bucket] = (exchange.trace_id, seconds, exchange.at)
        self._request_bytes += exchange.request_bytes
        self._response_bytes += exchange.response_bytes
        if exchange.cut:
            self._snapshot.cut += 1
        if exchange.tries:
            upstream = exchange.upstream_seconds
            stats.upstream.observe(upstream, CALL_BOUNDS)
            self._overhead.observe(max(0.0, seconds - upstream), OVERHEAD_BOUNDS)
        if exchange.token_result:
            self._token_requests[exchange.token_result] += 1
        if exchange.token_wait:
            self._snapshot.token_wait.observe(exchange.token_wait, LOGIN_BOUNDS)
        if exchange.refused:
            self._snapshot.refused[exchange.refused] += 1
        for reason in exchange.retries:
            self._snapshot.retries[reason] += 1

    def _count_observed(self, name: str, at: float) -> None:
        route = self._routes.get(name) or self._route(name)
        route.observes = True
        route.would_deny += 1
        route.last_used = at

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        """A login has ended. Labels as in `logins_total`; without a secret BioT was not asked, and took no time."""
        self._snapshot.logins[outcome, reason] += 1
        if outcome != "secret":
            self._snapshot.login_duration.observe(seconds, LOGIN_BOUNDS)

    def event(self, level: str, event: str, message: str) -> None:
        """Told, not counted."""

    def token_obtained(self, expires: float) -> None:
        """`expires` in wall-clock seconds."""
        self._snapshot.token_expires = expires

    def clock_compared(self, offset: float) -> None:
        """`offset` in seconds."""
        self._snapshot.clock_offset = offset

    def blocked_until(self, moment: float) -> None:
        """Logins are blocked until then, in wall-clock seconds; 0.0: they are not."""
        self._snapshot.blocked_until = moment

    def secret_key_found(self, expires: float | None, keys: int) -> None:
        """The first of `keys` secret keys ends then, in wall-clock seconds; None: none of them ends."""
        self._snapshot.secret_key_expires = expires or 0.0
        self._snapshot.secret_keys = keys

    def connected(self, success: bool) -> None:
        """BioT was dialled."""
        self._snapshot.connects["success" if success else "failure"] += 1

    def disconnected(self, reason: str) -> None:
        """A connection to BioT was closed. Labels as in `upstream_connections_closed_total`."""
        self._snapshot.closed[reason] += 1

    def reloaded(self, success: bool) -> None:
        """The routes file was read again; False: it was not taken."""
        self._snapshot.reloads["success" if success else "failure"] += 1
        self._snapshot.reload_successful = success

    def descriptors_short(self) -> None:
        """New connections have to wait until a file descriptor is free."""
        self._snapshot.descriptor_shortages += 1

    def worker_restarted(self, reason: str) -> None:
        """One of several serving processes ended (`exit`) or hung (`unresponsive`), and another takes its place."""
        self._snapshot.worker_restarts[reason] += 1

    def snapshot(self) -> bytes:
        """Everything counted so far, for snapshot.merge_snapshots() in this process or another."""
        snapshot = self._snapshot
        snapshot.request_bytes, snapshot.response_bytes = self._request_bytes, self._response_bytes
        snapshot.dropped = self._expiry.dropped
        snapshot.in_flight, snapshot.idle, snapshot.active = self.gauges()
        snapshot.lines_dropped = self.lines_dropped()
        snapshot.spans_dropped = self.spans_dropped()
        snapshot.process = read_process_metrics()
        return encode(snapshot)
