"""`biot-sidecar worker`: one of several serving processes. `serve` starts it; people do not."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.settings import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "worker")
    parser.add_argument("--number", type=int, required=True, help="of this worker, from 0")
    parser.add_argument("--channel", type=int, required=True, help="the descriptor of the way to the parent")
    parser.add_argument("--sockets", type=_descriptors, required=True, help="descriptors to listen on")
    parser.add_argument("--handed-over", action="store_true", help="those are not ours to end")
    parser.add_argument("--admin-sockets", type=_descriptors, default=(), help="descriptors of the admin listener")
    parser.add_argument("--inspector", default="", help="the inspector's socket")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until told to stop. Raises BadSettings."""
    settings = load(env, flags_of(args))
    from biot_sidecar.process.worker import WorkerArgs, run_worker

    worker_args = WorkerArgs(
        number=args.number,
        channel=args.channel,
        listen=args.sockets,
        handed_over=args.handed_over,
        admin=args.admin_sockets,
        inspector=args.inspector,
    )
    return run_worker(settings, worker_args)


def _descriptors(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
