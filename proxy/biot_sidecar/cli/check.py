"""`biot-sidecar check`: validate settings and routes, run the routes file's own tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.errors import BadSettings
from biot_sidecar.routing.file import counted
from biot_sidecar.routing.file.watcher import load_routes_file
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings import Settings, load
from biot_sidecar.settings.names import BASE_URL, SECRET, USER_ID
from biot_sidecar.settings.routes_path import find_routes_file, warning_about

_UNSET: Final = tuple(f"{name}: is not set" for name in (BASE_URL, USER_ID, SECRET))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags: those of serve, and its own."""
    add_setting_flags(parser, "check")
    parser.add_argument(
        "--live", action="store_true", help="also log in and ask BioT which interceptors the routes run"
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 when anything is wrong; every problem is a line on stdout, notes go to stderr."""
    settings, right = _check_settings(env, flags_of(args), complete=args.live)
    path = find_routes_file(env, flags_of(args))
    if warning := warning_about(path):
        print(_with_severity("warning", warning))
    table = _check_routes(path)
    if args.live and settings is not None and table is not None:
        right = _ask_biot(settings, table)
    return 0 if right and table is not None else 1


def _ask_biot(settings: Settings, table: RouteTable) -> bool:
    """Say which interceptors the routes run; False if BioT could not be asked."""
    from biot_sidecar.cli.check_live import ask_biot  # sockets and TLS, which nothing else here needs

    try:
        print("\n".join(ask_biot(settings, table) or ["no route asks for interception"]))
    except BadSettings as error:
        print("\n".join(_with_severity("error", problem) for problem in error.problems))
        return False
    return True


def _check_settings(
    env: Mapping[str, str], flags: Mapping[str, str], *, complete: bool
) -> tuple[Settings | None, bool]:
    """The settings if they are complete, and whether those that are there are right.

    Unless they have to be complete, what `serve` needs and is not set is only a note: rules are checked where there
    are no credentials, too.
    """
    try:
        settings = load(env, flags)
    except BadSettings as error:
        unset = [problem for problem in error.problems if problem.startswith(_UNSET) and not complete]
        wrong = [problem for problem in error.problems if problem not in unset]
        if unset:
            names = ", ".join(problem.partition(":")[0] for problem in unset)
            print(f"note: not set here, though serve needs them: {names}", file=sys.stderr)
        for problem in wrong:
            print(_with_severity("error", problem))
        for warning in error.warnings:
            print(_with_severity("warning", warning))
        return None, not wrong
    for warning in settings.warnings:
        print(_with_severity("warning", warning))
    if proxy := settings.upstream_proxy:
        print(f"{BASE_URL}: through the proxy {proxy.address} ({proxy.source})")
    return settings, True


def _with_severity(severity: str, problem: str) -> str:
    """`NAME: reason` -> `NAME: error: reason`, as the lines of a file have it."""
    name, colon, reason = problem.partition(": ")
    return f"{name}: {severity}: {reason}" if colon else f"settings: {severity}: {problem}"


def _check_routes(path: str) -> RouteTable | None:
    """The routes, or None if they cannot be used."""
    try:
        loaded = load_routes_file(path)
    except BadSettings as error:
        print("\n".join(error.problems))
        return None
    for problem in loaded.diagnostics:
        print(problem)
    if loaded.table is None:
        return None
    tests = f"{counted(loaded.tests, 'test')} pass{'es' * (loaded.tests == 1)}" if loaded.tests else "no tests"
    print(f"{path}: {counted(len(loaded.table.routes), 'route')}, {tests}")
    return loaded.table
