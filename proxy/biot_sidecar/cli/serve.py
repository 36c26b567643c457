"""`biot-sidecar serve`: the sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import Settings, load

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "serve")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until told to stop. Raises BadSettings and AddressInUse."""
    flags = flags_of(args)
    settings = _settings(env, flags)
    from biot_sidecar.process import run_sidecar  # only once there is something to run

    return run_sidecar(settings, env, flags)


def _settings(env: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """The settings, or one error with what is wrong in them and in the routes file."""
    try:
        return load(env, flags)
    except BadSettings as error:
        wrong = error
    raise BadSettings(wrong.problems + _route_problems(env, flags), wrong.warnings)


def _route_problems(env: Mapping[str, str], flags: Mapping[str, str]) -> list[str]:
    from biot_sidecar.routing.file.watcher import load_routes_file  # needed for mistakes only
    from biot_sidecar.settings.routes_path import find_routes_file

    try:
        return [str(problem) for problem in load_routes_file(find_routes_file(env, flags)).errors]
    except BadSettings as error:
        return error.problems
