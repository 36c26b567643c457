"""One of several serving processes: its life, from the sockets that the supervisor hands over to its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import msgspec

from biot_sidecar import frugal_start
from biot_sidecar.http.sockets import InheritedListener
from biot_sidecar.process.factories import bug_reporter, run_with_log
from biot_sidecar.process.sidecar import Sidecar
from biot_sidecar.process.signals import StopSignals
from biot_sidecar.process.worker_channel import Handler, WorkerChannel
from biot_sidecar.process.worker_context import WorkerProcess
from biot_sidecar.settings import Settings
from biot_sidecar.telemetry.access_log import Log


class WorkerArgs(msgspec.Struct, frozen=True):
    """What the supervisor hands to a worker.

    `channel`, `listen` and `admin` are descriptors; `number` counts from 0; `inspector` is the path of its socket, or
    empty. `handed_over`: systemd passed the sockets to listen on, and ends them.
    """

    number: int
    channel: int
    listen: tuple[int, ...]
    handed_over: bool
    admin: tuple[int, ...]
    inspector: str


def run_worker(settings: Settings, args: WorkerArgs) -> int:
    """Serve until a signal says stop or the supervisor is gone; the exit status. Raises BadSettings."""
    return run_with_log(settings, lambda log: _run(settings, args, log))


async def _run(settings: Settings, args: WorkerArgs, log: Log) -> int:
    handlers: dict[str, Handler] = {}
    channel = WorkerChannel(handlers, bug_reporter(log))
    await channel.open(socket.socket(fileno=args.channel))
    context = WorkerProcess(channel, args.number, settings.workers, args.inspector)
    sidecar = Sidecar(settings, log, lambda pool, deadlines, observer: context)
    handlers |= _handlers(sidecar, context, channel)
    stop = StopSignals(asyncio.get_running_loop(), on_hangup=sidecar.reload)
    supervisor = asyncio.ensure_future(channel.run())
    supervisor.add_done_callback(lambda _: stop.drain_requested.set())
    try:
        await sidecar.serve(
            stop,
            _inherited_sockets(args.listen, InheritedListener if args.handed_over else socket.socket),
            _inherited_sockets(args.admin),
            on_ready=lambda: _announce_ready(channel),
        )
        channel.notify("alive", sidecar.snapshot())  # its last word
    finally:
        channel.close()
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
    return 0


def _announce_ready(channel: WorkerChannel) -> None:
    frugal_start.end()
    channel.notify("ready", None)


def _handlers(sidecar: Sidecar, context: WorkerProcess, channel: WorkerChannel) -> dict[str, Handler]:
    """What the supervisor may ask of a worker."""

    async def alive(content: Any) -> None:
        channel.notify("alive", sidecar.snapshot_if_changed())

    async def secret_changed(content: Any) -> None:
        sidecar.secret.notice()

    return {
        "snapshot": lambda scraped: _resolved(sidecar.snapshot(bool(scraped))),
        "logins": lambda _: _resolved(sidecar.logins()),
        "probe": alive,
        "marked_routes": context.set_marked_routes,
        "secret_changed": secret_changed,
    }


async def _resolved(content: Any) -> Any:
    return content


def _inherited_sockets(descriptors: Sequence[int], kind: type[socket.socket] = socket.socket) -> list[socket.socket]:
    """The listening sockets behind inherited descriptors, of which commands that we start inherit none."""
    sockets = [kind(fileno=descriptor) for descriptor in descriptors]
    for sock in sockets:
        sock.set_inheritable(False)
        sock.setblocking(False)
    return sockets
