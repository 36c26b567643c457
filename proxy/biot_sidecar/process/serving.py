"""The life of the serving program, from its sockets to its end: one process that does all, or a parent with workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from biot_sidecar.auth.secret_source import forbid_core_dumps
from biot_sidecar.errors import AddressInUse, BadSettings
from biot_sidecar.http.sockets import Where, allow_many_connections, bind_all, bound, unbind
from biot_sidecar.process.factories import first_of, reporter, run_with_log
from biot_sidecar.process.process_context import SingleProcess
from biot_sidecar.process.sidecar import Sidecar
from biot_sidecar.process.signals import StopSignals
from biot_sidecar.process.systemd import inherited_sockets, notify
from biot_sidecar.routing.file import counted
from biot_sidecar.routing.file.watcher import load_routes_file
from biot_sidecar.settings import ListenAddress, Settings
from biot_sidecar.settings.names import set_elsewhere
from biot_sidecar.settings.routes_path import warning_about
from biot_sidecar.telemetry.access_log import Log

_LISTEN: Final = "SIDECAR_LISTEN"
_ADMIN: Final = "SIDECAR_ADMIN_LISTEN"


def run_sidecar(settings: Settings, env: Mapping[str, str], flags: Mapping[str, str]) -> int:
    """Serve until a signal says stop; the exit status. Raises BadSettings and AddressInUse."""
    allow_many_connections()
    forbid_core_dumps()
    return run_with_log(settings, lambda log: _live(settings, env, flags, log))


async def _live(settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log) -> int:
    for warning in filter(None, [*settings.warnings, warning_about(settings.routes)]):
        log.event("warning", "setting", warning)
    return await (_serve(settings, env, log) if settings.workers == 1 else _preside(settings, env, flags, log))


async def _serve(settings: Settings, env: Mapping[str, str], log: Log) -> int:
    """The life of the only process."""
    sidecar = Sidecar(
        settings,
        log,
        lambda pool, deadlines, observer: SingleProcess(settings, pool, deadlines, observer, reporter(log)),
    )
    with contextlib.ExitStack() as held:
        sockets = _held(held, inherited_sockets(env, os.getpid()) or _alone(settings, _LISTEN, settings.listen))
        admin = _held(held, _alone(settings, _ADMIN, settings.admin_places))
        stop = StopSignals(asyncio.get_running_loop(), on_hangup=sidecar.routes.request_reload)
        held.callback(sidecar.close_acceptors)
        await sidecar.start(sockets, admin)
        _say_ready(sockets, admin, len(sidecar.routes.table.rules), settings, env, log)
        await stop.asked.wait()
        _say_stopping(env, log)
        await sidecar.stop(stop.hurry)
        log.event("info", "stopped", "stopped")
    return 0


async def _preside(settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log) -> int:
    """The life of the parent of several."""
    from biot_sidecar.process.supervisor import Supervisor  # for those who have workers only

    loaded = load_routes_file(settings.routes)
    if loaded.table is None:
        raise BadSettings([str(problem) for problem in loaded.errors])
    routes = len(loaded.table.rules)
    parent = Supervisor(settings, env, flags, log)
    workers = settings.workers
    with contextlib.ExitStack() as held:
        inherited = _held(held, inherited_sockets(env, os.getpid()))
        places = [] if inherited else settings.listen
        listen = [[sock] * workers for sock in inherited] + [
            _held(held, each) for each in _bound(settings, _LISTEN, places)
        ]
        admin = [_held(held, each) for each in _bound(settings, _ADMIN, settings.admin_places)]
        stop = StopSignals(asyncio.get_running_loop(), on_hangup=parent.reload)
        await first_of(parent.start(_by_worker(listen, workers), _by_worker(admin, workers)), stop.asked.wait())
        if parent.ready:
            _say_ready([each[0] for each in listen], [each[0] for each in admin], routes, settings, env, log)
            await stop.asked.wait()
        _say_stopping(env, log)
        for sockets in [*listen, *admin]:
            for sock in sockets:
                unbind(sock)  # as long as we held them, the kernel would not refuse new connections
        await parent.stop(stop.hurry)
        log.event("info", "stopped", "stopped")
    return 1 if parent.failed else 0


def _bound(settings: Settings, setting: str, places: Iterable[ListenAddress]) -> Iterator[list[socket.socket]]:
    """What listens at each place, a socket for each process. Raises AddressInUse that names the setting."""
    beside = [*settings.listen, *settings.admin_places]
    ours: list[Where] = []
    for address in places:
        try:
            places_bound = bind_all(address, settings.workers, beside=beside, ours=ours)
        except AddressInUse as error:
            reason = str(error)
        else:
            ours += [each[0].getsockname() for each in places_bound]
            yield from places_bound
            continue
        raise AddressInUse(f"{reason}; {set_elsewhere(setting)}")


def _alone(settings: Settings, setting: str, places: Iterable[ListenAddress]) -> Iterator[socket.socket]:
    """The only process's sockets."""
    return (each[0] for each in _bound(settings, setting, places))


def _held(held: contextlib.ExitStack, sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """These sockets, each unbound at the stack's end: also those that are had already when a later one cannot be."""
    taken: list[socket.socket] = []
    for sock in sockets:
        if sock not in taken:
            held.callback(unbind, sock)
        taken.append(sock)
    return taken


def _by_worker(by_address: list[list[socket.socket]], workers: int) -> list[list[socket.socket]]:
    """Each worker's sockets, out of each address's."""
    return [[sockets[number] for sockets in by_address] for number in range(workers)]


def _say_ready(
    sockets: list[socket.socket],
    admin: list[socket.socket],
    routes: int,
    settings: Settings,
    env: Mapping[str, str],
    log: Log,
) -> None:
    """The ready line, after what there is to say about the start."""
    where, beside = (", ".join(map(bound, some)) for some in (sockets, admin))
    file = os.path.abspath(settings.routes)
    said = [f"listening on {where}", f"admin pages on {beside}" * bool(beside), f"{counted(routes, 'route')} of {file}"]
    log.event("info", "ready", "; ".join(filter(None, said)))
    log.flush()
    print(f"biot-sidecar ready on {where} -> {settings.upstream.url}", flush=True)  # noqa: T201 - the ready line
    notify(env, "READY=1")


def _say_stopping(env: Mapping[str, str], log: Log) -> None:
    notify(env, "STOPPING=1")
    log.event("info", "draining", "stopping; requests under way may end")
