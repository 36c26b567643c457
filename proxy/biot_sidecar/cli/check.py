"""`biot-sidecar check`: validate settings and routes, run the routes file's own tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from biot_sidecar.cli.check_report import Report
from biot_sidecar.cli.colors import palette_for
from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.errors import BadSettings
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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the findings as JSON")
    form.add_argument("--github", action="store_true", help="the findings as annotations in a GitHub workflow")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 when anything is wrong; every problem is a line on stdout, notes go to stderr."""
    report = _check(args, env)
    if args.json:
        print(report.json())
    else:
        lines = report.annotations() if args.github else report.lines(palette_for(sys.stdout, env))
        print("\n".join(lines))
    return 0 if report.right else 1


def _check(args: argparse.Namespace, env: Mapping[str, str]) -> Report:
    report = Report()
    flags = flags_of(args)
    settings = _check_settings(report, env, flags, complete=args.live)
    path = find_routes_file(env, flags)
    if warning := warning_about(env, flags):
        report.add(warning, "warning")
    table = _check_routes(report, path)
    if args.live and settings is not None and table is not None:
        _ask_biot(report, settings, table)
    return report


def _ask_biot(report: Report, settings: Settings, table: RouteTable) -> None:
    """Find out which interceptors the routes run."""
    from biot_sidecar.cli.check_live import ask_biot  # sockets and TLS, which nothing else here needs

    try:
        report.interceptors(ask_biot(settings, table))
    except BadSettings as error:
        for problem in error.problems:
            report.add(problem, "error")


def _check_settings(
    report: Report, env: Mapping[str, str], flags: Mapping[str, str], *, complete: bool
) -> Settings | None:
    """The settings if they are complete and right.

    Unless they have to be complete, what `serve` needs and is not set is only a note: rules are checked where there
    are no credentials, too.
    """
    try:
        settings = load(env, flags)
    except BadSettings as error:
        unset = [problem for problem in error.problems if problem.startswith(_UNSET) and not complete]
        if unset:
            names = ", ".join(problem.partition(":")[0] for problem in unset)
            print(f"note: not set here, though serve needs them: {names}", file=sys.stderr)
        for problem in error.problems:
            if problem not in unset:
                report.add(problem, "error")
        for warning in error.warnings:
            report.add(warning, "warning")
        return None
    for warning in settings.warnings:
        report.add(warning, "warning")
    if proxy := settings.upstream_proxy:
        report.through(f"{proxy.address} ({proxy.source})")
    return settings


def _check_routes(report: Report, path: str) -> RouteTable | None:
    """The routes, or None if they cannot be used."""
    try:
        loaded = load_routes_file(path)
    except BadSettings as error:
        for problem in error.problems:
            report.add(problem, "error")
        return None
    for diagnostic in loaded.diagnostics:
        report.add(str(diagnostic), diagnostic.severity)
    if loaded.table is not None:
        report.usable(path, len(loaded.table.routes), loaded.tests)
    return loaded.table
