"""`biot-sidecar check`: validate settings and routes, run the routes file's own tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from proxy.commands.flags import add_setting_flags, flags_of
from proxy.errors import BadSettings
from proxy.net.reload import load_routes_file
from proxy.policy.routesfile import Loaded, counted
from proxy.settings import Settings, load
from proxy.settings.names import BASE_URL, SECRET, USER_ID
from proxy.settings.routes_path import find_routes_file

_UNSET: Final = tuple(f"{name}: is not set" for name in (BASE_URL, USER_ID, SECRET))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags: those of serve."""
    add_setting_flags(parser)


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 when anything is wrong; every problem is a line on stdout, notes go to stderr."""
    settings_right = _check_settings(env, flags_of(args))[1]
    loaded = _check_routes(find_routes_file(env, flags_of(args)))
    return 0 if settings_right and loaded is not None else 1


def _check_settings(env: Mapping[str, str], flags: Mapping[str, str]) -> tuple[Settings | None, bool]:
    """The settings if they are complete, and whether those that are there are right.

    What `serve` needs and is not set is only a note: rules are checked where there are no credentials, too.
    """
    try:
        settings = load(env, flags)
    except BadSettings as error:
        unset = [problem for problem in error.problems if problem.startswith(_UNSET)]
        wrong = [problem for problem in error.problems if problem not in unset]
        if unset:
            names = ", ".join(problem.partition(":")[0] for problem in unset)
            print(f"note: not set here, though serve needs them: {names}", file=sys.stderr)
        for problem in wrong:
            print(_with_severity("error", problem))
        return None, not wrong
    for warning in settings.warnings:
        print(_with_severity("warning", warning))
    return settings, True


def _with_severity(severity: str, problem: str) -> str:
    """`NAME: reason` -> `NAME: error: reason`, as the lines of a file have it."""
    name, colon, reason = problem.partition(": ")
    return f"{name}: {severity}: {reason}" if colon else f"settings: {severity}: {problem}"


def _check_routes(path: str) -> Loaded | None:
    """The routes, or None if they cannot be used."""
    try:
        loaded = load_routes_file(path)
    except BadSettings as error:
        print("\n".join(error.problems))
        return None
    for problem in loaded.problems:
        print(problem)
    if loaded.table is None:
        return None
    tests = f"{counted(loaded.tests, 'test')} pass{'es' * (loaded.tests == 1)}" if loaded.tests else "no tests"
    print(f"{path}: {counted(len(loaded.table.rules), 'route')}, {tests}")
    return loaded
