"""`biot-sidecar worker`: one of several serving processes. `serve` starts it; people do not."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from proxy.commands.flags import add_setting_flags, flags_of
from proxy.settings import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_setting_flags(parser)
    parser.add_argument("--number", type=int, required=True, help="of this worker, from 0")
    parser.add_argument("--channel", type=int, required=True, help="the descriptor of the way to the parent")
    parser.add_argument("--sockets", type=_descriptors, required=True, help="descriptors to listen on")
    parser.add_argument("--admin-sockets", type=_descriptors, default=(), help="descriptors of the admin listener")
    parser.add_argument("--inspector", default="", help="the inspector's socket")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until told to stop. Raises BadSettings."""
    settings = load(env, flags_of(args))
    from proxy.wiring.worker import Place, run_worker

    return run_worker(settings, Place(args.number, args.channel, args.sockets, args.admin_sockets, args.inspector))


def _descriptors(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
