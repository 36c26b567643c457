"""The parent of several serving processes: it logs in, counts and inspects for all of them, and replaces lost ones."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from biot_sidecar.auth.incurable_routes import IncurableRoutes, Judgement
from biot_sidecar.auth.secret_source import SecretSource
from biot_sidecar.auth.tokens import TokenRecord
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.sockets import InheritedListener
from biot_sidecar.process import respawn as program
from biot_sidecar.process.factories import (
    RANDOM,
    first_of,
    make_clock,
    make_deadline_timer,
    make_metrics,
    make_pool,
    reporter,
)
from biot_sidecar.process.process_context import SingleProcess
from biot_sidecar.process.token_broker import TokenBroker
from biot_sidecar.process.worker_channel import ChannelClosed, Handler, WorkerChannel
from biot_sidecar.process.worker_liveness import ASK_EVERY, Liveness, Punctuality
from biot_sidecar.settings import Settings
from biot_sidecar.settings.names import FLAGS
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.login_observers import LoginObservers
from biot_sidecar.telemetry.snapshot import drop_routes, remains

RESTART_PAUSE: Final = 1.0
"""Seconds between the end of a worker that nobody told to end and the start of the next."""
ANSWER_TIME: Final = 1.0
"""Seconds in which a worker must tell what it has counted."""
KILL_AFTER: Final = 2.0
"""Seconds between telling a worker that hangs to end and ending it."""
OVERTIME: Final = 5.0
"""Seconds beyond the drain timeout after which a worker is killed."""
_NOT_THEIRS: Final = frozenset({"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"})


class Worker:
    """One serving process, as the parent sees it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: WorkerChannel) -> None:
        self.process = process
        self.channel = channel
        self.counted = b""  # its last snapshot
        self.counted_at = time.monotonic()
        self.liveness = Liveness()
        self.given_up = False

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ask(self, name: str, content: Any = None) -> Any:
        """What it answers; None if it does not, or not in time."""
        with contextlib.suppress(ChannelClosed, TimeoutError), timeout(ANSWER_TIME):
            return await self.channel.call(name, content)
        return None

    def has_counted(self, snapshot: bytes | None) -> None:
        """It has answered; None: nothing new since its last snapshot."""
        self.liveness.answered()
        self.counted = snapshot or self.counted
        self.counted_at = time.monotonic()


