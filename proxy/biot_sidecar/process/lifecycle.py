"""The life of `serve`, from its sockets to its end: one process that does all, or a supervisor with workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from biot_sidecar import frugal_start
from biot_sidecar.errors import AddressInUse, BadSettings
from biot_sidecar.http.sockets import Where, bind_all, bound, unbind
from biot_sidecar.platform import forbid_core_dumps, raise_file_limit
from biot_sidecar.process.callers import refuse_unknown_callers, warning_about_callers
from biot_sidecar.process.factories import bug_reporter, first_of, run_with_log
from biot_sidecar.process.process_context import SingleProcess
from biot_sidecar.process.sidecar import Sidecar
from biot_sidecar.process.signals import StopSignals
from biot_sidecar.process.systemd import inherited_sockets, notify
from biot_sidecar.routing.file import counted
from biot_sidecar.routing.file.watcher import load_routes_file
from biot_sidecar.settings import ListenAddress, Settings
from biot_sidecar.settings.routes_path import warning_about
from biot_sidecar.settings.table import set_elsewhere
from biot_sidecar.telemetry.access_log import Log

_LISTEN: Final = "SIDECAR_LISTEN"
_ADMIN: Final = "SIDECAR_ADMIN_LISTEN"


def run_sidecar(settings: Settings, env: Mapping[str, str], flags: Mapping[str, str]) -> int:
    """Serve until a signal says stop; the exit status. Raises BadSettings and AddressInUse."""
    raise_file_limit()
    forbid_core_dumps()  # the secret and the tokens stay out of core files, the workers' too
    return run_with_log(settings, lambda log: _run(settings, env, flags, log))


async def _run(settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log) -> int:
    for warning in filter(None, [*settings.warnings, warning_about(env, flags), warning_about_callers(settings)]):
        log.event("warning", "setting", warning)
    with contextlib.ExitStack() as stack:
        if settings.workers == 1:
            return await _run_single(settings, env, log, stack)
        return await _run_supervisor(settings, env, flags, log, stack)


async def _run_single(settings: Settings, env: Mapping[str, str], log: Log, stack: contextlib.ExitStack) -> int:
    """The life of the only process."""
    report = bug_reporter(log)
    sidecar = Sidecar(
        settings, log, lambda pool, deadlines, observer: SingleProcess(settings, pool, deadlines, observer, report)
    )
    sockets = _owned(stack, inherited_sockets(env, os.getpid()) or _bind_single(settings, _LISTEN, settings.listen))
    refuse_unknown_callers(settings, sockets)
    admin = _owned(stack, _bind_single(settings, _ADMIN, settings.admin_addresses))
    stop = StopSignals(asyncio.get_running_loop(), on_hangup=sidecar.reload)
    stack.callback(sidecar.close_acceptors)

    def ready() -> None:
        _announce_ready(sockets, admin, len(sidecar.routes.table.routes), settings, env, log)
        _follow_lambda(settings, env, sidecar, stop, stack, log)

    await sidecar.serve(
        stop,
        sockets,
        admin,
        on_ready=ready,
        on_drain=lambda: _announce_draining(env, log),
    )
    log.event("info", "stopped", "stopped")
    return 0


def _follow_lambda(
    settings: Settings,
    env: Mapping[str, str],
    sidecar: Sidecar,
    stop: StopSignals,
    stack: contextlib.ExitStack,
    log: Log,
) -> None:
    """On AWS Lambda: let each event's deadline end its calls, and the environment's end stop the sidecar."""
    if sidecar.time_limit is None or not settings.lambda_api:
        return
    from biot_sidecar.process.lambda_events import follow_events  # for those who are on Lambda only

    following = asyncio.ensure_future(
        follow_events(settings.lambda_api, env, sidecar.time_limit.event_came, log, ended=stop.drain_requested.set)
    )
    stack.callback(following.cancel)


async def _run_supervisor(
    settings: Settings, env: Mapping[str, str], flags: Mapping[str, str], log: Log, stack: contextlib.ExitStack
) -> int:
    """The life of the supervisor of several workers."""
    from biot_sidecar.process.supervisor import Supervisor  # for those who have workers only

    routes = _count_routes(settings)
    supervisor = Supervisor(settings, env, flags, log)
    inherited = _owned(stack, inherited_sockets(env, os.getpid()))
    listen = [[sock] * settings.workers for sock in inherited] or _bind_for_workers(
        stack, settings, _LISTEN, settings.listen
    )
    refuse_unknown_callers(settings, [each[0] for each in listen])
    admin = _bind_for_workers(stack, settings, _ADMIN, settings.admin_addresses)
    stop = StopSignals(asyncio.get_running_loop(), on_hangup=supervisor.reload)
    started = supervisor.start(_by_worker(listen, settings.workers), _by_worker(admin, settings.workers))
    await first_of(started, stop.drain_requested.wait())
    if supervisor.ready:
        _announce_ready([each[0] for each in listen], [each[0] for each in admin], routes, settings, env, log)
        await stop.drain_requested.wait()
    _announce_draining(env, log)
    stack.close()  # as long as we held the sockets, the kernel would not refuse new connections
    await supervisor.stop(stop.force_requested)
    log.event("info", "stopped", "stopped")
    return 1 if supervisor.failed else 0


def _count_routes(settings: Settings) -> int:
    """How many routes the file has. Raises BadSettings: workers would each report the same problems."""
    loaded = load_routes_file(settings.routes)
    if loaded.table is None:
        raise BadSettings([str(problem) for problem in loaded.errors])
    return len(loaded.table.routes)


def _bind(settings: Settings, setting: str, addresses: Iterable[ListenAddress]) -> Iterator[list[socket.socket]]:
    """What listens at each address, a socket for each process. Raises AddressInUse that names the setting."""
    beside = [*settings.listen, *settings.admin_addresses]
    ours: list[Where] = []
    # The list of users guards a unix socket better than its mode could.
    mode = 0o666 if settings.allowed_uids is not None and setting == _LISTEN else 0o600
    for address in addresses:
        try:
            by_address = bind_all(address, settings.workers, beside=beside, ours=ours, mode=mode)
        except AddressInUse as error:
            reason = str(error)
        else:
            ours += [each[0].getsockname() for each in by_address]
            yield from by_address
            continue
        raise AddressInUse(f"{reason}; {set_elsewhere(setting)}")


def _bind_single(settings: Settings, setting: str, addresses: Iterable[ListenAddress]) -> Iterator[socket.socket]:
    """The only process's sockets."""
    return (each[0] for each in _bind(settings, setting, addresses))


