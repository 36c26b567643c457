"""Settings -> the running program. The only file that knows every part, and owner of the real clock and randomness."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import random
import socket
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Final

import uvloop

from proxy import __version__
from proxy.exchange import Exchange
from proxy.net.listener import Listener, bind, bound, unbind
from proxy.net.login import Login
from proxy.net.reload import RoutesFile
from proxy.net.secret import SecretSource
from proxy.net.stop import Stop
from proxy.net.systemd import inherited_sockets, notify
from proxy.net.tls import tls_context
from proxy.net.tokens import Tokens
from proxy.net.upstream import Fetcher, Pool
from proxy.pages import OwnPages
from proxy.pipeline.forward import Forwarder
from proxy.pipeline.ports import Observer
from proxy.pipeline.signal import Sweep
from proxy.pipeline.story import Limits, Story
from proxy.policy.explain import explain
from proxy.policy.guards import Guards
from proxy.policy.match import RouteTable
from proxy.settings import Settings
from proxy.telemetry.exposition import render
from proxy.telemetry.log import Log
from proxy.telemetry.logins import LoginObservers
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.status import status
from proxy.telemetry.stderr import Stderr

USER_AGENT: Final = f"biot-sidecar/{__version__}".encode()
GRACE: Final = 0.25
"""Seconds in which a stopping sidecar still tells idle connections that it stops, instead of hanging up on them."""
HOUSEKEEPING: Final = 5.0
DRAIN_LOOK: Final = 0.02
LOG_BATCH: Final = 0.1
"""Seconds for which lines of the log are collected."""


def run_sidecar(settings: Settings, env: Mapping[str, str]) -> int:
    """Serve until a signal says stop; the exit status. Raises BadSettings and AddressInUse."""
    writer = Stderr()
    log = Log(level=settings.log_level, form=settings.log_format, write=writer.write, wall=time.time)
    for warning in settings.warnings:
        log.event("warning", "setting", warning)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, env, log))
    finally:
        log.flush()
        writer.close()


async def _serve(settings: Settings, env: Mapping[str, str], log: Log) -> int:
    """The life of one serving process."""
    loop = asyncio.get_running_loop()
    log.later = lambda flush: loop.call_later(LOG_BATCH, flush)
    sidecar = Sidecar(settings, log)
    sockets = inherited_sockets(env, os.getpid()) or [bind(address) for address in settings.listen]
    admin = [] if settings.admin_listen is None else [bind(settings.admin_listen)]
    stop = Stop(loop, on_hangup=sidecar.routes.request_reload)
    try:
        await sidecar.start(sockets, admin)
        where = ", ".join(bound(sock) for sock in sockets)
        print(f"biot-sidecar ready on {where} -> {settings.upstream.url}", flush=True)  # noqa: T201 - the ready line
        notify(env, "READY=1")
        log.event("info", "ready", f"listening on {where}")
        await stop.asked.wait()
        notify(env, "STOPPING=1")
        log.event("info", "draining", "stopping; requests under way may end")
        await sidecar.stop(stop.hurry)
        log.event("info", "stopped", "stopped")
    finally:
        for sock in [*sockets, *admin]:
            unbind(sock)
    return 0


class Sidecar:
    """Every part of one serving process, put together."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._metrics = Metrics(version=__version__, python=platform.python_version())
        self._sweep = Sweep(asyncio.get_running_loop(), time.monotonic)
        self.routes = RoutesFile(
            settings.routes,
            wall=time.time,
            reloaded=self._metrics.reloaded,
            log=lambda level, message: log.event(level, "routes", message),
            on_swap=self._take_table,
        )
        self.routes.load_first()
        self._pool = Pool(
            settings.upstream,
            tls_context(settings.upstream.ca_file) if settings.upstream.tls else None,
            wall=time.time,
            clock=time.monotonic,
            connected=self._metrics.connected,
        )
        self._tokens = self._make_tokens()
        self._observers: list[Observer] = [self._metrics, log]
        self._forwarder = self._make_forwarder()
        self._story = self._make_story(self._forwarder, everything=True)
        self._listener = Listener(self._story.converse, self._report)
        self._admin = Listener(self._make_story(None, everything=False).converse, self._report)
        self._metrics.gauges = lambda: (self._story.in_flight, self._pool.idle, self._pool.active)
        self._keeping: list[asyncio.Task[None]] = []

    # ---- the parts

    def _make_tokens(self) -> Tokens:
        settings = self._settings
        fetch = Fetcher(self._pool, settings.upstream, self._sweep, USER_AGENT)
        observer = LoginObservers(self._metrics, self._log)
        login = Login(fetch, settings.service_user_id, wall=time.time, clock=time.monotonic, observer=observer)
        return Tokens(
            login,
            SecretSource(settings),
            string_gap=settings.string_gap,
            fresh_for=settings.fresh_for,
            wall=time.time,
            jitter=random.random,
            observer=observer,
        )

    def _make_forwarder(self) -> Forwarder:
        upstream = self._settings.upstream
        return Forwarder(
            pool=self._pool,
            tokens=self._tokens,
            sweep=self._sweep,
            prefix=upstream.prefix,
            authority=upstream.authority,
            user_agent=USER_AGENT,
            stall=Limits().stall,
            clock=time.monotonic,
            wall=time.time,
            jitter=random.random,
            sleep=asyncio.sleep,
        )

    def _make_story(self, forwarder: Forwarder | None, *, everything: bool) -> Story:
        settings = self._settings
        return Story(
            rules=self.routes,
            guards=Guards(settings.allowed_hosts if everything else None, settings.allowed_origins),
            forwarder=forwarder,
            pages=OwnPages(self, everything=everything),
            observer=self,
            sweep=self._sweep,
            limits=Limits(in_flight_requests=settings.max_in_flight, loop_requests=settings.loop_limit),
            plugin_login=settings.plugin_login,
            wall=time.time,
            clock=time.monotonic,
            random_bits=random.getrandbits,
        )

    # ---- what happens

    def _take_table(self, table: RouteTable) -> None:
        self._metrics.routes([rule.name for rule in table.rules])

    def finished(self, exchange: Exchange) -> None:
        for observer in self._observers:
            observer.finished(exchange)

    def _report(self, error: BaseException) -> None:
        """A mistake of ours: its kind and place, never its text, which might hold what must not be shown."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        self._log.event("error", "bug", f"{type(error).__name__} at {where}; please report it")

    # ---- its own pages (proxy.pages.Sources)

    def render_metrics(self, accept: str) -> tuple[str, bytes]:
        return render([self._metrics.snapshot()], accept)

    def unready(self) -> str | None:
        return "the sidecar is stopping" if self._story.draining else self._tokens.unready()

    def status(self) -> dict[str, Any]:
        return status(
            table=self.routes.table,
            snapshots=[self._metrics.snapshot()],
            token=self._tokens.status(),
            history=self._tokens.history,
            reload=self.routes.reload_state,
        )

    def explain(self, method: str, path: str) -> dict[str, Any]:
        return explain(self.routes.table, method, path)

    # ---- its life

    async def start(self, sockets: list[socket.socket], admin: list[socket.socket]) -> None:
        """Take connections; the first login goes on in the background."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        for sock in sockets:
            await self._listener.listen(sock)
        for sock in admin:
            await self._admin.listen(sock)
        if self._settings.login_at_start:
            self._tokens.start()
        self._keeping = [asyncio.ensure_future(self._keep_house()), asyncio.ensure_future(self.routes.watch())]

    async def stop(self, hurry: asyncio.Event) -> None:
        """Take no new connections, let requests under way end, at most for the drain timeout or until hurried."""
        self._story.drain()
        await self._listener.refuse_new()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout):
                await first_of(hurry.wait(), self._drained())
        self._listener.abort_all()
        await self._admin.refuse_new()
        self._admin.abort_all()
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._tokens.close()
        self._pool.close()
        self._sweep.close()
        await asyncio.sleep(0)  # transports close in the loop's next round

    async def _drained(self) -> None:
        await asyncio.sleep(GRACE)
        self._story.closing = True
        while self._listener.open:
            self._listener.wake_all()
            await asyncio.sleep(DRAIN_LOOK)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            self._pool.expire_idle()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            self._report(error)


async def first_of(*parts: Awaitable[Any]) -> None:
    """Wait until one of them is done, and give up the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
