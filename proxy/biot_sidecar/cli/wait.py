"""`biot-sidecar wait`: returns as soon as the sidecar at SIDECAR_LISTEN is ready."""

from __future__ import annotations

import argparse
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.durations import parse_duration, show_duration
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import load_listen, misspelt
from biot_sidecar.settings.names import LISTEN
from biot_sidecar.settings.table import FLAGS
from biot_sidecar.settings.values import ListenAddress

POLL: Final = 0.1
"""Seconds between two looks."""
TRY: Final = 1.0
"""Seconds that one look may take; a sidecar that is there answers at once."""
LARGEST: Final = 4096
_REQUEST: Final = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
_IN_HAND: Final = frozenset({"valid", "renewing"})
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "wait")
    parser.add_argument(
        "--token", action="store_true", help="wait until a token is in hand, too: BioT has let the service user in"
    )
    parser.add_argument(
        "--timeout", type=_duration, default="30s", metavar="DURATION", help="give up after this long (default 30s)"
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 when the sidecar is ready, 1 after the timeout, with the reason on stderr. Raises BadSettings."""
    address = _first_address(flags_of(args), env)
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
        answer = _answer(address, timeout)
    except TimeoutError:
        return f"no answer within {timeout:.1g}s"
    except OSError as error:
        return error.strerror or "no connection"
    status = _STATUS.match(answer)
    if status is None:
        return "something else than a sidecar listens there"
    told = _told(answer)
    if status[1] != b"200":
        reason = told.get("reason") if status[1] == b"503" else None
        return _printable(reason) if isinstance(reason, str) else f"it answers with status {int(status[1])}"
    return _no_token(told.get("token")) if token else ""


def _answer(address: ListenAddress, timeout: float) -> bytes:
    answer = b""
    with _connected(address, timeout) as sock:
        sock.sendall(_REQUEST)
        while len(answer) < LARGEST and (piece := sock.recv(LARGEST)):
            answer += piece
    return answer


def _connected(address: ListenAddress, timeout: float) -> socket.socket:
    if not address.path:
        host = _EVERY_ADDRESS.get(address.host, address.host)
        return socket.create_connection((host, address.port), timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(address.path)
    except OSError:
        sock.close()
        raise
    return sock


def _told(answer: bytes) -> dict[str, object]:
    """The JSON object of an answer; empty if it holds none."""
    try:
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _no_token(token: object) -> str:
    """Why no token is in hand, or nothing."""
    if not isinstance(token, dict) or not isinstance(token.get("state"), str):
        return "it does not say whether a token is in hand"
    if token["state"] in _IN_HAND:
        return ""
    error = token.get("last_error")
    return f"no token is in hand: {_printable(error) if isinstance(error, str) else token['state']}"


def _printable(text: str) -> str:
    """Nothing in it steers a terminal."""
    return "".join(character for character in text if character.isprintable())[:300]


def _first_address(flags: Mapping[str, str], env: Mapping[str, str]) -> ListenAddress:
    """The other settings need not be there: whoever waits may not know them. Raises BadSettings."""
    address = load_listen(env, flags)[0]
    if not (address.path or address.port):
        name = FLAGS[LISTEN] if LISTEN in flags else LISTEN
        raise BadSettings([f"{name}: '{address}' is any free port, so nobody knows where to look; name a port"])
    return address


def _duration(text: str) -> float:
    try:
        return parse_duration(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
