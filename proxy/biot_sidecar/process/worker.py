"""One of several serving processes: its life, from the sockets that the parent hands over to its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import msgspec

from biot_sidecar.http.sockets import InheritedListener
from biot_sidecar.process.factories import first_of, reporter, run_with_log
from biot_sidecar.process.process_context import WorkerProcess
from biot_sidecar.process.sidecar import Sidecar
from biot_sidecar.process.signals import StopSignals
from biot_sidecar.process.worker_channel import WorkerChannel
from biot_sidecar.settings import Settings
from biot_sidecar.telemetry.access_log import Log


class Place(msgspec.Struct, frozen=True):
    """What the parent hands to a worker: descriptors, its number from 0, and the inspector's socket if there is one.

    `handed_over`: those to listen on are systemd's.
    """

    number: int
    channel: int
    listen: tuple[int, ...]
    handed_over: bool
    admin: tuple[int, ...]
    inspector: str


def run_worker(settings: Settings, place: Place) -> int:
    """Serve until a signal says stop or the parent is gone; the exit status. Raises BadSettings."""
    return run_with_log(settings, lambda log: _work(settings, place, log))


async def _work(settings: Settings, place: Place, log: Log) -> int:
    parts: list[Sidecar] = []

    async def alive(content: Any) -> None:
        channel.tell("alive", parts[0].news())

    channel = WorkerChannel(
        {
            "snapshot": lambda scraped: _told(parts[0].snapshot(bool(scraped))),
            "logins": lambda _: _told(parts[0].logins()),
            "alive?": alive,
            "refusals": lambda routes: member.take_refusals(routes),
        },
        reporter(log),
    )
    await channel.open(socket.socket(fileno=place.channel))
    member = WorkerProcess(channel, place.number, settings.workers, place.inspector)
    sidecar = Sidecar(settings, log, lambda pool, deadlines, observer: member)
    parts.append(sidecar)
    stop = StopSignals(asyncio.get_running_loop(), on_hangup=sidecar.routes.request_reload)
    parent = asyncio.ensure_future(channel.run())
    try:
        await sidecar.start(
            _sockets(place.listen, InheritedListener if place.handed_over else socket.socket), _sockets(place.admin)
        )
        channel.tell("ready", None)
        await first_of(stop.asked.wait(), asyncio.shield(parent))
        await sidecar.stop(stop.hurry)
        channel.tell("alive", sidecar.snapshot())  # its last word
    finally:
        channel.close()
        parent.cancel()
        await asyncio.gather(parent, return_exceptions=True)
    return 0


async def _told(content: Any) -> Any:
    return content


def _sockets(descriptors: Sequence[int], kind: type[socket.socket] = socket.socket) -> list[socket.socket]:
    """The listening sockets behind inherited descriptors, of which commands that we start inherit none."""
    sockets = [kind(fileno=descriptor) for descriptor in descriptors]
    for sock in sockets:
        sock.set_inheritable(False)
        sock.setblocking(False)
    return sockets
