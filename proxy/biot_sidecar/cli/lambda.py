# ruff: noqa: N999 - the command's name; import_module reads it
"""`biot-sidecar lambda -- CMD ARG...`: a Lambda plugin on this machine, with a sidecar beside it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from biot_sidecar import frugal_start
from biot_sidecar.cli.event_feed import EventFeed
from biot_sidecar.cli.exec import cannot_run, command_environment, refuse_unix_only
from biot_sidecar.cli.flags import add_setting_flags, flags_of, required_command_of, value_of
from biot_sidecar.cli.plugin_process import PluginProcess, start_own_process, start_process
from biot_sidecar.cli.ready_line import first_base_url
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.cli.stop_request import first, stop_request
from biot_sidecar.errors import AddressInUse
from biot_sidecar.settings.lambda_function import (
    DEFAULT_LISTEN,
    LambdaSettings,
    load_lambda,
    parse_concurrency,
    parse_listen,
    parse_timeout,
)
from biot_sidecar.settings.names import LISTEN, SECRET, WORKERS
from biot_sidecar.settings.table import FLAGS

if TYPE_CHECKING:
    from biot_sidecar.simulator.aws_lambda.front import ServedEvent
    from biot_sidecar.simulator.aws_lambda.server import FunctionSetup

_EPILOG: Final = """\
Each HTTP request at --listen becomes an event of a Lambda function URL (version 2.0) for CMD, which asks for it at the
Lambda Runtime API, as AWS's own runtime clients do:

  biot-sidecar lambda -- python -m awslambdaric app.handler
  biot-sidecar lambda -- npx aws-lambda-ric index.handler

CMD gets Lambda's variables, BIOT_BASE_URL with the address of a sidecar (at SIDECAR_LISTEN, else at any port), and no
secret. A second event at a time gets a second CMD, as at AWS. What CMD does wrong its caller sees as from Lambda: 502
with an error body, 504 after --timeout; then CMD is started anew. CMD that ends before it asked for an event ends this
command with its exit status.
"""
_TIMEOUT: Final = "3s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The function's flags, those of its sidecar's settings, then the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [FLAG...] -- CMD [ARG...]"
    parser.add_argument(
        "--listen",
        type=value_of(parse_listen),
        default=DEFAULT_LISTEN,
        metavar="ADDRESS",
        help=f"the function's URL; default {DEFAULT_LISTEN}",
    )
    parser.add_argument(
        "--timeout",
        type=value_of(parse_timeout),
        default=_TIMEOUT,
        metavar="DURATION",
        help=f"for each event; default {_TIMEOUT}, as Lambda's",
    )
    parser.add_argument("--freeze", action="store_true", help="stop CMD and sidecar between events, as Lambda does")
    parser.add_argument(
        "--concurrency",
        type=value_of(parse_concurrency),
        default="10",
        metavar="N",
        help="how many CMDs run at a time; more events wait; default 10",
    )
    parser.add_argument("--quiet", action="store_true", help="no line for each event that a request makes")
    add_setting_flags(parser, "exec", but=(LISTEN,))
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 after a signal, CMD's exit status if it never asked for an event.

    Raises BadSettings, WrongCommandLine and AddressInUse.
    """
    command = required_command_of(args, "lambda")
    settings = load_lambda(env, command, args.listen, args.timeout, args.concurrency, freeze=args.freeze)
    flags = flags_of(args)
    own = {**env, LISTEN: env.get(LISTEN, "").strip() or "127.0.0.1:0"}
    if settings.freeze:
        own[WORKERS] = "1"  # Lambda freezes one process; several would each have to be found
    refuse_unix_only(flags, own)
    words = [f"{FLAGS[name]}={value}" for name, value in flags.items()]
    try:
        return asyncio.run(_Run(settings, own, tells=not args.quiet).run(words))
    except AddressInUse as error:
        reason = str(error)
    raise AddressInUse(f"{reason}; set --listen to another address")


class _Run:
    """One run of the command; `env` is the sidecar's environment. It `tells` each event in a line, or does not."""

    def __init__(self, settings: LambdaSettings, env: Mapping[str, str], *, tells: bool) -> None:
        self._settings = settings
        self._tells = tells
        self._feed = EventFeed()
        self._env = env

    async def run(self, words: Sequence[str]) -> int:
        """From the sidecar's start to its end; the exit status."""
        stop = stop_request()
        own = {name: value for name, value in self._env.items() if name != "NOTIFY_SOCKET"}
        given = {**own, **self._feed.variables}
        sidecar = await start_own_process(
            ["serve", *words], given, may_freeze=self._settings.freeze, descriptors=self._feed.descriptors
        )
        self._feed.handed_over()
        try:
            starting = asyncio.ensure_future(sidecar.first_line())
            await first(starting, stop)
            if stop.done():
                return 0
            ready = starting.result()
            url = first_base_url(ready)
            return await self._function(sidecar, url, ready, stop) if url else await sidecar.wait() or 1
        finally:
            sidecar.thaw()
            sidecar.terminate()
            await sidecar.wait()

    async def _function(self, sidecar: PluginProcess, url: str, ready: str, stop: asyncio.Future[int]) -> int:
        from biot_sidecar.simulator.aws_lambda.server import running_function

        async with running_function(self._setup(sidecar, url), self._settings.listen) as (function, address):
            try:
                environment = await function.start()
            except OSError as error:
                return cannot_run(self._settings.command[0], error)
            over = (stop, function.over, asyncio.ensure_future(sidecar.wait()))
            await first(environment.ready, *over)
            if not any(one.done() for one in over):
                frugal_start.end()
                print(ready, f"Lambda function on {address}, calls BioT at {url}", sep="\n", flush=True)
                await first(*over)
            return _status(function.over, stop)

    def _setup(self, sidecar: PluginProcess, url: str) -> FunctionSetup:
        from biot_sidecar.simulator.aws_lambda.function import FunctionOptions
        from biot_sidecar.simulator.aws_lambda.names import (
            SECRET_PLACEHOLDER,
            function_name,
            lambda_variables,
            region_of,
        )
        from biot_sidecar.simulator.aws_lambda.server import FunctionSetup

        settings, folder = self._settings, os.getcwd()
        variables = command_environment(self._env, url) | lambda_variables(self._env, settings.command, folder)
        variables |= {SECRET: SECRET_PLACEHOLDER}

        async def spawn(runtime_api: str) -> PluginProcess:
            given = variables | {"AWS_LAMBDA_RUNTIME_API": runtime_api}
            return await start_process(settings.command, given, may_freeze=settings.freeze)

        return FunctionSetup(
            spawn=spawn,
            neighbour=sidecar,
            clock=time.time,  # noqa: TID251 - a command hands the real clock out
            say=say,
            told=self._tell,
            region=region_of(self._env),
            name=function_name(self._env, folder),
            options=FunctionOptions(settings.timeout, settings.most, settings.freeze),
            allowed_origins=settings.allowed_origins,
        )

    def _tell(self, event: ServedEvent) -> None:
        if self._tells or event.invoked:  # of what comes by no HTTP request nobody else tells
            print(event.line(), file=sys.stderr, flush=True)
        self._feed.tell(event)


def _status(over: asyncio.Future[int], stop: asyncio.Future[int]) -> int:
    if over.done():
        say(f"the plugin ended (status {over.result()}) before it asked for an event")
        return over.result()
    if not stop.done():
        say("the sidecar ended by itself, so the plugin is ended too")
    return 0 if stop.done() else 1
