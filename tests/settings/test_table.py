"""The table of settings: every row reaches Settings, --help and the commands that it names."""

from __future__ import annotations

import pytest
from biot_sidecar.__main__ import COMMANDS, INTERNAL
from biot_sidecar.extras import MODULES
from biot_sidecar.settings import Settings
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.table import BY_NAME, SETTINGS, flags_for

from tests.cli.support import ran


def test_no_name_and_no_flag_of_a_command_is_given_twice() -> None:
    assert len(BY_NAME) == len(SETTINGS)
    for command in COMMANDS:
        flags = list(flags_for(command).values())
        assert len(set(flags)) == len(flags), command


def test_every_field_of_the_settings_has_its_row() -> None:
    """But for those that are put together from several, and what AWS Lambda sets."""
    fields = [row.field for row in SETTINGS if row.field]
    assert sorted([*fields, "lambda_api", "routes", "warnings"]) == sorted(Settings.__struct_fields__)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_default_is_a_good_value_and_an_unset_one_is_told(name: str) -> None:
    reader = Reader({}, {})
    reader.value(name)
    required = BY_NAME[name].required
    assert reader.problems == ([f"{name}: {required}"] if required else [])
    assert BY_NAME[name].default or BY_NAME[name].unset_means


def test_rows_name_commands_and_extras_that_there_are() -> None:
    assert {command for row in SETTINGS for command in row.flags} <= {*COMMANDS, *INTERNAL}
    assert {row.extra for row in SETTINGS if row.extra} <= set(MODULES)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_lists_the_flags_of_its_rows_and_what_they_mean(capsys, monkeypatch, command) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = " ".join(" ".join(ran(capsys, command, "--help").out).split())
    for row in SETTINGS:
        if command in row.flags:
            default = row.default or row.unset_means.replace("`", "")
            means = "(required)" if row.required else f"(default {default})"
            assert f"{row.flags[command]} VALUE {row.help.replace('`', '')} {means}; {row.name}" in said


def test_no_row_shows_a_tick_or_a_bar_that_would_break_the_table() -> None:
    assert [row.name for row in SETTINGS if "|" in row.help or "\n" in row.help or row.help.count("`") % 2] == []
