"""`biot-sidecar trigger EVENT`: an event as BioT would send it, POSTed to a plugin without any change in BioT."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

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

The simulator lends an entity (the newest one, or that of --id) and signs the event's JWT, so that its public
key proves it. Prints the plugin's status and body; the exit status is 0 for 2xx, else 1.
"""
_PATIENCE: Final = 60.0
"""Seconds for the plugin's reply."""
_SOON: Final = 5.0
"""Seconds for the simulator's."""
_AGENT: Final = "ReactorNetty/1.2.10"
"""How BioT's own calls introduce themselves."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The event and where it goes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s EVENT [FLAG...]"
    parser.add_argument("event", nargs="+", metavar="EVENT", help="which event, see below")
    parser.add_argument("--to", default=_PLUGIN, metavar="URL", help=f"the plugin; default {_PLUGIN}")
    parser.add_argument("--id", default="", help="the entity's id")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the entity, or of the request's body, such as age=42 or _name.firstName=Ann; repeatable",
    )
    parser.add_argument("--simulator", default=_SIMULATOR, metavar="URL", help=f"default {_SIMULATOR}")
    parser.add_argument("--print", action="store_true", help="the request that would be sent, and send nothing")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 if the plugin answers with 2xx. Raises WrongCommandLine."""
    from biot_sidecar.simulator.event_spec import parse_event

    try:
        parse_event(args.event)
    except ValueError as error:
        raise WrongCommandLine(str(error)) from None
    asked = {"event": " ".join(args.event), "id": args.id, "set": dict(map(_assignment, args.set))}
    for flag, url in (("--to", args.to), ("--simulator", args.simulator)):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise WrongCommandLine(f"{flag}: {url!r} is no URL, such as {_PLUGIN}")
    made = _made(args.simulator.rstrip("/"), asked)
    if made is None:
        return 1
    body = json.dumps(made["body"]).encode()
    headers = {"user-agent": _AGENT, "accept": "*/*", "content-type": "application/json", **made["headers"]}
    if args.print:
        print(_head(args.to, headers, body), body.decode(), sep="\n")
        return 0
    return _send(args.to, headers, body, made["name"])


def _assignment(text: str) -> tuple[str, Any]:
    """`age=42`, `_name.firstName=Ann`: JSON where the value is some, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name or not all(name.split(".")):
        raise WrongCommandLine(f"--set: {text!r} is no NAME=VALUE, such as age=42")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


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


def _head(url: str, headers: Mapping[str, str], body: bytes) -> str:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"host": parts.netloc, **headers, "content-length": str(len(body))}
    return "\n".join([f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), ""])


def _send(url: str, headers: Mapping[str, str], body: bytes, name: str) -> int:
    request = Request(url, body, dict(headers), method="POST")  # noqa: S310 - run() has looked at its scheme
    began = time.monotonic()  # noqa: TID251 - as in wait
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_PATIENCE) as answer:
            status, reply = answer.status, answer.read()
    except HTTPError as error:
        with error:
            status, reply = error.code, error.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        say(f"no plugin answers at {url}: {getattr(reason, 'strerror', None) or reason}")
        return 1
    milliseconds = (time.monotonic() - began) * 1000  # noqa: TID251
    print(f"{name} -> {url}: {status} in {milliseconds:.0f} ms")
    if text := reply.decode(errors="replace"):
        print(text)
    return 0 if 200 <= status <= 299 else 1