def _bind_for_workers(
    stack: contextlib.ExitStack, settings: Settings, setting: str, addresses: Iterable[ListenAddress]
) -> list[list[socket.socket]]:
    """Each address's sockets, one for each worker."""
    return [_owned(stack, each) for each in _bind(settings, setting, addresses)]


def _owned(stack: contextlib.ExitStack, sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """These sockets, each unbound at the stack's end: also those that are had already when a later one cannot be."""
    owned: list[socket.socket] = []
    for sock in sockets:
        if sock not in owned:
            stack.callback(unbind, sock)
        owned.append(sock)
    return owned


def _by_worker(by_address: list[list[socket.socket]], workers: int) -> list[list[socket.socket]]:
    """Each worker's sockets, out of each address's."""
    return [[sockets[number] for sockets in by_address] for number in range(workers)]


def _announce_ready(
    sockets: list[socket.socket],
    admin: list[socket.socket],
    routes: int,
    settings: Settings,
    env: Mapping[str, str],
    log: Log,
) -> None:
    """Print the ready line, after the log's own, and tell systemd."""
    frugal_start.end()
    where, beside = (", ".join(map(bound, some)) for some in (sockets, admin))
    file = os.path.abspath(settings.routes)
    said = [f"listening on {where}", f"admin pages on {beside}" * bool(beside), f"{counted(routes, 'route')} of {file}"]
    via = f" via {settings.via}" if settings.via else ""
    if settings.via:
        said.append(f"BioT through the proxy {settings.via}")
    log.event("info", "ready", "; ".join(filter(None, said)))
    log.flush()
    print(f"biot-sidecar ready on {where} -> {settings.upstream.url}{via}", flush=True)  # noqa: T201 - the ready line
    notify(env, "READY=1")


def _announce_draining(env: Mapping[str, str], log: Log) -> None:
    notify(env, "STOPPING=1")
    log.event("info", "draining", "stopping; requests under way may end")
