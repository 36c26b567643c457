"""`biot-sidecar trigger EVENT`: an event as BioT would send it, POSTed to a plugin without any change in BioT."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NoReturn
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from biot_sidecar.cli.flags import value_of
from biot_sidecar.cli.scheduled_event import SCHEDULE, Reply, invoke_url, scheduled_event, status_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.errors import WrongCommandLine

_PLUGIN: Final = "http://127.0.0.1:9000"
_SIMULATOR: Final = "http://127.0.0.1:8788"
_EPILOG: Final = """\
events:
  patient._update                                          a notification: ENTITY.ACTION
  pre PATCH /organization/v1/users/patients/{id}           what a PRE_REQUEST interceptor gets
  post GET /organization/v1/users/patients/{id}            POST_REQUEST
  adapt GET /organization/v1/users/patients/{id}           ADAPT_ENTITY
  schedule                                                 what a plugin with a cronSchedule gets (Lambda's Invoke API)

The simulator lends an entity (the newest one, or that of --id) and signs the event's JWT, so that its public
key proves it. Prints the plugin's status and body; the exit status is 0 for 2xx, else 1.
"""
_PATIENCE: Final = 60.0
"""Seconds for the plugin's reply."""
_SOON: Final = 5.0
"""Seconds for the simulator's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The event and where it goes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s EVENT [FLAG...]"
    parser.add_argument("event", nargs="+", metavar="EVENT", help="which event, see below")
    parser.add_argument(
        "--to", type=value_of(_url), default=_PLUGIN, metavar="URL", help=f"the plugin; default {_PLUGIN}"
    )
    parser.add_argument("--id", default="", help="the entity's id")
    parser.add_argument(
        "--set",
        type=value_of(_assignment, keeps_blanks=True),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the entity, or of the request's body, such as age=42 or _name.firstName=Ann; repeatable",
    )
    parser.add_argument(
        "--simulator", type=value_of(_url), default=_SIMULATOR, metavar="URL", help=f"default {_SIMULATOR}"
    )
    parser.add_argument(
        "--event", metavar="FILE", dest="file", help="the event of a schedule: a file with a JSON object"
    )
    parser.add_argument("--print", action="store_true", help="the request that would be sent, and send nothing")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 if the plugin answers with 2xx. Raises WrongCommandLine."""
    from biot_sidecar.simulator.event_spec import parse_event

    if args.event == [SCHEDULE]:
        return _schedule(args)
    if args.file is not None:
        raise WrongCommandLine(f"--event: only the event of a {SCHEDULE} is read from a file")
    try:
        parse_event(args.event)
    except ValueError as error:
        raise WrongCommandLine(str(error)) from None
    asked = {"event": " ".join(args.event), "id": args.id, "set": dict(args.set)}
    made = _made(args.simulator.geturl().rstrip("/"), asked)
    if made is None:
        return 1
    return _deliver(args, args.to, made["body"], made["headers"], made["name"])


def _schedule(args: argparse.Namespace) -> int:
    """No simulator is asked: the event is about no entity and has no token. Raises WrongCommandLine, BadSettings."""
    if args.id:
        raise WrongCommandLine(f"--id: the event of a {SCHEDULE} is about no entity")
    plugin = invoke_url(args.to)
    event = scheduled_event(args.file, dict(args.set))
    return _deliver(args, plugin, event, {}, SCHEDULE)


def _deliver(args: argparse.Namespace, url: SplitResult, event: Any, headers: Mapping[str, str], name: str) -> int:
    """Print the request that brings the event to the plugin, or send it."""
    from biot_sidecar.simulator.event_poster import request_head

    body = json.dumps(event).encode()
    whole = request_head(url, body, headers) + body
    if args.print:
        _print(whole)
        return 0
    return _send(args.to.geturl(), url, whole, name)


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number
        known = False
    if not known or any(not "!" <= letter <= "~" for letter in text):
        raise ValueError(f"{text!r} is no URL, such as {_PLUGIN}")
    return url


def _assignment(text: str) -> tuple[str, Any]:
    """`age=42`, `_name.firstName=Ann`: JSON where the value is some, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name or not all(name.split(".")):
        raise ValueError(f"{text!r} is no NAME=VALUE, such as age=42")
    try:
        return name, json.loads(value, parse_constant=_no_number, parse_float=_finite)
    except ValueError:
        return name, value


def _no_number(constant: str) -> NoReturn:
    """`NaN` is Python's, not JSON's."""
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), -float("inf")):
        raise ValueError(text)
    return number


def _made(simulator: str, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event, from the simulator or, where none answers, made here; None if that was refused, which is said."""
    request = Request(  # noqa: S310 - run() has looked at its scheme
        f"{simulator}/_simulator/events/make",
        json.dumps(asked).encode(),
        {"content-type": "application/json"},
        method="POST",
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_SOON) as answer:
            made: dict[str, Any] = json.load(answer)
        return made
    except HTTPError as error:
        if message := _refusal(error):
            say(message)
            return None
        say(f"what answers at {simulator} is no simulator; the event's JWT is signed by a fresh key")
    except (OSError, ValueError):
        say(f"no simulator answers at {simulator}; the event's JWT is signed by a fresh key")
    return _made_here(asked)


def _refusal(error: HTTPError) -> str:
    """What the simulator has against the event; empty if it is none."""
    with error:
        try:
            told = json.load(error)
        except ValueError:
            return ""
    if (
        error.code == HTTPStatus.NOT_FOUND
        and told.get("code") == "NOT_FOUND"
        and "endpoint" in str(told.get("message"))
    ):
        return ""
    return str(told.get("message", "")) if isinstance(told, dict) and told.get("code") else ""


def _made_here(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    from biot_sidecar.simulator.event_spec import parse_event
    from biot_sidecar.simulator.options import SimulatorOptions
    from biot_sidecar.simulator.simulator import Simulator
    from biot_sidecar.simulator.tokens import Signer
    from biot_sidecar.simulator.values import BiotError

    async def nobody(url: str, event: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        raise OSError

    simulator = Simulator(SimulatorOptions(), time.time, nobody, Signer())  # noqa: TID251 - as in wait
    try:
        return simulator.plugin_events.maker.make(parse_event([asked["event"]]), asked["id"], asked["set"]).shown()
    except BiotError as error:
        say(error.message)
        return None


def _print(whole: bytes) -> None:
    """Byte for byte, so that what is printed can be sent; on a terminal a line ending comes behind it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="\n")  # Windows would write each LF as CRLF
    print(whole.decode(), end="\n" if sys.stdout.isatty() else "")


def _send(url: str, plugin: SplitResult, whole: bytes, name: str) -> int:
    began = time.monotonic()  # noqa: TID251 - as in wait
    try:
        reply = _reply(plugin, whole)
    except HTTPException:
        say(f"no plugin answers at {url}: what came is no whole HTTP response")
        return 1
    except OSError as error:
        say(f"no plugin answers at {url}: {error.strerror or error}")
        return 1
    milliseconds = (time.monotonic() - began) * 1000  # noqa: TID251
    status = status_of(reply) if name == SCHEDULE else reply.status
    print(f"{name} -> {url}: {status} in {milliseconds:.0f} ms")
    if text := reply.body.decode(errors="replace"):
        print(text)
    return 0 if 200 <= status <= 299 else 1


def _reply(plugin: SplitResult, whole: bytes) -> Reply:
    """The plugin's own reply: as BioT, it follows no redirect and uses no proxy."""
    connect = HTTPSConnection if plugin.scheme == "https" else HTTPConnection
    connection = connect(plugin.hostname or "", plugin.port, timeout=_PATIENCE)
    try:
        connection.connect()
        connection.sock.sendall(whole)
        # http.client reads only the reply of a request that it began itself.
        response = connection.response_class(connection.sock, method="POST")
        response.begin()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()
