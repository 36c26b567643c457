"""`biot-sidecar wait`: returns as soon as the sidecar at SIDECAR_LISTEN is ready."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of, value_of
from biot_sidecar.cli.local_client import first_address, get, printable, why_not
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.durations import parse_duration, show_duration
from biot_sidecar.settings import misspelt
from biot_sidecar.settings.values import ListenAddress

POLL: Final = 0.1
"""Seconds between two looks."""
TRY: Final = 1.0
"""Seconds that one look may take; a sidecar that is there answers at once."""
OK: Final = 200
NOT_READY: Final = 503
_IN_HAND: Final = frozenset({"valid", "renewing"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "wait")
    parser.add_argument(
        "--token", action="store_true", help="wait until a token is in hand, too: BioT has let the service user in"
    )
    parser.add_argument(
        "--timeout",
        type=value_of(parse_duration),
        default="30s",
        metavar="DURATION",
        help="give up after this long (default 30s)",
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 when the sidecar is ready, 1 after the timeout, with the reason on stderr. Raises BadSettings."""
    address = first_address(flags_of(args), env)
    reason = wait_until_ready(
        lambda timeout: look(address, timeout, token=args.token),
        args.timeout,
        clock=time.monotonic,  # noqa: TID251 - a command hands the real clock out
        sleep=time.sleep,
    )
    if reason:
        say(f"not ready after {show_duration(args.timeout)} at {address}: {reason}")
        say(*misspelt(env))  # it may listen where a setting with a slip in its name says
    return 1 if reason else 0


def wait_until_ready(
    look: Callable[[float], str], timeout: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> str:
    """Look until nothing is said against it any more: then empty, after `timeout` seconds the last reason.

    `look` gets the seconds that it may take. It looks once at least.
    """
    end = clock() + timeout
    while True:
        reason = look(min(TRY, max(end - clock(), POLL)))
        left = end - clock()
        if not reason or left <= 0:
            return reason
        sleep(min(POLL, left))


def look(address: ListenAddress, timeout: float, *, token: bool = False) -> str:
    """Ask the sidecar at `address` for /readyz; why it is not ready, or has no `token` in hand, or nothing."""
    try:
        answer = get(address, "/readyz", timeout)
    except TimeoutError:
        return f"no answer within {timeout:.1g}s"
    except OSError as error:
        return why_not(error)
    if not answer.status:
        return "something else than a sidecar listens there"
    told = answer.json()
    told = told if isinstance(told, dict) else {}
    if answer.status != OK:
        reason = told.get("reason") if answer.status == NOT_READY else None
        return printable(reason) if isinstance(reason, str) else f"it answers with status {answer.status}"
    return _no_token(told.get("token")) if token else ""


def _no_token(token: object) -> str:
    """Why no token is in hand, or nothing."""
    if not isinstance(token, dict) or not isinstance(token.get("state"), str):
        return "it does not say whether a token is in hand"
    if token["state"] in _IN_HAND:
        return ""
    error = token.get("last_error")
    return f"no token is in hand: {printable(error) if isinstance(error, str) else token['state']}"
