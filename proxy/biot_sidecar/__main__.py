"""argv -> command; the one place that hands out the process's environment."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__" or sys.argv[0].endswith(("/biot-sidecar", "\\biot-sidecar.exe")):
    # While the rest is imported Ctrl-C just ends the program (Python's own handler would show where that was).
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import importlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from biot_sidecar import __version__
from biot_sidecar.cli import standard_streams
from biot_sidecar.errors import AddressInUse, BadSettings

if TYPE_CHECKING:
    import argparse


class Command(NamedTuple):
    """`help` is what --help says of it; `extra` what has to be installed beside the sidecar."""

    help: str
    extra: str = ""


# A command's module has the command's name, and is imported only when it is the chosen one: starting is a feature here.
COMMANDS: Final = {
    "serve": Command("the sidecar (the default)"),
    "demo": Command("a BioT simulator and the sidecar together", extra="simulator"),
    "simulate": Command("the BioT simulator alone", extra="simulator"),
    "check": Command("validate settings and routes, run the routes file's own tests"),
    "init": Command("write a routes file of your own, config/routes.yaml, and its schema"),
    "explain": Command("which rule answers a request, and what it does"),
    "learn": Command("turn access logs into the smallest routes file for what was seen"),
    "login": Command("log in once and say what happened"),
    "wait": Command("wait until the sidecar is ready"),
    "exec": Command("run a command with a sidecar beside it"),
}
ABOUT: Final = {"help": "this list; help COMMAND: that command's flags", "version": "which version this is"}
INTERNAL: Final = {"worker": Command("one of several serving processes; started by serve")}
_ENDING: Final = {
    "check",
    "init",
    "explain",
    "learn",
    "login",
    "wait",
    "exec",
}  # the others serve until a signal says stop
_INTERRUPTED: Final = 128 + signal.SIGINT
_PLACED: Final = re.compile(r".+:[0-9]+:[0-9]+: (?:error|warning): ")


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a command; its exit status: 0 clean, 1 wrong configuration, 2 wrong command line, 3 address not to be had."""
    if argv is None:
        standard_streams.prepare()
    _take_any_text()
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        _end_quietly(_INTERRUPTED if _ENDING.intersection(words[:1]) else 0)
    try:
        status = _carry_out(words, _take_environment() if env is None else env)
        sys.stdout.flush()
    except standard_streams.OutputLost as error:
        standard_streams.discard_stdout()
        status = _say(f"the output cannot be written: {error}", 1)
    return status


def _take_environment() -> dict[str, str]:
    """The process's environment, for our own commands and those that we start; the process itself forgets where TLS
    keys are to be logged: whatever library makes a TLS context would open that file.
    """
    env = dict(os.environ)
    os.environ.pop("SSLKEYLOGFILE", None)
    return env


def _carry_out(words: list[str], env: Mapping[str, str]) -> int:
    if words[:1] in (["version"], ["--version"], ["-V"]):
        print(f"biot-sidecar {__version__}")  # noqa: T201
        return 0
    if words in (["help"], ["help", "help"], ["help", "version"]) or words[:1] in (["--help"], ["-h"]):
        print(overview())  # noqa: T201
        return 0
    if words[:1] == ["help"]:
        words = [words[1], "--help"]
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    if name not in COMMANDS and name not in INTERNAL:
        return _say(f"there is no command {name!r}; there are {', '.join([*COMMANDS, *ABOUT])}", 2)
    return _run(name, words, env)


def _end_quietly(interrupted: int) -> None:
    """Let a signal that says stop end the program at once, an interrupt with this status. Commands that have something
    to drain or to tidy up replace this; an exception out of it could hit the middle of any import.
    """
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    if not interrupted:  # a clean stop, for a container's first process too
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))


def _run(name: str, words: list[str], env: Mapping[str, str]) -> int:
    command = COMMANDS.get(name) or INTERNAL[name]
    module = importlib.import_module(f"biot_sidecar.cli.{name}")
    try:
        args = _parse(name, module, command.help, words)
        if command.extra:
            _require(name, command.extra)
        return int(module.run(args, env))
    except BadSettings as error:
        return _say("\n".join([*error.problems, *error.warnings]), 1)
    except AddressInUse as error:
        return _say(str(error), 3)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except SystemExit as ended:  # argparse has said what there is to say
        return int(ended.code or 0)


def _require(name: str, extra: str) -> None:
    """Raises BadSettings where an extra is not installed."""
    from biot_sidecar.extras import lack_of

    if lack := lack_of(extra):
        raise BadSettings([f"{name} {lack}"])


def _parse(name: str, module: ModuleType, summary: str, words: list[str]) -> Any:
    if name == "serve" and not words:
        return SimpleNamespace()  # as containers start it: nothing to parse, which saves 8 ms and half a megabyte
    import argparse

    parser = argparse.ArgumentParser(
        prog=f"biot-sidecar {name}",
        description=f"{name}: {summary}.",
        allow_abbrev=False,
        formatter_class=_help_formatter,
    )
    module.add_arguments(parser)
    return parser.parse_args(words)


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """As wide as the terminal. To find that out argparse itself imports shutil, and with it three compressors."""
    import argparse

    try:
        columns = os.get_terminal_size().columns or 80  # 0: a terminal that was never told, as many CI systems have
    except OSError:  # no terminal
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)


def _take_any_text() -> None:
    """Names and paths hold any character; what the terminal cannot show is escaped instead of being an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(text: str, status: int) -> int:
    for line in text.splitlines():
        # Editors and CI find FILE:LINE:COL where it begins a line.
        print(line if _PLACED.match(line) else f"biot-sidecar: {line}", file=sys.stderr)  # noqa: T201
    return status


def overview() -> str:
    """What `biot-sidecar --help` shows."""
    summaries = {name: command.help for name, command in COMMANDS.items()} | ABOUT
    lines = [f"  {name:10}{summary}" for name, summary in summaries.items()]
    return "\n".join(
        [
            "usage: biot-sidecar [COMMAND] [--help]",
            "",
            "Takes a plugin's requests on localhost, logs in at BioT and forwards them.",
            "",
            *lines,
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
