"""Every part that serves requests, put together: what one process runs, or each of several."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from biot_sidecar.auth.secret_source import ReadableSecret
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.auth.tokens import Tokens
from biot_sidecar.background_work import Rests
from biot_sidecar.http.admission import Admission
from biot_sidecar.http.deadlines import DeadlineTimer, timeout
from biot_sidecar.http.descriptor_reserve import Reserve
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.interfaces import LoginObserver, Observer
from biot_sidecar.http.listener import Listener
from biot_sidecar.http.local_endpoints import LocalEndpoints
from biot_sidecar.http.proxy import Forwarder
from biot_sidecar.http.server import ConnectionHandler, Limits
from biot_sidecar.http.sockets import called_at
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.platform import peer_uid
from biot_sidecar.process.callers import make_allowed_callers
from biot_sidecar.process.draining import drained
from biot_sidecar.process.factories import (
    RANDOM,
    USER_AGENT,
    after_batch_interval,
    bug_reporter,
    close_upstream,
    first_of,
    in_flight_limit,
    make_ca_watcher,
    make_clock,
    make_deadline_timer,
    make_fetcher,
    make_metrics,
    make_pool,
    make_secret_key_watch,
    make_secret_source,
    make_time_limit,
)
from biot_sidecar.process.memory_trim import MemoryTrimmer
from biot_sidecar.process.process_context import ProcessContext
from biot_sidecar.process.signals import StopSignals
from biot_sidecar.process.tracing import close_traces, make_traces
from biot_sidecar.routing.file.watcher import RoutesWatcher
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings import Settings, UpstreamUrl
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.batching_observer import BatchingObserver
from biot_sidecar.telemetry.login_observers import LoginObservers

if TYPE_CHECKING:
    from biot_sidecar.auth.secret_key_life import SecretKeyWatch

EVICT_INTERVAL: Final = 5.0
SHORTAGE: Final = 60.0
"""Seconds without a shortage of descriptors after which the next one is told of again."""
INSPECTOR: Final = UpstreamUrl(tls=False, host="inspector", port=0, authority=b"inspector", prefix=b"")

MakeProcessContext = Callable[[Pool, DeadlineTimer, LoginObserver], ProcessContext]


class Sidecar:
    """Serves requests. `make_context` tells what this process shares, given what it could do alone.

    Raises BadSettings.
    """

    def __init__(self, settings: Settings, log: Log, make_context: MakeProcessContext) -> None:
        self._settings = settings
        self._log = log
        self._metrics = make_metrics()
        self._deadlines = make_deadline_timer()
        self._ca_watcher = make_ca_watcher(settings)
        self.time_limit = make_time_limit(settings)
        self._pool = make_pool(settings, self._metrics.connected, self._metrics.disconnected)
        self.report = bug_reporter(log)
        observer = LoginObservers(self._metrics, log, report=self.report)
        self._context = make_context(self._pool, self._deadlines, observer)
        self.routes = self._make_routes_watcher()
        self.secret = self._make_secret()
        self._tokens = self._make_tokens()
        self._secret_key_watch = self._make_secret_key_watch()
        self._traces = make_traces(settings, log)
        told: list[Observer] = [self._metrics, log, *filter(None, [self._traces])]
        self._observer = BatchingObserver(told, later=after_batch_interval, report=self.report)
        self._admission = Admission(settings.allowed_hosts, settings.allowed_origins)
        self._reserve = Reserve()
        self._handler = self._make_handler(
            self._make_forwarder(self._pool, settings.upstream), inspector=self._make_inspector_forwarder()
        )
        self._listener = self._make_listener(
            self._handler, caller_uid=None if settings.allowed_uids is None else peer_uid
        )
        self._admin = self._make_listener(self._make_handler(None), reserve=self._reserve)
        self._background_tasks: list[asyncio.Task[None]] = []
        self._short_until = 0.0  # monotonic seconds
        self._reported = 0  # requests
        self._connect_gauges()

    # ---- the parts

    def _make_routes_watcher(self) -> RoutesWatcher:
        # Every process reads the file for itself; one of them tells of it.
        first = self._context.number == 0
        routes = RoutesWatcher(
            self._settings.routes,
            wall=time.time,
            reloaded=self._metrics.reloaded if first else lambda taken: None,
            log=lambda level, message: self._log.event(level, "routes", message) if first else None,
            prepare=lambda table, pace: self._metrics.prepare([route.name for route in table.routes], pace),
            on_swap=self._take_table,
            pace=Rests(time.monotonic, time.sleep),
        )
        routes.load_first()
        return routes

    def _make_secret(self) -> ReadableSecret:
        if self._context.size == 1:
            return make_secret_source(self._settings, self._log)
        from biot_sidecar.process.token_broker import make_worker_secret  # for workers only

        return make_worker_secret(self._settings)

    def _make_tokens(self) -> Tokens:
        settings, context = self._settings, self._context
        told = [self._metrics, self._log] if context.number == 0 else [self._metrics]
        return Tokens(
            context.token_provider,
            self.secret,
            string_gap=settings.string_gap,
            fresh_for=settings.fresh_for,
            wall=time.time,
            clock=make_clock(),
            jitter=RANDOM.random,
            observer=LoginObservers(*told, report=self.report),
            rejections=context.rejections,
        )

    def _make_secret_key_watch(self) -> SecretKeyWatch | None:
        """Of the only process; of several the supervisor watches."""
        settings = self._settings
        if not settings.secret_key_check or self._context.size > 1:
            return None
        fetch = make_fetcher(settings, self._pool, self._deadlines)
        return make_secret_key_watch(
            settings, fetch, self._tokens.in_hand, self._log.event, self._metrics.secret_key_found
        )

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
        path = self._context.inspector_path
        if not path:
            return None
        pool = Pool(INSPECTOR, None, wall=time.time, clock=time.monotonic, connected=lambda success: None, path=path)
        return self._make_forwarder(pool, INSPECTOR)

    def _make_handler(self, forwarder: Forwarder | None, inspector: Forwarder | None = None) -> ConnectionHandler:
        """The handler of connections; without a forwarder it is the admin listener's."""
        settings, context = self._settings, self._context
        everything = forwarder is not None
        return ConnectionHandler(
            routes=self.routes,
            admission=self._admission if everything else Admission(None, settings.allowed_origins),
            forwarder=forwarder,
            endpoints=LocalEndpoints(self, self.report, everything=everything),
            observer=self._observer if context.request_observer is None else self,
            deadlines=self._deadlines,
            limits=Limits(in_flight_requests=in_flight_limit(settings), loop_requests=settings.loop_limit),
            plugin_login=settings.plugin_login,
            wall=time.time,
            clock=time.monotonic,
            random_bits=RANDOM.getrandbits,
            loops=context.loops,
            callers=make_allowed_callers(settings) if everything else None,
            inspector=inspector,
            time_limit=self.time_limit,
            tracer=self._traces if everything else None,
            numbering=(context.number + 1 - context.size, context.size),
        )

    def _make_listener(
        self,
        handler: ConnectionHandler,
        reserve: Reserve | None = None,
        caller_uid: Callable[[asyncio.Transport], int] | None = None,
    ) -> Listener:
        return Listener(
            handler.serve_connection,
            self.report,
            short=self._descriptors_short,
            reserve=reserve,
            caller_uid=caller_uid,
        )

    def _connect_gauges(self) -> None:
        """Let the metrics and the log read what the other parts count."""
        self._metrics.lines_dropped = self._log.lines_dropped
        if traces := self._traces:
            self._metrics.spans_dropped = lambda: traces.dropped
        self._log.before_event = self._observer.flush
        self._metrics.gauges = lambda: (self._handler.in_flight, self._pool.idle, self._pool.active)

    # ---- what happens

    def reload(self) -> None:
        """SIGHUP: read the routes again, and use no connection to BioT of before any more."""
        self.routes.request_reload()
        self._pool.retire()
        self._ca_watcher.request_reload()

    def _take_table(self, table: RouteTable) -> None:
        self._metrics.routes([route.name for route in table.routes])
        self._metrics.observing([route.name for route in (*table.routes, table.unmatched) if route.observe is not None])

    def finished(self, exchange: Exchange) -> None:
        """The inspector sees a request as soon as it has ended."""
        try:
            if self._context.request_observer is not None:
                self._context.request_observer.finished(exchange)
        except Exception as error:
            self.report(error)
        self._observer.finished(exchange)

    # ---- its own pages (biot_sidecar.http.local_endpoints.Sources)

    def snapshot(self, scraped: bool = False) -> bytes:
        """What this process has counted; `scraped`: a scrape will show it."""
        self._observer.flush()
        if scraped:
            self._metrics.scrape()
        with self._reserve.lent():
            return self._metrics.snapshot()

    def snapshot_if_changed(self) -> bytes | None:
        """What this process has counted, if requests have ended since the last time."""
        before = self._reported
        self._observer.flush()
        self._reported = self._observer.notified
        return self.snapshot() if self._reported != before else None

    def logins(self) -> list[LoginRecord]:
        """The latest tokens and failed logins that this process has seen."""
        return list(self._tokens.history)

    async def render_metrics(self, accept: str) -> tuple[str, bytes]:
        snapshots = await self._context.snapshots(self.snapshot, scraped=True)
        with self._reserve.lent():
            from biot_sidecar.telemetry.exposition import render_in_pieces  # for those who are scraped
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
        from biot_sidecar.telemetry.status import status  # for those who look

        return status(
            table=self.routes.table,
            snapshots=await self._context.snapshots(self.snapshot, scraped=False),
            token=self._tokens.status(),
            history=await self._context.logins(self.logins()),
            reload=self.routes.reload_state,
            upstream={"url": self._settings.upstream.url, "proxy": self._settings.via or None},
        )

    def explain(self, method: str, path: str) -> dict[str, Any]:
        from biot_sidecar.routing.explain import explain  # for those who ask

        return explain(self.routes.table, method, path)

    # ---- its life

    async def serve(
        self,
        stop: StopSignals,
        sockets: list[socket.socket],
        admin: list[socket.socket],
        *,
        on_ready: Callable[[], None],
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve on these sockets until `stop` requests a drain, and drain."""
        await self._start(sockets, admin)
        on_ready()
        await stop.drain_requested.wait()
        on_drain()
        await self._drain(stop.force_requested)
        await self._close()

    async def _start(self, sockets: list[socket.socket], admin: list[socket.socket]) -> None:
        """Take connections; the first login goes on in the background."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        self._admission.here = called_at(sockets) or self._admission.here
        await self._context.start()
        for sock in sockets:
            await self._listener.listen(sock)
        for sock in admin:
            await self._admin.listen(sock)
        if self._settings.login_at_start:
            self._tokens.start()
        cas = self._ca_watcher.watch(self._pool.trust, self._log.event if self._context.number == 0 else None)
        watching = (self._evict_idle(), self.routes.watch(), cas)
        self._background_tasks = [asyncio.ensure_future(one) for one in watching]
        if self._secret_key_watch is not None:
            self._background_tasks.append(asyncio.ensure_future(self._secret_key_watch.run(self._tokens.logged_in)))

    def close_acceptors(self) -> None:
        """Take the listening sockets off the loop, however this ends."""
        self._listener.close_acceptors()
        self._admin.close_acceptors()

    async def _drain(self, force_requested: asyncio.Event) -> None:
        """Take no new connections; let requests under way end, at most for the drain timeout or until forced."""
        self._handler.drain()
        self._context.drain()
        await self._listener.stop_accepting()
        with contextlib.suppress(TimeoutError), timeout(self._settings.drain_timeout):
            await first_of(force_requested.wait(), drained(self._listener, self._handler, time.monotonic))
        if cut := self._handler.in_flight:
            self._log.event("warning", "cut", "requests under way were cut off", requests=cut)
        self._listener.abort_all()
        await self._admin.stop_accepting()
        self._admin.abort_all()

    async def _close(self) -> None:
        for task in self._background_tasks:
            task.cancel()
        await asyncio.gather(*self._background_tasks, return_exceptions=True)
        self._reserve.close()
        await self._tokens.close()
        self._observer.flush()
        await self._context.close()
        await close_upstream(self._pool, self._deadlines)
        self._observer.flush()
        await close_traces(self._traces)

    async def _evict_idle(self) -> None:
        """Give back what rests: idle connections to BioT, memory, the descriptors held in reserve."""
        memory = MemoryTrimmer()
        while True:
            await asyncio.sleep(EVICT_INTERVAL)
            self._pool.expire_idle()
            memory.poll(idle=not self._handler.in_flight)
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
