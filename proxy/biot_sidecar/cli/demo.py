"""`biot-sidecar demo`: a BioT simulator and a sidecar in front of it, with three calls to try, and perhaps a plugin."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from biot_sidecar.cli.child_process import CHILD_ENDED, STOPPING, Child, Signals, finish, reap, start_own
from biot_sidecar.cli.flags import add_setting_flags, command_of, flags_of, value_of
from biot_sidecar.cli.ready_line import base_url, listen_addresses
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.errors import WrongCommandLine
from biot_sidecar.settings.names import BASE_URL, SECRET, SIMULATOR_LISTEN, USER_ID
from biot_sidecar.settings.simulator import check_simulator_listen, names_service_user
from biot_sidecar.settings.table import FLAGS

if TYPE_CHECKING:
    from biot_sidecar.cli.demo_plugin import DemoPlugin

_EPILOG: Final = """\
With CMD the simulator, the sidecar and the plugin run together, with one line for each event and each call. CMD listens
at PLUGIN_URL (default http://127.0.0.1:9000; its port is in PORT) and finds the sidecar in BIOT_BASE_URL:

  biot-sidecar demo --subscribe patient._update -- node plugin.mjs
  biot-sidecar demo --lambda --subscribe "adapt patient" -- npx aws-lambda-ric index.handler
"""
_SIMULATOR: Final = re.compile(r"BioT simulator on (\S+) ")
_PATIENT: Final = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sidecar's flags, less the upstream: that is the simulator."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [FLAG...] [-- CMD [ARG...]]"
    add_setting_flags(parser, "demo")
    parser.add_argument("--lambda", action="store_true", dest="is_lambda", help="CMD is run as `lambda` runs it")
    parser.add_argument(
        "--subscribe",
        type=value_of(_event),
        action="append",
        default=[],
        metavar="EVENT",
        help="an event for the plugin, as `trigger` names them, or patient.*; repeatable; default every notification",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the plugin and its arguments")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Run all until a signal; 0, or the exit status of the one that did not start, or 1 if one ended by itself.

    Raises BadSettings and WrongCommandLine.
    """
    plugin = _plugin(args, env)
    flags = flags_of(args)
    where = {name: flags.pop(name) for name in (SIMULATOR_LISTEN,) if name in flags}
    check_simulator_listen(env, where)
    if env.get(BASE_URL, "").strip():
        say(f"the demo brings its own BioT along; {BASE_URL} is not called")
    if plugin is not None:
        from biot_sidecar.cli.demo_plugin import DemoRun

        return asyncio.run(DemoRun(plugin, flags).run({**env, **where}, sidecar_environment(env, "")))
    with Signals(STOPPING) as signals:
        simulator = start_own(["simulate"], {**env, **where}, signals)
        introduction = simulator.first_line(signals)
        found = _SIMULATOR.match(introduction)
        if found is None:
            return _unstarted(simulator, signals)
        print(introduction, flush=True)
        try:
            return _run_sidecar(flags, sidecar_environment(env, found[1]), simulator, signals)
        finally:
            finish(simulator, signals)


def _plugin(args: argparse.Namespace, env: Mapping[str, str]) -> DemoPlugin | None:
    """The plugin, if there is one. Raises WrongCommandLine and BadSettings."""
    command = command_of(args)
    if args.is_lambda and not command:
        raise WrongCommandLine("--lambda needs a command; write: biot-sidecar demo --lambda -- CMD ARG...")
    if not command and not args.subscribe:
        return None
    from biot_sidecar.cli.demo_plugin import DemoPlugin, plugin_url
    from biot_sidecar.cli.scheduled_event import SCHEDULE

    if SCHEDULE in args.subscribe and not args.is_lambda:
        raise WrongCommandLine(f"--subscribe {SCHEDULE} needs --lambda: BioT has no clock for plugins elsewhere")
    return DemoPlugin(
        command=tuple(command), is_lambda=args.is_lambda, subscribe=tuple(args.subscribe), url=plugin_url(env)
    )


def _event(text: str) -> str:
    """As `trigger` names it, or several by `*`. Raises ValueError."""
    from biot_sidecar.cli.scheduled_event import SCHEDULE  # for those who have a plugin
    from biot_sidecar.simulator.event_spec import parse_event

    if text != SCHEDULE:
        parse_event([text], wildcards=True)
    return text


def _run_sidecar(flags: Mapping[str, str], env: Mapping[str, str], simulator: Child, signals: Signals) -> int:
    """From the sidecar's start to its end. It ends before the simulator, so that calls under way find an answer."""
    words = [f"{FLAGS[name]}={value}" for name, value in flags.items()]
    sidecar = start_own(["serve", *words], env, signals)
    ready = sidecar.first_line(signals)
    if not listen_addresses(ready):
        return _unstarted(sidecar, signals, simulator)
    print(ready, try_these(listen_addresses(ready)[0], env[BASE_URL]), sep="\n", flush=True)
    broken = _watch(signals, simulator, sidecar)
    if broken:
        say("the simulator or the sidecar ended by itself, so the demo is over")
    finish(sidecar, signals, simulator)
    return 1 if broken else 0


def _unstarted(child: Child, signals: Signals, *others: Child) -> int:
    """The exit status when a child said why it cannot start, or when we were told to end meanwhile."""
    told = signals.ending
    status = finish(child, signals, *others)
    return 0 if told else status


def _watch(signals: Signals, *children: Child) -> bool:
    """Wait until we are told to end, False, or until a child has ended by itself, True."""
    while all(child.status is None for child in children):
        number, _ = signals.next()
        if number != CHILD_ENDED:
            return False
        reap(*children)
    return True


def sidecar_environment(env: Mapping[str, str], simulator: str) -> dict[str, str]:
    """The sidecar's: it calls the simulator, as the service user that the simulator knows, and logs for people."""
    given = {"SIDECAR_LOG_FORMAT": "text", **env, BASE_URL: simulator}
    if not names_service_user(env):
        from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID  # imports PyYAML

        given |= {USER_ID: DEFAULT_SERVICE_USER_ID, SECRET: DEFAULT_SECRET}
    return given


def try_these(address: str, simulator: str) -> str:
    """Three calls to paste into another terminal, for a sidecar that listens at `address`."""
    url = base_url(address)
    curl = "curl -s" if url else f"curl -s --unix-socket {shlex.quote(address.removeprefix('unix:'))}"
    patient = (url or "http://127.0.0.1") + _PATIENT
    return f"""
Try, in another terminal:

  # a patient; nobody sent a token
  {curl} {patient}

  # a change that a rule lets interceptors see: the answer says "sampleInterceptor": "was here"
  {curl} -X PATCH {patient} -H 'content-type: application/json' -d '{{"age": 43}}'

  # what the simulator's interceptors were asked
  curl -s {simulator}/_simulator/interceptions

Ctrl-C ends both.
"""
