"""The flags that settings have, for every command that reads them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from biot_sidecar.settings.table import SETTINGS

if TYPE_CHECKING:
    import argparse


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
