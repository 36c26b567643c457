"""Reads a command's words; whatever is wrong with them is one line in the form of all our errors."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from biot_sidecar.cli.commands import COMMANDS, DESCRIPTION, module_of
from biot_sidecar.errors import WrongCommandLine
from biot_sidecar.suggest import suggest


class Parser(argparse.ArgumentParser):
    """Tells of what is wrong as the rest of the program does, instead of printing the usage and ending."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; raises WrongCommandLine with every value that cannot be read, or for flags that are none, with
        the one that was probably meant.
        """
        self._unreadable: list[str] = []
        parsed, unknown = super().parse_known_args(args, namespace)
        if self._unreadable:
            self.error("\n".join(self._unreadable))
        if unknown:
            self.error(self._no_such(unknown[0]))
        return parsed, unknown

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """argparse's own way to each value; it would end at the first that cannot be read."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            self._unreadable.append(f"{error.argument_name}: {error.message}")
            return None

    def _no_such(self, word: str) -> str:
        if not word.startswith("-"):
            return f"there is nothing that {word!r} could be"
        flag = word.partition("=")[0]  # its value may be a secret
        meant = suggest(flag, self._option_string_actions)
        return f"there is no flag {flag}" + (f"; did you mean {meant}?" if meant else "")

    def error(self, message: str) -> NoReturn:
        raise WrongCommandLine(f"{message} ({self.prog} --help)")


def parse(name: str, module: ModuleType, summary: str, words: Sequence[str]) -> argparse.Namespace | None:
    """The command's arguments, or None where it has said all there is to say. `module` adds its flags."""
    parser = Parser(
        prog=f"biot-sidecar {name}",
        description=f"{name}: {summary}.",
        allow_abbrev=False,
        formatter_class=_help_formatter,
    )
    module.add_arguments(parser)
    try:
        return parser.parse_args(words)
    except SystemExit:  # --help
        return None


def whole_parser() -> argparse.ArgumentParser:
    """Every command in one parser: what completions and the manual page are made from."""
    parser = argparse.ArgumentParser(prog="biot-sidecar", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("-V", "--version", action="version", version="", help="which version this is")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help, description=f"{name}: {command.help}.", allow_abbrev=False)
        importlib.import_module(module_of(name)).add_arguments(one)
    commands.add_parser("version", help="which version this is")
    named = commands.add_parser("help", help="the list of commands, or one command's flags")
    named.add_argument("about", metavar="COMMAND", nargs="?", choices=list(COMMANDS), help="the command")
    return parser


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """As wide as the terminal. To find that out argparse itself imports shutil, and with it three compressors."""
    try:
        columns = os.get_terminal_size().columns or 80  # 0: a terminal that was never told, as many CI systems have
    except OSError:  # no terminal
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)
