"""argv -> command; the one place that hands out the process's environment."""

from __future__ import annotations

import gc
import signal
import sys

if __name__ == "__main__" or sys.argv[0].endswith(("/biot-sidecar", "\\biot-sidecar.exe")):
    # While the rest is imported Ctrl-C just ends the program (Python's own handler would show where that was).
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # for a start that collects no garbage: frugal_start

import importlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from biot_sidecar import __version__, frugal_start
from biot_sidecar.cli import standard_streams
from biot_sidecar.cli.commands import ABOUT, COMMANDS, INTERNAL, module_of, overview
from biot_sidecar.errors import AddressInUse, BadSettings, WrongCommandLine

_SERVING: Final = frozenset({"serve", "demo", "lambda", "simulate", "worker"})
"""These serve until a signal says stop; the others end by themselves."""
_FRUGAL: Final = frozenset({"serve", "worker", "simulate", "lambda"})
_INTERRUPTED: Final = 128 + signal.SIGINT
_PLACED: Final = r".+:[0-9]+:[0-9]+: (?:error|warning): "


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a command; its exit status: 0 clean, 1 wrong configuration, 2 wrong command line, 3 address not to be had."""
    if argv is None:
        standard_streams.prepare()
    _take_any_text()
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        _end_quietly(0 if _SERVING.issuperset(words[:1]) or words[0].startswith("-") else _INTERRUPTED)
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
        return _say(_no_such_command(name), 2)
    return _run(name, words, env)


def _no_such_command(name: str) -> str:
    from biot_sidecar.suggest import suggest

    known = [*COMMANDS, *ABOUT]
    meant = suggest(name, known)
    return f"there is no command {name!r}; " + (f"did you mean {meant}?" if meant else f"there are {', '.join(known)}")


def _end_quietly(interrupted: int) -> None:
    """Let a signal that says stop end the program at once, an interrupt with this status. Commands that have something
    to drain or to tidy up replace this; an exception out of it could hit the middle of any import.
    """
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    if not interrupted:  # a clean stop, for a container's first process too
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))


def _run(name: str, words: list[str], env: Mapping[str, str]) -> int:
    command = COMMANDS.get(name) or INTERNAL[name]
    if name in _FRUGAL:
        frugal_start.begin()
        if name in {"simulate", "lambda"}:
            frugal_start.defer_package("aiohttp")  # its client, that is
    else:
        gc.enable()
    module = importlib.import_module(module_of(name))
    try:
        args = _parse(name, module, command.help, words)
        if args is None:
            return 0
        if command.extra:
            _require(name, command.extra)
        return int(module.run(args, env))
    except BadSettings as error:
        return _say("\n".join([*error.problems, *error.warnings]), 1)
    except WrongCommandLine as error:
        return _say(str(error), 2)
    except AddressInUse as error:
        return _say(str(error), 3)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        frugal_start.end()


def _require(name: str, extra: str) -> None:
    """Raises BadSettings where an extra is not installed."""
    from biot_sidecar.extras import lack_of

    if lack := lack_of(extra):
        raise BadSettings([f"{name} {lack}"])


def _parse(name: str, module: ModuleType, summary: str, words: list[str]) -> Any:
    """The command's arguments, or None when it has said all there is to say. Raises WrongCommandLine."""
    if name == "serve" and not words:
        return SimpleNamespace()  # as containers start it: nothing to parse, which saves 8 ms and half a megabyte
    from biot_sidecar.cli.parsing import parse

    return parse(name, module, summary, words)


def _take_any_text() -> None:
    """Names and paths hold any character; what the terminal cannot show is escaped instead of being an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(text: str, status: int) -> int:
    for line in text.splitlines():
        # Editors and CI find FILE:LINE:COL where it begins a line.
        print(line if re.match(_PLACED, line) else f"biot-sidecar: {line}", file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
