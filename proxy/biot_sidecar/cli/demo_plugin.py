"""`biot-sidecar demo -- CMD`: simulator, sidecar and a plugin together, and the simulator's events for the plugin."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from biot_sidecar.cli.demo_example_call import ExampleCall, call_for
from biot_sidecar.cli.event_feed import EventFeed
from biot_sidecar.cli.exec import cannot_run, command_environment
from biot_sidecar.cli.plugin_process import PluginProcess, start_own_process, start_process
from biot_sidecar.cli.ready_line import first_base_url
from biot_sidecar.cli.scheduled_event import SCHEDULE
from biot_sidecar.cli.simulator_events import follow
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.cli.stop_request import first, stop_request
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings.addresses import is_loopback
from biot_sidecar.settings.names import BASE_URL, LISTEN, SECRET
from biot_sidecar.settings.table import FLAGS
from biot_sidecar.simulator.aws_lambda.names import SECRET_PLACEHOLDER
from biot_sidecar.simulator.event_spec import NOTIFICATION, parse_event

PLUGIN_URL: Final = "PLUGIN_URL"
_DEFAULT_PLUGIN: Final = "http://127.0.0.1:9000"
_SIMULATOR: Final = re.compile(r"BioT simulator on (\S+) ")
_LAMBDA: Final = "Lambda function on "
_PLUGIN_STARTS: Final = 60.0
"""Seconds in which a plugin should listen; it may have to be compiled first."""
_LOOK: Final = 0.1
"""Seconds between two looks whether it does."""
_LAST_WORDS: Final = 1.0
"""Seconds for the output of what has ended."""
_SOON: Final = 5.0
"""Seconds for the simulator's answer."""


class DemoPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """`command` may be empty: whoever listens at `url` is told. `subscribe` are events; empty: every notification."""

    command: tuple[str, ...]
    is_lambda: bool
    subscribe: tuple[str, ...]
    url: str


def plugin_url(env: Mapping[str, str]) -> str:
    """Where the plugin listens. Raises BadSettings."""
    url = env.get(PLUGIN_URL, "").strip() or _DEFAULT_PLUGIN
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.port and is_loopback(parts.hostname or ""):
            return url
    except ValueError:
        pass
    raise BadSettings([f"{PLUGIN_URL}: {url!r} is no http URL of this machine with a port, such as {_DEFAULT_PLUGIN}"])


