"""`biot-sidecar status`: what a running sidecar says of its token, logins and routes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from biot_sidecar.cli import status_view
from biot_sidecar.cli.colors import palette_for
from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.cli.local_client import Answer, first_address, get, printable, why_not
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.settings.values import ListenAddress

PATIENCE: Final = 5.0
"""Seconds that an answer may take."""
OK: Final = 200
FORBIDDEN: Final = 403


class NoStatus(Exception):
    """No sidecar answered, or not this one's user; the text says why."""


class State(NamedTuple):
    """The JSON of `/_sidecar/status` and `/readyz`."""

    status: dict[str, Any]
    ready: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "status")
    parser.add_argument("--json", action="store_true", help="what the sidecar answers, as it is")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0, or 1 when no sidecar answers, with the reason on stderr. Raises BadSettings."""
    address = first_address(flags_of(args), env)
    try:
        state = ask(address)
    except NoStatus as error:
        say(str(error))
        return 1
    if args.json:
        print(json.dumps(state.status | {"ready": state.ready}, indent=2))
        return 0
    now = time.time()  # noqa: TID251 - a command hands the real clock out
    palette = palette_for(sys.stdout, env)
    for row in (*status_view.heading(*state, str(address), now), *status_view.routes(state.status, now)):
        print(row.shown(palette))
    return 0


def ask(address: ListenAddress, timeout: float = PATIENCE) -> State:
    """What the sidecar at `address` says. Raises NoStatus."""
    try:
        status, ready = get(address, "/_sidecar/status", timeout), get(address, "/readyz", timeout)
    except OSError as error:
        raise NoStatus(f"no sidecar answers at {address}: {why_not(error)}") from None
    told = status.json()
    if status.status != OK or not isinstance(told, dict) or "routes" not in told:
        raise NoStatus(_refusal(address, status, told))
    return State(told, ready.json() or {})


def _refusal(address: ListenAddress, answer: Answer, told: Any) -> str:
    message = told.get("message") if isinstance(told, dict) else None
    if answer.status == FORBIDDEN and isinstance(message, str):
        return f"the sidecar at {address} does not answer this user: {printable(message)}"
    return f"what listens at {address} is no biot-sidecar that tells its status"
