"""`biot-sidecar serve`: the sidecar."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from proxy.commands.flags import add_setting_flags, flags_of
from proxy.settings import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_setting_flags(parser)


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until told to stop. Raises BadSettings and AddressInUse."""
    settings = load(env, flags_of(args))
    from proxy.wiring import run_sidecar  # only once there is something to run

    return run_sidecar(settings, env)
