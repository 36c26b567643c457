"""What several commands read alike: the flags that settings have, values of flags, and the command behind `--`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from biot_sidecar.errors import WrongCommandLine
from biot_sidecar.settings.table import SETTINGS

if TYPE_CHECKING:
    import argparse

Value = TypeVar("Value")


def add_setting_flags(parser: argparse.ArgumentParser, command: str, *, but: Collection[str] = ()) -> None:
    """Add the flags that the command has for settings, but for some."""
    for setting in SETTINGS:
        if command in setting.flags and setting.name not in but:
            text = f"{setting.help} (default {setting.default or setting.unset_means}); {setting.name}"
            shown = text.replace("`", "").replace("(default required)", "(required)").replace("%", "%%")
            parser.add_argument(setting.flags[command], dest=setting.name, metavar="VALUE", help=shown)


def flags_of(args: argparse.Namespace) -> dict[str, str]:
    """The flags that were given, by setting name."""
    given = vars(args)
    return {setting.name: given[setting.name] for setting in SETTINGS if given.get(setting.name) is not None}


def value_of(parse: Callable[[str], Value], *, keeps_blanks: bool = False) -> Callable[[str], Value]:
    """The `type` of a flag whose value `parse` reads, without the blanks around it unless it `keeps_blanks`. What its
    ValueError says reaches the user, where argparse would say something of its own.
    """

    def read(text: str) -> Value:
        try:
            return parse(text if keeps_blanks else text.strip())
        except ValueError as error:
            import argparse  # a start without flags does without

            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def command_of(args: argparse.Namespace) -> list[str]:
    """The user's command and its arguments, behind `--` or not."""
    words: list[str] = args.command
    return words[1:] if words[:1] == ["--"] else words


def required_command_of(args: argparse.Namespace, name: str) -> list[str]:
    """The same for a command that cannot do without. Raises WrongCommandLine."""
    command = command_of(args)
    if not command:
        raise WrongCommandLine(f"there is no command to run; write: biot-sidecar {name} -- CMD ARG...")
    return command
