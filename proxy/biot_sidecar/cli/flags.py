"""The flags that settings have, for every command that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from biot_sidecar.settings.names import SETTINGS

if TYPE_CHECKING:
    import argparse


def add_setting_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the flags of these settings; without names, of all that have one."""
    for setting in SETTINGS:
        if setting.flag and (not names or setting.name in names):
            default = f" (default {setting.default})" if setting.default else ""
            parser.add_argument(
                setting.flag, dest=setting.name, metavar="VALUE", help=f"{setting.help}{default}; {setting.name}"
            )


def flags_of(args: argparse.Namespace) -> dict[str, str]:
    """The flags that were given, by setting name."""
    given = vars(args)
    return {setting.name: given[setting.name] for setting in SETTINGS if given.get(setting.name) is not None}
