"""`biot-sidecar simulate`: the BioT simulator alone, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from biot_sidecar import frugal_start
from biot_sidecar.cli.flags import add_setting_flags, flags_of, value_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.errors import AddressInUse, BadSettings
from biot_sidecar.platform import handle_signals, run_once
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.names import SIMULATOR_LISTEN
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.simulator import SimulatorSettings, load_simulator, parse_token_life
from biot_sidecar.settings.table import set_elsewhere
from biot_sidecar.settings.values import ListenAddress

if TYPE_CHECKING:
    from biot_sidecar.simulator.faults import Fault
    from biot_sidecar.simulator.options import SimulatorOptions

_EPILOG = """\
The simulator knows the service user in BIOT_SERVICE_USER_ID and BIOT_SERVICE_USER_SECRET_KEY (or ..._KEY_FILE), else a
default one that it prints. It listens on loopback only, unless SIDECAR_ALLOW_REMOTE=1.

Its people (demo.patient@example.org, casey@example.org, olga.office@example.org) log in with simulator-password. What
BioT has and it does not answers 501 NOT_SIMULATED; what BioT would refuse it refuses, unless --lenient.

what it shows of itself:
  GET  /_simulator/               a page for browsers: the events sent to plugins, and sending one again
  GET  /_simulator/requests       the last requests: method, path, header names, whether the token was valid
  GET  /_simulator/interceptions  the interceptors, and which ran for which request; POST one, DELETE all or /{id}
  POST /_simulator/sms            a person's text message comes in: {"from": PHONE OR ID, "message": "1"}
  GET  /_simulator/events         the events sent to plugins, with bodies and replies; POST /{number}/send: again
  PUT  /_simulator/initiator      {"id": ..., "tokenType": "USER"}: who events name; DELETE: the token's owner
  GET  /_simulator/faults         the faults and what is left of them; PUT {"faults": [...]}, DELETE
  GET  /_simulator/stats          logins, requests, uses of each token
  GET  /_simulator/secret-keys    the service user's secret keys; PUT {"expirationTime": ..., "life": seconds, "max": 2}
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
    add_setting_flags(parser, "simulate")
    parser.add_argument("--faults", metavar="FILE", help="faults to rehearse from the start, see below")
    parser.add_argument("--lenient", action="store_true", help="only warn of bodies that BioT would refuse")
    parser.add_argument(
        "--scopes",
        type=value_of(_permissions),
        metavar="PERMISSION,...",
        help="all that the service user may do; other operations answer 403 ACCESS_DENIED. Without it: everything",
    )
    parser.add_argument(
        "--token-life",
        type=value_of(parse_token_life),
        default="30m",
        metavar="DURATION",
        help="such as 90s or 1m30s; default 30m",
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until a signal. Raises BadSettings and AddressInUse."""
    settings = load_simulator(env, flags_of(args), time.monotonic)  # noqa: TID251 - as in wait
    say(*settings.warnings)
    options, shown = _options(settings, args)
    try:
        run_once(_serve(options, settings.listen, shown))
    except AddressInUse as error:
        reason = str(error)
    else:
        return 0
    raise AddressInUse(f"{reason}; {set_elsewhere(SIMULATOR_LISTEN)}")


async def _serve(options: SimulatorOptions, address: ListenAddress, shown: str) -> None:
    from biot_sidecar.simulator.tokens import Signer

    signer = Signer()  # its key pair is made while the rest is imported
    from biot_sidecar.simulator.server import running_simulator

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = asyncio.Event()
    handle_signals(asyncio.get_running_loop(), on_stop=stop.set, on_hangup=stop.set)
    async with running_simulator(options, address.host, address.port, signer=signer) as base_url:
        frugal_start.end()
        print(f"BioT simulator on {base_url} (service user {options.service_user_id}, secret {shown})", flush=True)
        await stop.wait()


def _options(settings: SimulatorSettings, args: argparse.Namespace) -> tuple[SimulatorOptions, str]:
    """The options, and what may be shown of the secret; raises BadSettings."""
    # aiohttp, cryptography and jwt cost 150 ms and are of no use to the other commands.
    from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID, SimulatorOptions

    known = _faults(args.faults) if args.faults is not None else ()
    identity, secret = settings.user or (DEFAULT_SERVICE_USER_ID, Secret(DEFAULT_SECRET))
    options = SimulatorOptions(identity, secret, args.token_life, known, lenient=args.lenient)
    if args.scopes is not None:
        options = dataclasses.replace(options, scopes=args.scopes, only_scopes=True)
    return options, "from the environment" if settings.user else DEFAULT_SECRET


def _permissions(text: str) -> tuple[str, ...]:
    from biot_sidecar.simulator import permissions  # reads the catalogue

    return permissions.parse(text)


def _faults(path: str) -> tuple[Fault, ...]:
    from biot_sidecar.simulator import faults

    reason = ""
    try:
        data = read_file(path, faults.LARGEST + 1)
        if len(data) <= faults.LARGEST:
            return faults.read(data.decode())
        reason = f"the file is larger than {faults.LARGEST // 1024} KiB"
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or 'no such file'}"
    except UnicodeDecodeError:
        reason = "this is not UTF-8 text"
    except faults.BadFaults as error:
        reason = str(error)
    except ValueError:
        reason = "the file cannot be read: its name holds a NUL character"
    raise BadSettings([f"{path}: error: {reason}"])
