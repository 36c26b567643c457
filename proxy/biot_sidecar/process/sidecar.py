"""Every part that serves requests, put together: what one process runs, or each of several."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from biot_sidecar.auth.secret_source import SecretSource
from biot_sidecar.auth.tokens import TokenRecord, Tokens
from biot_sidecar.background_work import Rests
from biot_sidecar.http.admission import Admission
from biot_sidecar.http.deadlines import DeadlineTimer, timeout
from biot_sidecar.http.descriptor_reserve import Reserve
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.interfaces import LoginObserver
from biot_sidecar.http.listener import Listener
from biot_sidecar.http.local_endpoints import LocalEndpoints
from biot_sidecar.http.proxy import Forwarder
from biot_sidecar.http.server import ConnectionHandler, Limits
from biot_sidecar.http.sockets import called_at
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.process.factories import (
    RANDOM,
    USER_AGENT,
    first_of,
    in_a_moment,
    in_flight_most,
    make_clock,
    make_deadline_timer,
    make_metrics,
    make_pool,
    reporter,
)
from biot_sidecar.process.memory_trim import Trimmer
from biot_sidecar.process.process_context import ProcessContext
from biot_sidecar.routing.explain import explain
from biot_sidecar.routing.file.watcher import RoutesWatcher
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings import Settings, UpstreamUrl
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.batching_observer import Batch
from biot_sidecar.telemetry.exposition import render_in_pieces
from biot_sidecar.telemetry.login_observers import LoginObservers
from biot_sidecar.telemetry.prometheus_loading import Library
from biot_sidecar.telemetry.status import status

GRACE: Final = 0.25
"""Seconds in which a stopping sidecar still tells idle connections that it stops, instead of hanging up on them."""
HOUSEKEEPING: Final = 5.0
SHORTAGE: Final = 60.0
"""Seconds without a shortage of descriptors after which the next one is told of again."""
DRAIN_LOOK: Final = 0.02
INSPECTOR: Final = UpstreamUrl(tls=False, host="inspector", port=0, authority=b"inspector", prefix=b"")

JoinCompany = Callable[[Pool, DeadlineTimer, LoginObserver], ProcessContext]


class Sidecar:
    """Serves requests. `join` tells what this process shares, given what it could do alone. Raises BadSettings."""

    def __init__(self, settings: Settings, log: Log, join: JoinCompany) -> None:
        self._settings = settings
        self._log = log
        self._metrics = make_metrics()
        self._deadlines = make_deadline_timer()
        self._pool = make_pool(settings, self._metrics.connected, self._metrics.disconnected)
        self.report = reporter(log)
        self._company = join(self._pool, self._deadlines, LoginObservers(self._metrics, log, report=self.report))
        self.routes = self._read_routes()
        self._tokens = self._make_tokens()
        self._ended = Batch([self._metrics, log], later=in_a_moment, report=self.report)
        self._forwarder = self._make_forwarder(self._pool, settings.upstream)
        self._admission = Admission(settings.allowed_hosts, settings.allowed_origins)
        self._handler = self._make_story(self._forwarder, inspector=self._make_inspector_forwarder(), everything=True)
        self._reserve = Reserve()
        self._listener = Listener(self._handler.serve_connection, self.report, short=self._descriptors_short)
        self._admin = Listener(
            self._make_story(None, everything=False).serve_connection,
            self.report,
            short=self._descriptors_short,
            reserve=self._reserve,
        )
        self._short_until = 0.0  # monotonic seconds
        self._metrics.lines_dropped = log.lines_dropped
        log.before_event = self._ended.flush
        self._metrics.gauges = lambda: (self._handler.in_flight, self._pool.idle, self._pool.active)
        self._keeping: list[asyncio.Task[None]] = []
        self._reported = 0  # requests
        self._library = Library(time.monotonic, self._reserve.lent)

    # ---- the parts

    def _read_routes(self) -> RoutesWatcher:
        # Every process reads the file for itself; one of them tells of it.
        first = self._company.number == 0
        routes = RoutesWatcher(
            self._settings.routes,
            wall=time.time,
            reloaded=self._metrics.reloaded if first else lambda taken: None,
            log=lambda level, message: self._log.event(level, "routes", message) if first else None,
            prepare=lambda table, pace: self._metrics.prepare([rule.name for rule in table.rules], pace),
            on_swap=self._take_table,
            pace=Rests(time.monotonic, time.sleep),
        )
        routes.load_first()
        return routes

    def _make_tokens(self) -> Tokens:
        settings = self._settings
        told = [self._metrics, self._log] if self._company.number == 0 else [self._metrics]
        return Tokens(
            self._company.obtain,
            # A worker's own reads send nothing: its parent warns.
            SecretSource(settings, self._warn_of_secret, settings.warnings)
            if self._company.size == 1
            else SecretSource(settings),
            string_gap=settings.string_gap,
            fresh_for=settings.fresh_for,
            wall=time.time,
            clock=make_clock(),
            jitter=RANDOM.random,
            observer=LoginObservers(*told, report=self.report),
            rejections=self._company.rejections,
        )

    def _warn_of_secret(self, warning: str) -> None:
        self._log.event("warning", "secret", warning)

    def _make_forwarder(self, pool: Pool, upstream: UpstreamUrl) -> Forwarder:
        return Forwarder(
            pool=pool,
            tokens=self._tokens,
            deadlines=self._deadlines,
            prefix=upstream.prefix,
            authority=upstream.authority,
            user_agent=USER_AGENT,
            stall=Limits().stall,
            clock=time.monotonic,
            wall=time.time,
            jitter=RANDOM.random,
            sleep=asyncio.sleep,
        )

    def _make_inspector_forwarder(self) -> Forwarder | None:
        """The inspector's own server stands behind the same guards as everything else."""
        path = self._company.inspector_path
        if not path:
            return None
        pool = Pool(INSPECTOR, None, wall=time.time, clock=time.monotonic, connected=lambda success: None, path=path)
        return self._make_forwarder(pool, INSPECTOR)

    def _make_story(
        self, forwarder: Forwarder | None, *, everything: bool, inspector: Forwarder | None = None
    ) -> ConnectionHandler:
        settings, company = self._settings, self._company
        limits = Limits(in_flight_requests=in_flight_most(settings), loop_requests=settings.loop_limit)
        return ConnectionHandler(
            rules=self.routes,
            admission=self._admission if everything else Admission(None, settings.allowed_origins),
            forwarder=forwarder,
            endpoints=LocalEndpoints(self, everything=everything),
            observer=self._ended if company.watcher is None else self,
            deadlines=self._deadlines,
            limits=limits,
            plugin_login=settings.plugin_login,
            wall=time.time,
            clock=time.monotonic,
            random_bits=RANDOM.getrandbits,
            loops=company.loops,
            inspector=inspector,
            numbering=(company.number + 1 - company.size, company.size),
        )

    # ---- what happens

    def _take_table(self, table: RouteTable) -> None:
        self._metrics.routes([rule.name for rule in table.rules])

    def finished(self, exchange: Exchange) -> None:
        """The inspector sees a request as soon as it has ended."""
        try:
            if self._company.watcher is not None:
                self._company.watcher.finished(exchange)
        except Exception as error:
            self.report(error)
        self._ended.finished(exchange)

    # ---- its own pages (biot_sidecar.http.local_endpoints.Sources)

    def snapshot(self, scraped: bool = False) -> bytes:
        """What this process has counted; `scraped`: a scrape will show it."""
        self._ended.flush()
        if scraped:
            self._metrics.scrape()
        with self._reserve.lent():
            return self._metrics.snapshot()

    def news(self) -> bytes | None:
        """What this process has counted, if requests have ended since the last time."""
        before = self._reported
        self._ended.flush()
        self._reported = self._ended.told
        return self.snapshot() if self._reported != before else None

    def logins(self) -> list[TokenRecord]:
        """The latest tokens and failed logins that this process has seen."""
        return list(self._tokens.history)

    async def render_metrics(self, accept: str) -> tuple[str, bytes]:
        snapshots = await self._company.snapshots(self.snapshot, scraped=True)
        await self._library.load()
        content_type, pieces = render_in_pieces(snapshots, accept)
        page = []
        for piece in pieces:
            page.append(piece)
            await asyncio.sleep(0)  # others have their turn
        return content_type, b"".join(page)

    def unready(self) -> str | None:
        return "the sidecar is stopping" if self._handler.draining else self._tokens.unready()

    def token_state(self) -> dict[str, str | None]:
        return self._tokens.state()

    async def status(self) -> dict[str, Any]:
        return status(
            table=self.routes.table,
            snapshots=await self._company.snapshots(self.snapshot, scraped=False),
            token=self._tokens.status(),
            history=await self._company.logins(self.logins()),
            reload=self.routes.reload_state,
        )

    def explain(self, method: str, path: str) -> dict[str, Any]:
        return explain(self.routes.table, method, path)

    # ---- its life

    async def start(self, sockets: list[socket.socket], admin: list[socket.socket]) -> None:
        """Take connections; the first login goes on in the background."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        self._admission.here = called_at(sockets) or self._admission.here
        await self._company.start()
        for sock in sockets:
            await self._listener.listen(sock)
        for sock in admin:
            await self._admin.listen(sock)
        if self._settings.login_at_start:
            self._tokens.start()
        self._keeping = [asyncio.ensure_future(self._keep_house()), asyncio.ensure_future(self.routes.watch())]

    def close_acceptors(self) -> None:
        """Let the loop look at the listening sockets no more, however this ends."""
        self._listener.close_acceptors()
        self._admin.close_acceptors()

    async def stop(self, hurry: asyncio.Event) -> None:
        """Take no new connections, let requests under way end, at most for the drain timeout or until hurried."""
        self._handler.drain()
        self._company.drain()
        await self._listener.stop_accepting()
        with contextlib.suppress(TimeoutError), timeout(self._settings.drain_timeout):
            await first_of(hurry.wait(), self._drained())
        if cut := self._handler.in_flight:
            self._log.event("warning", "cut", "requests under way were cut off", requests=cut)
        self._listener.abort_all()
        await self._admin.stop_accepting()
        self._admin.abort_all()
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._library.close()
        self._reserve.close()
        await self._tokens.close()
        self._ended.flush()
        await self._company.close()
        self._pool.close()
        self._deadlines.close()
        await asyncio.sleep(0)  # transports close in the loop's next round
        self._ended.flush()

    async def _drained(self) -> None:
        """Wait for all connections to end. While requests run, those that rest may still ask, and hear that we stop."""
        grace = time.monotonic() + GRACE
        while self._listener.open:
            if time.monotonic() >= grace and not self._handler.in_flight:
                self._handler.drain_idle = True
                self._listener.wake_all()
            await asyncio.sleep(DRAIN_LOOK)

    async def _keep_house(self) -> None:
        memory = Trimmer()
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            self._pool.expire_idle()
            memory.look(idle=not self._handler.in_flight)
            self._reserve.refill()

    def _descriptors_short(self) -> None:
        """Counted each time; told once, until there has been no shortage for a while."""
        self._metrics.descriptors_short()
        now, until = time.monotonic(), self._short_until
        self._short_until = now + SHORTAGE
        if now >= until:
            self._log.event(
                "warning",
                "descriptors",
                "no file descriptor is left for new connections; they wait, and connections at rest are closed for "
                "them. Raise the limit of open files (ulimit -n, LimitNOFILE=)",
            )

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Connections end as they will; whoever waits for one hears of it.
        if isinstance(error, BaseException) and not isinstance(error, OSError):
            self.report(error)
