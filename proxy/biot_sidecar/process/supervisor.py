"""The supervisor of several workers: it logs in, counts and inspects for all of them, and replaces lost ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from biot_sidecar.auth.incurable_routes import IncurableRoutes, Judgement
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.sockets import InheritedListener
from biot_sidecar.platform import hang_up, resume
from biot_sidecar.process import respawn
from biot_sidecar.process.factories import (
    RANDOM,
    bug_reporter,
    close_upstream,
    first_of,
    make_ca_watcher,
    make_clock,
    make_deadline_timer,
    make_fetcher,
    make_metrics,
    make_pool,
    make_secret_key_watch,
    make_secret_source,
)
from biot_sidecar.process.process_context import SingleProcess
from biot_sidecar.process.token_broker import TokenBroker
from biot_sidecar.process.worker_channel import ChannelClosed, Handler, WorkerChannel
from biot_sidecar.process.worker_liveness import PROBE_INTERVAL, Liveness, ProbeClock
from biot_sidecar.settings import Settings
from biot_sidecar.settings.table import FLAGS
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.login_observers import LoginObservers
from biot_sidecar.telemetry.snapshot import drop_routes, ended_totals

RESTART_PAUSE: Final = 1.0
"""Seconds between the end of a worker that nobody told to end and the start of the next."""
REQUEST_TIMEOUT: Final = 1.0
"""Seconds in which a worker must tell what it has counted."""
KILL_AFTER: Final = 2.0
"""Seconds between telling a worker that hangs to end and ending it."""
DRAIN_OVERTIME: Final = 5.0
"""Seconds beyond the drain timeout, after which a worker is killed."""
_NOT_INHERITED: Final = frozenset({"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"})
Sockets = Sequence[socket.socket]
Tell = Callable[[asyncio.subprocess.Process], None]
"""A signal to a process."""
terminate: Final[Tell] = asyncio.subprocess.Process.terminate
kill: Final[Tell] = asyncio.subprocess.Process.kill


class Worker:
    """One worker, as the supervisor sees it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: WorkerChannel) -> None:
        self.process = process
        self.channel = channel
        self.snapshot = b""  # its last snapshot
        self.snapshot_at = time.monotonic()
        self.liveness = Liveness()
        self.unresponsive = False

    def send(self, tell: Tell) -> None:
        with contextlib.suppress(ProcessLookupError):
            tell(self.process)

    async def request(self, name: str, content: Any = None) -> Any:
        """The worker's response; None if there is none in time."""
        with contextlib.suppress(ChannelClosed, TimeoutError), timeout(REQUEST_TIMEOUT):
            return await self.channel.request(name, content)
        return None

    def record_snapshot(self, snapshot: bytes | None) -> None:
        """The worker has answered; None: nothing new since its last snapshot."""
        self.liveness.probe_answered()
        self.snapshot = snapshot or self.snapshot
        self.snapshot_at = time.monotonic()


