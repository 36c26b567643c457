"""`biot-sidecar simulate`: the BioT simulator alone, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.errors import AddressInUse, BadSettings
from proxy.message import Secret

if TYPE_CHECKING:
    from proxy.simulator.options import SimulatorOptions

_ID, _SECRET, _SECRET_FILE = "BIOT_SERVICE_USER_ID", "BIOT_SERVICE_USER_SECRET_KEY", "BIOT_SERVICE_USER_SECRET_KEY_FILE"

_EPILOG = """\
The simulator knows the service user in BIOT_SERVICE_USER_ID and BIOT_SERVICE_USER_SECRET_KEY (or ..._KEY_FILE), else a
default one that it prints. It listens on loopback only, unless SIDECAR_ALLOW_REMOTE=1.

what it shows of itself:
  GET  /_simulator/requests       the last requests: method, path, header names, whether the token was valid
  GET  /_simulator/interceptions  the interceptors, and which ran for which request; POST one, DELETE all or /{id}
  GET  /_simulator/faults         the faults and what is left of them; PUT {"faults": [...]}, DELETE
  GET  /_simulator/stats          logins, requests, uses of each token
  DELETE /_simulator/tokens       makes every token given so far invalid
  *    /_simulator/echo           sends the body back

faults FILE (YAML):
  faults:
    - {match: GET /organization/v1/users/patients/**, fault: status, status: 503, retry_after: 2, after: 1, count: 3}
    - {fault: service_locked, count: 1}
    - {match: "* /device/**", fault: slow, delay: 1.5s}
  faults: token_not_valid, login_failed, service_locked, slow, reset, half_answer, bad_json, status
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "--listen", default="127.0.0.1:8788", metavar="HOST:PORT", help="default 127.0.0.1:8788; port 0: any"
    )
    parser.add_argument("--faults", metavar="FILE", help="faults to rehearse from the start, see below")
    parser.add_argument("--token-life", default="30m", metavar="DURATION", help="such as 90s or 30m, the default")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until a signal; the exit status is 0, or 1 for wrong configuration, 3 for an address that cannot be had."""
    try:
        host, port = _address(args.listen, env)
        options, shown = _options(args, env)
        asyncio.run(_serve(options, host, port, shown))
    except BadSettings as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 1
    except AddressInUse as error:
        print(f"the address cannot be had: {error}", file=sys.stderr)
        return 3
    return 0


async def _serve(options: SimulatorOptions, host: str, port: int, shown: str) -> None:
    from proxy.simulator.server import running_simulator

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_simulator(options, host, port) as base_url:
        print(f"BioT simulator on {base_url} (service user {options.service_user_id}, secret {shown})", flush=True)
        await stop.wait()


def _options(args: argparse.Namespace, env: Mapping[str, str]) -> tuple[SimulatorOptions, str]:
    """The options, and what may be shown of the secret; raises BadSettings."""
    try:
        # aiohttp, cryptography and jwt cost 150 ms and are of no use to the other commands.
        from proxy.simulator import faults
        from proxy.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID, SimulatorOptions
        from proxy.simulator.server import running_simulator  # noqa: F401
    except ModuleNotFoundError as error:
        missing = f"the simulator needs the package {error.name}, which is not installed here"
        raise BadSettings([missing]) from None
    user = _service_user(env)
    try:
        known = faults.read(_text(args.faults)) if args.faults else ()
    except faults.BadFaults as error:
        raise BadSettings([f"{args.faults}: error: {error}"]) from None
    identity, secret = user or (DEFAULT_SERVICE_USER_ID, DEFAULT_SECRET)
    options = SimulatorOptions(identity, Secret(secret), _life(args.token_life), known)
    return options, "from the environment" if user else DEFAULT_SECRET


def _service_user(env: Mapping[str, str]) -> tuple[str, str] | None:
    """Id and secret of the environment, or None if it has neither."""
    from proxy.settings.files import without_line_ending

    identity, secret, file = env.get(_ID, ""), without_line_ending(env.get(_SECRET, "")), env.get(_SECRET_FILE, "")
    if not identity and not secret and not file:
        return None
    if secret and file:
        raise BadSettings([f"{_SECRET} and {_SECRET_FILE} are both set: set one of them"])
    if file:
        secret = without_line_ending(_text(file))
    if not identity:
        raise BadSettings([f"{_ID} is not set, but its secret is: set both or neither"])
    if not secret:
        raise BadSettings([f"{_ID} is set, but neither {_SECRET} nor {_SECRET_FILE}: set both or neither"])
    return identity, secret


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings([f"{path}: error: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadSettings([f"{path}: error: this is not UTF-8 text"]) from None


def _life(text: str) -> float:
    from proxy.simulator.values import seconds

    try:
        life = seconds(text)
    except ValueError as error:
        raise BadSettings([f"--token-life: {error}"]) from None
    if life < 1:
        raise BadSettings(["--token-life: a token lives for 1s at least"])
    return life


def _address(text: str, env: Mapping[str, str]) -> tuple[str, int]:
    """HOST:PORT or [::1]:PORT; raises BadSettings, also for an address beyond loopback that was not allowed."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadSettings([f"--listen: {text!r} is not HOST:PORT, such as 127.0.0.1:8788 or [::1]:8788"])
    if not _is_loopback(host) and env.get("SIDECAR_ALLOW_REMOTE") != "1":
        raise BadSettings([f"--listen: {host} is not a loopback address; set SIDECAR_ALLOW_REMOTE=1 if that is meant"])
    return host, int(port)


def _is_loopback(host: str) -> bool:
    from proxy.simulator.interceptors import is_loopback

    return is_loopback(f"http://[{host}]/" if ":" in host else f"http://{host}/")