class Supervisor:
    """Keeps `settings.workers` processes serving; `env` and `flags` are what this one was started with.

    Raises BadSettings.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log) -> None:
        self._settings = settings
        self._env = {name: value for name, value in env.items() if name not in _NOT_THEIRS}
        self._flags = flags
        self._log = log
        self._report = reporter(log)
        self._metrics = make_metrics()
        self._deadlines = make_deadline_timer()
        self._pool = make_pool(settings, self._metrics.connected, self._metrics.disconnected)
        self._metrics.lines_dropped = log.lines_dropped
        self._metrics.gauges = lambda: (0, self._pool.idle, self._pool.active)
        self._own = SingleProcess(
            settings, self._pool, self._deadlines, LoginObservers(self._metrics, log, report=self._report), self._report
        )
        self._broker = TokenBroker(
            self._own.obtain,
            SecretSource(settings, self._warn_of_secret, settings.warnings).read,
            wall=time.time,
            clock=make_clock(),
            jitter=RANDOM.random,
        )
        self._refusals = IncurableRoutes(make_clock())
        self._workers: dict[int, Worker] = {}
        self._ready: set[int] = set()
        self._all_ready = asyncio.Event()
        self._failed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._gone: list[bytes] = []  # what workers that are no more have counted
        self._keepers: list[asyncio.Task[None]] = []

    def _warn_of_secret(self, warning: str) -> None:
        self._log.event("warning", "secret", warning)

    # ---- what workers ask for

    def _handlers(self, number: int) -> dict[str, Handler]:
        async def ready(content: Any) -> None:
            self._ready.add(number)
            self._workers[number].liveness.answered()
            if len(self._ready) == self._settings.workers:
                self._all_ready.set()

        async def alive(content: Any) -> None:
            self._workers[number].has_counted(content)

        return {
            "ready": ready,
            "alive": alive,
            "token": self._broker.answer,
            "loop": self._judge_loop,
            "refused": self._judge_refusal,
            "accepted": self._note_accepted,
            "snapshots": self._snapshots,
            "logins": self._logins,
            "record": self._record,
        }

    async def _judge_loop(self, content: Any) -> bool:
        trace_id, method, path = content
        return await self._own.loops(trace_id, method, path)

    async def _judge_refusal(self, content: Any) -> Judgement:
        method, template, token, age, replayed, replayable = content
        known = list(self._refusals.cases)
        judgement = self._refusals.judge((method, template), token, age, replayed=replayed, replayable=replayable)
        if list(self._refusals.cases) != known:
            self._tell_of_refusals()
        return judgement

    async def _note_accepted(self, content: Any) -> None:
        method, template = content
        self._refusals.accepted((method, template))
        self._tell_of_refusals()

    def _tell_of_refusals(self) -> None:
        for worker in self._workers.values():
            worker.channel.tell("refusals", [list(route) for route in self._refusals.cases])

    async def _snapshots(self, content: Any) -> list[bytes]:
        """`content`: they are for a scrape."""
        await asyncio.gather(*(self._count(worker, content) for worker in self._workers.values()))
        living = [one.counted for one in self._workers.values() if one.counted]
        self._gone = [drop_routes(one, living) for one in self._gone]
        return [self._metrics.snapshot(), *self._gone, *living]

    async def _count(self, worker: Worker, scraped: Any) -> None:
        # One that has left a question unanswered for a second would make everybody wait.
        if not worker.liveness.unanswered and (snapshot := await worker.ask("snapshot", scraped)):
            worker.has_counted(snapshot)

    async def _logins(self, content: Any) -> Any:
        told = await asyncio.gather(*(worker.ask("logins") for worker in self._workers.values()))
        counted = [record for records in told for record in msgspec.convert(records or [], list[TokenRecord])]
        return self._broker.logins(counted)

    async def _record(self, content: Any) -> None:
        from biot_sidecar.inspector.record import Record  # only for those who look

        if self._own.inspector is not None:
            self._own.inspector.recorder.keep(msgspec.convert(content, Record))

    # ---- its life

    async def start(self, sockets: Sequence[Sequence[socket.socket]], admin: Sequence[Sequence[socket.socket]]) -> None:
        """Start all workers and wait until they serve, or one of them does not get there.

        `sockets` and `admin` hold, for each worker, what it listens on.
        """
        await self._own.start()
        self._keepers.append(asyncio.ensure_future(self._watch()))
        for number in range(self._settings.workers):
            self._keepers.append(asyncio.ensure_future(self._keep(number, sockets[number], admin[number])))
        await first_of(self._all_ready.wait(), self._failed.wait())

    @property
    def ready(self) -> bool:
        """True once every worker has served."""
        return self._all_ready.is_set()

    @property
    def failed(self) -> bool:
        """True when a worker ended before it served."""
        return self._failed.is_set()

    async def _keep(self, number: int, sockets: Sequence[socket.socket], admin: Sequence[socket.socket]) -> None:
        """Run one worker, and another one in its place should it end by itself."""
        while not self._stopping.is_set():
            try:
                await self._run(number, sockets, admin)
            except OSError as error:  # as where the system allows no more processes
                self._log.event("error", "worker", f"no worker can be started: {error.strerror or 'no reason given'}")
            if self._stopping.is_set():
                return
            if number not in self._ready:
                self._failed.set()
                return
            await first_of(asyncio.sleep(RESTART_PAUSE), self._stopping.wait())

    async def _run(self, number: int, sockets: Sequence[socket.socket], admin: Sequence[socket.socket]) -> None:
        """A worker's life."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await self._launch(number, theirs, sockets, admin)
        channel = WorkerChannel(self._handlers(number), self._report)
        await channel.open(ours)
        worker = self._workers[number] = Worker(process, channel)
        if self._stopping.is_set():
            worker.send(signal.SIGTERM)
        await channel.run()
        status = await process.wait()
        del self._workers[number]
        if worker.counted:
            self._gone = [remains([*self._gone, worker.counted])]
        if number in self._ready and not self._stopping.is_set():
            self._tell_of_end(worker, status)

    def _tell_of_end(self, worker: Worker, status: int) -> None:
        """Of a worker that nobody told to stop."""
        self._metrics.worker_restarted("unresponsive" if worker.given_up else "exit")
        what = "that did not answer was ended" if worker.given_up else "ended by itself"
        lost = "; what it counted after its last report is lost" if status else ""
        self._log.event(
            "error",
            "worker",
            f"a worker {what}; another one takes its place{lost}",
            status=status,
            pid=worker.process.pid,
            seconds_since_report=round(time.monotonic() - worker.counted_at, 3),
        )

    async def _watch(self) -> None:
        """Ask every worker once a second whether it is alive, and give up those that hang."""
        punctuality = Punctuality(time.monotonic())
        ending: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            await first_of(asyncio.sleep(ASK_EVERY), self._stopping.wait())
            late = punctuality.comes_late(time.monotonic())
            for worker in self._workers.values():
                worker.liveness.asked(late=late)
                worker.channel.tell("alive?", None)
                if worker.liveness.hangs and not worker.given_up:
                    worker.given_up = True
                    ending.add(task := asyncio.ensure_future(self._end_hanging(worker)))
                    task.add_done_callback(ending.discard)
        for task in ending:
            task.cancel()

    async def _end_hanging(self, worker: Worker) -> None:
        """Let it end by itself if it can, after SIGCONT, since one that is stopped hears nothing else; then kill it."""
        self._log.event(
            "error",
            "worker",
            f"a worker has left {worker.liveness.unanswered} questions in a row unanswered, one a second; it is ended",
            pid=worker.process.pid,
        )
        worker.send(signal.SIGCONT)
        worker.send(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_AFTER):
                await worker.process.wait()
        worker.send(signal.SIGKILL)

    async def _launch(
        self,
        number: int,
        channel: socket.socket,
        sockets: Sequence[socket.socket],
        admin: Sequence[socket.socket],
    ) -> asyncio.subprocess.Process:
        listen, listen_admin = [sock.fileno() for sock in sockets], [sock.fileno() for sock in admin]
        words = [f"{FLAGS[name]}={value}" for name, value in self._flags.items()]
        return await asyncio.create_subprocess_exec(
            *program.command("worker", *words),
            f"--number={number}",
            f"--channel={channel.fileno()}",
            f"--sockets={','.join(map(str, listen))}",
            f"--admin-sockets={','.join(map(str, listen_admin))}",
            f"--inspector={self._own.inspector_path}",
            *["--handed-over"] * any(isinstance(sock, InheritedListener) for sock in sockets),
            env=program.environment(self._env),
            pass_fds=[channel.fileno(), *listen, *listen_admin],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's signals are for us: we pass them on
        )

    def reload(self) -> None:
        """Let every worker read the routes again."""
        self._signal(signal.SIGHUP)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Let the workers drain; `hurry` ends what is under way."""
        self._stopping.set()
        self._own.drain()
        self._signal(signal.SIGCONT)  # one that is stopped hears nothing else
        self._signal(signal.SIGTERM)
        hurrying = asyncio.ensure_future(self._hurry(hurry))
        ended = asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.wait([ended], timeout=self._settings.drain_timeout + OVERTIME)
        hurrying.cancel()
        self._signal(signal.SIGKILL)
        await ended
        await self._broker.close()
        await self._own.close()
        self._pool.close()
        self._deadlines.close()
        await asyncio.sleep(0)  # transports close in the loop's next round

    async def _hurry(self, hurry: asyncio.Event) -> None:
        await hurry.wait()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            worker.send(number)
