"""The life of the serving program, from its sockets to its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Final

import uvloop

from proxy.net.listener import bind, bound, unbind
from proxy.net.stop import Stop
from proxy.net.systemd import inherited_sockets, notify
from proxy.settings import Settings
from proxy.telemetry.log import Log
from proxy.telemetry.stderr import Stderr
from proxy.wiring.company import Alone
from proxy.wiring.parts import reporter
from proxy.wiring.sidecar import Sidecar

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
    """The life of the only process."""
    loop = asyncio.get_running_loop()
    log.later = lambda flush: loop.call_later(LOG_BATCH, flush)
    sidecar = Sidecar(
        settings, log, lambda pool, sweep, observer: Alone(settings, pool, sweep, observer, reporter(log))
    )
    sockets = inherited_sockets(env, os.getpid()) or [bind(address) for address in settings.listen]
    admin = [] if settings.admin_listen is None else [bind(settings.admin_listen)]
    stop = Stop(loop, on_hangup=sidecar.routes.request_reload)
    try:
        await sidecar.start(sockets, admin)
        say_ready(", ".join(map(bound, sockets)), settings, env, log)
        await stop.asked.wait()
        say_stopping(env, log)
        await sidecar.stop(stop.hurry)
        log.event("info", "stopped", "stopped")
    finally:
        for sock in [*sockets, *admin]:
            unbind(sock)
    return 0


def say_ready(where: str, settings: Settings, env: Mapping[str, str], log: Log) -> None:
    """The ready line, after what there is to say about the start."""
    log.event("info", "ready", f"listening on {where}")
    log.flush()
    print(f"biot-sidecar ready on {where} -> {settings.upstream.url}", flush=True)  # noqa: T201 - the ready line
    notify(env, "READY=1")


def say_stopping(env: Mapping[str, str], log: Log) -> None:
    notify(env, "STOPPING=1")
    log.event("info", "draining", "stopping; requests under way may end")