class Supervisor:
    """Keeps `settings.workers` workers serving; `env` and `flags` are what this one was started with.

    Raises BadSettings.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log) -> None:
        self._settings = settings
        self._env = {name: value for name, value in env.items() if name not in _NOT_INHERITED}
        self._flags = flags
        self._log = log
        self._report = bug_reporter(log)
        self._metrics = make_metrics()
        self._metrics.lines_dropped = log.lines_dropped
        self._metrics.gauges = lambda: (0, self._pool.idle, self._pool.active)
        self._deadlines = make_deadline_timer()
        self._ca_watcher = make_ca_watcher(settings)
        self._pool = make_pool(settings, self._metrics.connected, self._metrics.disconnected)
        self._observer = LoginObservers(self._metrics, log, report=self._report)
        self._context = SingleProcess(settings, self._pool, self._deadlines, self._observer, self._report)
        self._broker = self._make_broker()
        self._incurable_routes = IncurableRoutes(make_clock())
        self._workers: dict[int, Worker] = {}
        self._ready: set[int] = set()
        self._all_ready = asyncio.Event()
        self._failed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended_snapshots: list[bytes] = []  # what workers that are no more have counted
        self._worker_tasks: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._ca_watching: asyncio.Task[None] | None = None

    def _make_broker(self) -> TokenBroker:
        return TokenBroker(
            self._context.token_provider,
            make_secret_source(self._settings, self._log, self._notify_secret_changed),
            wall=time.time,
            clock=make_clock(),
            jitter=RANDOM.random,
            observer=self._observer,
        )

    # ---- what workers ask for

    def _handlers(self, number: int) -> dict[str, Handler]:
        async def ready(content: Any) -> None:
            self._note_ready(number)

        async def alive(content: Any) -> None:
            self._workers[number].record_snapshot(content)

        return {
            "ready": ready,
            "alive": alive,
            "token": self._broker.answer,
            "loop": self._judge_loop,
            "rejected": self._judge_rejection,
            "accepted": self._note_accepted,
            "snapshots": self._snapshots,
            "logins": self._logins,
            "record": self._record,
        }

    def _note_ready(self, number: int) -> None:
        self._ready.add(number)
        self._workers[number].liveness.probe_answered()
        if len(self._ready) == self._settings.workers:
            self._all_ready.set()

    async def _judge_loop(self, content: Any) -> bool:
        trace_id, method, path = content
        return await self._context.loops(trace_id, method, path)

    async def _judge_rejection(self, content: Any) -> Judgement:
        method, template, token, age, replayed, replayable = content
        marked = list(self._incurable_routes.cases)
        route = method, template
        judgement = self._incurable_routes.judge(route, token, age, replayed=replayed, replayable=replayable)
        if list(self._incurable_routes.cases) != marked:
            self._notify_marked_routes()
        return judgement

    async def _note_accepted(self, content: Any) -> None:
        method, template = content
        self._incurable_routes.accepted((method, template))
        self._notify_marked_routes()

    def _notify_marked_routes(self) -> None:
        for worker in self._workers.values():
            worker.channel.notify("marked_routes", [list(route) for route in self._incurable_routes.cases])

    def _notify_secret_changed(self) -> None:
        for worker in self._workers.values():
            worker.channel.notify("secret_changed", None)

    async def _snapshots(self, content: Any) -> list[bytes]:
        """`content`: they are for a scrape."""
        await asyncio.gather(*(self._refresh_snapshot(worker, content) for worker in self._workers.values()))
        living = [one.snapshot for one in self._workers.values() if one.snapshot]
        self._ended_snapshots = [drop_routes(one, living) for one in self._ended_snapshots]
        return [self._metrics.snapshot(), *self._ended_snapshots, *living]

    async def _refresh_snapshot(self, worker: Worker, scraped: Any) -> None:
        # A worker that has left a probe unanswered for a second would make everybody wait.
        if not worker.liveness.unanswered and (snapshot := await worker.request("snapshot", scraped)):
            worker.record_snapshot(snapshot)

    async def _logins(self, content: Any) -> Any:
        told = await asyncio.gather(*(worker.request("logins") for worker in self._workers.values()))
        counts = [record for records in told for record in msgspec.convert(records or [], list[LoginRecord])]
        return self._broker.logins(counts)

    async def _record(self, content: Any) -> None:
        from biot_sidecar.inspector.record import Record  # only for those who look

        if self._context.inspector is not None:
            self._context.inspector.recorder.keep(msgspec.convert(content, Record))

    # ---- its life

    async def start(self, sockets: Sequence[Sockets], admin: Sequence[Sockets]) -> None:
        """Start all workers and wait until they serve, or one of them does not get there.

        `sockets` and `admin` hold, for each worker, what it listens on.
        """
        await self._context.start()
        self._ca_watching = asyncio.ensure_future(self._ca_watcher.watch(self._pool.trust, None))
        self._worker_tasks.append(asyncio.ensure_future(self._probe_workers()))
        if self._settings.secret_key_check:
            self._watch_secret_key()
        for number in range(self._settings.workers):
            self._worker_tasks.append(asyncio.ensure_future(self._keep_running(number, sockets[number], admin[number])))
        await first_of(self._all_ready.wait(), self._failed.wait())

    def _watch_secret_key(self) -> None:
        fetch = make_fetcher(self._settings, self._pool, self._deadlines)
        event, found = self._log.event, self._metrics.secret_key_found
        watch = make_secret_key_watch(self._settings, fetch, self._broker.in_hand, event, found)
        self._watching = asyncio.ensure_future(watch.run(self._broker.logged_in))

    @property
    def ready(self) -> bool:
        """True once every worker has served."""
        return self._all_ready.is_set()

    @property
    def failed(self) -> bool:
        """True when a worker ended before it served."""
        return self._failed.is_set()

    async def _keep_running(self, number: int, sockets: Sockets, admin: Sockets) -> None:
        """Run one worker, and another one in its stead should it end by itself."""
        while not self._stopping.is_set():
            try:
                await self._run_worker(number, sockets, admin)
            except OSError as error:  # as where the system allows no more processes
                self._log.event("error", "worker", f"no worker can be started: {error.strerror or 'no reason given'}")
            if self._stopping.is_set():
                return
            if number not in self._ready:
                self._failed.set()
                return
            await first_of(asyncio.sleep(RESTART_PAUSE), self._stopping.wait())

    async def _run_worker(self, number: int, sockets: Sockets, admin: Sockets) -> None:
        """Start a worker and serve its channel until it ends."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await self._launch(number, theirs, sockets, admin)
        channel = WorkerChannel(self._handlers(number), self._report)
        await channel.open(ours)
        worker = self._workers[number] = Worker(process, channel)
        if self._stopping.is_set():
            worker.send(terminate)
        await channel.run()
        status = await process.wait()
        del self._workers[number]
        if worker.snapshot:
            self._ended_snapshots = [ended_totals([*self._ended_snapshots, worker.snapshot])]
        if number in self._ready and not self._stopping.is_set():
            self._log_worker_end(worker, status)

    def _log_worker_end(self, worker: Worker, status: int) -> None:
        """Of a worker that nobody told to stop."""
        self._metrics.worker_restarted("unresponsive" if worker.unresponsive else "exit")
        what = "that did not answer was ended" if worker.unresponsive else "ended by itself"
        lost = "; what it counted after its last report is lost" if status else ""
        self._log.event(
            "error",
            "worker",
            f"a worker {what}; another one takes its place{lost}",
            status=status,
            pid=worker.process.pid,
            seconds_since_report=round(time.monotonic() - worker.snapshot_at, 3),
        )

    async def _probe_workers(self) -> None:
        """Ask every worker once a second whether it is alive, and give up those that hang."""
        punctuality = ProbeClock(time.monotonic())
        ending: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            await first_of(asyncio.sleep(PROBE_INTERVAL), self._stopping.wait())
            late = punctuality.is_late(time.monotonic())
            for worker in self._workers.values():
                worker.liveness.probe_sent(late=late)
                worker.channel.notify("probe", None)
                if worker.liveness.is_unresponsive and not worker.unresponsive:
                    worker.unresponsive = True
                    ending.add(task := asyncio.ensure_future(self._terminate(worker)))
                    task.add_done_callback(ending.discard)
        for task in ending:
            task.cancel()

    async def _terminate(self, worker: Worker) -> None:
        """Let it end by itself if it can, after SIGCONT, since one that is stopped hears nothing else; then kill it."""
        self._log.event(
            "error",
            "worker",
            f"a worker has left {worker.liveness.unanswered} questions in a row unanswered, one a second; it is ended",
            pid=worker.process.pid,
        )
        worker.send(resume)
        worker.send(terminate)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_AFTER):
                await worker.process.wait()
        worker.send(kill)

    async def _launch(
        self, number: int, channel: socket.socket, sockets: Sockets, admin: Sockets
    ) -> asyncio.subprocess.Process:
        listen, listen_admin = [sock.fileno() for sock in sockets], [sock.fileno() for sock in admin]
        words = [f"{FLAGS[name]}={value}" for name, value in self._flags.items()]
        return await asyncio.create_subprocess_exec(
            *respawn.command("worker", *words),
            f"--number={number}",
            f"--channel={channel.fileno()}",
            f"--sockets={','.join(map(str, listen))}",
            f"--admin-sockets={','.join(map(str, listen_admin))}",
            f"--inspector={self._context.inspector_path}",
            *["--handed-over"] * any(isinstance(sock, InheritedListener) for sock in sockets),
            env=respawn.environment(self._env),
            pass_fds=[channel.fileno(), *listen, *listen_admin],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's signals are for us: we pass them on
        )

    def reload(self) -> None:
        """Let every worker read the routes again, and all of us use no connection to BioT of before any more."""
        self._pool.retire()
        self._ca_watcher.request_reload()
        self._signal_workers(hang_up)

    async def stop(self, force_requested: asyncio.Event) -> None:
        """Let the workers drain; `force_requested` ends what is under way."""
        self._stopping.set()
        self._context.drain()
        self._signal_workers(resume)  # one that is stopped hears nothing else
        self._signal_workers(terminate)
        forcing = asyncio.ensure_future(self._force(force_requested))
        ended = asyncio.gather(*self._worker_tasks, return_exceptions=True)
        await asyncio.wait([ended], timeout=self._settings.drain_timeout + DRAIN_OVERTIME)
        forcing.cancel()
        self._signal_workers(kill)
        await ended
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._ca_watching is not None:
            self._ca_watching.cancel()
        await self._broker.close()
        await self._context.close()
        await close_upstream(self._pool, self._deadlines)

    async def _force(self, force_requested: asyncio.Event) -> None:
        await force_requested.wait()
        self._signal_workers(terminate)

    def _signal_workers(self, tell: Tell) -> None:
        for worker in self._workers.values():
            worker.send(tell)