class DemoRun:
    """One run; `flags` are those of the sidecar's settings."""

    def __init__(self, plugin: DemoPlugin, flags: Mapping[str, str]) -> None:
        self._plugin = plugin
        self._flags = flags
        self._running: list[PluginProcess] = []
        self._forwarders: list[asyncio.Task[None]] = []

    async def run(self, simulator_env: Mapping[str, str], sidecar_env: Mapping[str, str]) -> int:
        """0 after a signal; else the exit status of what did not start, the plugin's, or 1. BASE_URL is filled in."""
        stop = stop_request()
        try:
            found = await self._own(["simulate"], simulator_env, "BioT simulator on", stop)
            match = _SIMULATOR.match(found)
            if match is None:
                return await self._why_not(stop)
            quiet = {"SIDECAR_LOG_LEVEL": "warning"}  # the simulator tells each call
            env = {**quiet, **sidecar_env, BASE_URL: match[1]}
            return await (self._lambda if self._plugin.is_lambda else self._beside)(env, match[1], stop)
        finally:
            for process in reversed(self._running):
                process.terminate()
                await process.wait()
                process.kill()  # what a plugin leaves behind
            if self._forwarders:
                await asyncio.wait(self._forwarders, timeout=_LAST_WORDS)

    async def _beside(self, env: Mapping[str, str], simulator: str, stop: asyncio.Future[int]) -> int:
        """A plugin that listens by itself, beside the sidecar."""
        words = [f"{FLAGS[name]}={value}" for name, value in self._flags.items()]
        feed = EventFeed()
        given_feed = {**env, **feed.variables}
        ready = await self._own(["serve", *words], given_feed, "biot-sidecar ready on", stop, feed.descriptors)
        feed.handed_over()
        self._forwarders.append(asyncio.ensure_future(follow(simulator, feed)))
        url = first_base_url(ready)
        if url is None:
            return await self._why_not(stop)
        if self._plugin.command:
            where = {PLUGIN_URL: self._plugin.url, "PORT": str(urlsplit(self._plugin.url).port)}
            given = command_environment(env, url) | where | {SECRET: SECRET_PLACEHOLDER}
            try:
                plugin = await start_process(self._plugin.command, given)
            except OSError as error:
                return cannot_run(self._plugin.command[0], error)
            self._running[-1].take_along(plugin)
            self._running.append(plugin)
        return await self._serve(url, simulator, stop)

    async def _lambda(self, env: Mapping[str, str], simulator: str, stop: asyncio.Future[int]) -> int:
        """A Lambda plugin, with the sidecar that `lambda` starts."""
        flags = dict(self._flags)
        listen = flags.pop(LISTEN, env.get(LISTEN, "").strip() or "127.0.0.1:8787")
        where = urlsplit(self._plugin.url).netloc
        words = ["lambda", "--quiet", f"--listen={where}", *(f"{FLAGS[name]}={value}" for name, value in flags.items())]
        ready = await self._own([*words, "--", *self._plugin.command], {**env, LISTEN: listen}, _LAMBDA, stop)
        if not ready.startswith(_LAMBDA):
            return await self._why_not(stop)
        return await self._serve(ready.rpartition(" ")[2], simulator, stop)

    async def _serve(self, sidecar: str, simulator: str, stop: asyncio.Future[int]) -> int:
        """Until a signal, or until something ends by itself."""
        ends = [asyncio.ensure_future(process.wait()) for process in self._running]
        listening = asyncio.ensure_future(self._listening())
        await first(listening, stop, *ends)
        listening.cancel()
        if not stop.done() and not any(end.done() for end in ends):
            for event in self._plugin.subscribe or ("*",):
                if event != SCHEDULE:  # `trigger` is its clock
                    _subscribe(simulator, event, self._plugin.url)
            print(self._try_these(sidecar, simulator), flush=True)
            await first(stop, *ends)
        return self._status(stop, ends)

    def _status(self, stop: asyncio.Future[int], ends: Sequence[asyncio.Future[int]]) -> int:
        if stop.done():
            return 0
        if self._plugin.command and ends[-1].done():
            say(f"the plugin ended (status {ends[-1].result()}), so the demo is over")
            return ends[-1].result()
        say("the simulator or the sidecar ended by itself, so the demo is over")
        return 1

    async def _own(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        until: str,
        stop: asyncio.Future[int],
        descriptors: Sequence[int] = (),
    ) -> str:
        """Start a command of this program and print its lines up to one that begins so, which is returned; the others
        are printed as they come. Empty if it ended before.
        """
        process = await start_own_process(words, env, descriptors=descriptors)
        self._running.append(process)
        while not stop.done():
            line = asyncio.ensure_future(process.line())
            await first(line, stop)
            if not line.done() or not line.result():
                line.cancel()
                return ""
            print(line.result().rstrip("\n"), flush=True)
            if line.result().startswith(until):
                self._forwarders.append(asyncio.ensure_future(_forward(process)))
                return line.result().rstrip("\n")
        return ""

    async def _why_not(self, stop: asyncio.Future[int]) -> int:
        """The exit status of what said why it cannot start; 0 when we were told to end meanwhile."""
        return 0 if stop.done() else await self._running[-1].wait() or 1

    async def _listening(self) -> None:
        """Wait until something listens at the plugin's URL, or until it should have long ago."""
        parts = urlsplit(self._plugin.url)
        for _ in range(round(_PLUGIN_STARTS / _LOOK) if self._plugin.command else 0):
            try:
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            except OSError:
                await asyncio.sleep(_LOOK)
            else:
                writer.close()
                return

    def _try_these(self, sidecar: str, simulator: str) -> str:
        """Calls to paste into another terminal."""
        plugin, subscribe = self._plugin, self._plugin.subscribe
        event = next((one for one in subscribe if one != SCHEDULE), "" if subscribe else "*")
        named = event if event and "*" not in event else "patient._update"
        to, told = f" --to {plugin.url}", ", ".join(subscribe) or "every notification"
        proposals = [_change(event, sidecar)] if event else []
        if event:
            trigger = f"biot-sidecar trigger {shlex.quote(named)}{to} --simulator {simulator}"
            proposals.append(f"# an event without a change\n  {trigger}")
        if SCHEDULE in subscribe:
            proposals.append(f"# the event of its schedule\n  biot-sidecar trigger {SCHEDULE}{to}")
        proposals.append(f"# every event with its body and the plugin's calls, in a browser\n  {simulator}/_simulator/")
        shown = "".join(f"  {one}\n\n" for one in proposals if one)
        return f"""
The plugin at {plugin.url} is told of {told}. Try, in another terminal:

{shown}Ctrl-C ends all.
"""


def _change(event: str, sidecar: str) -> str:
    """A call of which the plugin hears, or what keeps it from hearing of any; empty if there is no simple one."""
    spec = parse_event([event], wildcards=True)
    call = call_for(spec)
    if call is None:
        return ""
    if spec.type != NOTIFICATION and not _is_intercepted(call, sidecar):
        return (
            f"# interceptors do not run for {call.method} {call.path}:\n"
            "  # a route with `interception: on` in config/routes.yaml changes that (biot-sidecar init writes one)"
        )
    body = f" -H 'content-type: application/json' -d {shlex.quote(call.body)}" if call.body else ""
    what = "a call" if call.method == "GET" else "a change"
    return f"# {what}; the sidecar adds the token\n  curl -s -X {call.method} {sidecar}{call.path}{body}"


def _is_intercepted(call: ExampleCall, sidecar: str) -> bool:
    """Whether a rule of the sidecar's lets interceptors run for the call."""
    asked = urlencode({"method": call.method, "path": call.path})
    try:
        with build_opener(ProxyHandler({})).open(f"{sidecar}/_sidecar/explain?{asked}", timeout=_SOON) as answer:
            return bool(json.load(answer)["interception"] == "on")
    except (OSError, ValueError, KeyError):
        return True


async def _forward(process: PluginProcess) -> None:
    while output := await process.output():
        sys.stdout.write(output)
        sys.stdout.flush()


def _subscribe(simulator: str, event: str, url: str) -> None:
    body: dict[str, Any] = {"event": event, "url": url}
    request = Request(  # noqa: S310 - our own simulator
        f"{simulator}/_simulator/interceptions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
        method="POST",
    )
    try:
        build_opener(ProxyHandler({})).open(request, timeout=_SOON).close()
    except OSError as error:
        say(f"the simulator does not send {event}: {error}")
