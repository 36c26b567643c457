"""A value that cannot be read is a wrong command line, exit status 2, of whatever flag that a command has of its own;
a setting's is wrong configuration, exit status 1, by flag as by environment.
"""

from __future__ import annotations

import argparse
import subprocess

import pytest
from biot_sidecar.cli.parsing import whole_parser
from biot_sidecar.settings.table import BY_NAME

from tests.cli.processes import COMMAND, DUMB
from tests.cli.support import ran
from tests.deploy.programs import PLAIN, ROOT

NOBODY = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9"}
NONSENSE = "no/such?"
"""No address, number, duration, level, permission, event, key's id and NAME=VALUE."""
ANY_TEXT = {"--routes", "--faults", "--event", "--id", "--allow-uid"}
"""These take any text; what is wrong with a file is configuration, and so are the users that --allow-uid names."""
WITH_A_SIDECAR = {"demo", "exec", "lambda"}
"""They hand its flags on to the sidecar that they start, whose word about them is theirs."""


def flags_with_values() -> list[tuple[str, argparse.Action]]:
    (commands,) = (one for one in whole_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return [
        (name, action)
        for name, parser in commands.choices.items()
        for action in parser._actions
        if action.option_strings and action.nargs is None
    ]


def is_read_here(command: str, action: argparse.Action) -> bool:
    flag = action.option_strings[0]
    setting = BY_NAME.get(action.dest)
    is_handed_on = command in WITH_A_SIDECAR and setting is not None and setting.flags.get("serve") == flag
    return flag not in ANY_TEXT and not is_handed_on


FLAGS = [(command, action) for command, action in flags_with_values() if is_read_here(command, action)]
NAMED = [f"{command} {action.option_strings[0]}" for command, action in FLAGS]


def words_of(command: str, flag: str) -> list[str]:
    event = ["patient._update"] if command == "trigger" else []
    return [command, *event, flag, NONSENSE, *(["--", "true"] if command in WITH_A_SIDECAR else [])]


def test_there_are_flags_to_try():
    assert {
        "serve --listen",
        "demo --simulator-listen",
        "lambda --timeout",
        "simulate --scopes",
        "trigger --to",
    } <= set(NAMED)
    assert {flag for _, action in flags_with_values() for flag in action.option_strings} > ANY_TEXT


@pytest.mark.parametrize(("command", "action"), FLAGS, ids=NAMED)
def test_a_value_that_cannot_be_read_is_status_2_and_a_settings_1(capsys, command, action):
    flag = action.option_strings[0]
    done = ran(capsys, *words_of(command, flag), **NOBODY)
    if command == "check":  # it was asked what is wrong, and says so
        assert (done.status, done.out[0].partition(":")[0]) == (1, flag)
    else:
        assert (done.status, done.out) == (1 if action.dest in BY_NAME else 2, [])
        assert done.err[0].startswith(f"biot-sidecar: {flag}: ")


@pytest.mark.e2e
@pytest.mark.parametrize("command", sorted(WITH_A_SIDECAR))
def test_what_a_sidecar_cannot_read_is_status_1_of_the_command_that_starts_it(command):
    words = [*COMMAND, *words_of(command, "--admin-listen")]
    env = PLAIN | NOBODY | {"SIDECAR_SIMULATOR_LISTEN": "127.0.0.1:0", "SIDECAR_LISTEN": "127.0.0.1:0"}
    done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "biot-sidecar: --admin-listen: " in done.stderr


@pytest.mark.parametrize(
    ("words", "env", "told"),
    [
        ([], {"SIDECAR_WORKERS": "0"}, "SIDECAR_WORKERS: "),
        ([], {"BIOT_BASE_URL": ""}, "BIOT_BASE_URL: "),
        (["--routes=none.yaml"], {}, "none.yaml:1:1: "),
    ],
)
def test_where_something_else_is_wrong_as_well_both_are_told(capsys, words, env, told):
    done = ran(capsys, "serve", "--listen=nonsense", *words, **NOBODY | env)
    assert (done.status, len(done.err)) == (1, 2)
    assert all(any(part in line for line in done.err) for part in ("--listen: ", told))


@pytest.mark.parametrize(
    ("words", "env", "told"),
    [
        (["--listen", "0.0.0.0:0"], {}, "--listen: "),
        (["--listen", ""], {"SIDECAR_LISTEN": "nonsense"}, "SIDECAR_LISTEN: "),
        ([], {"SIDECAR_LISTEN": "nonsense"}, "SIDECAR_LISTEN: "),
    ],
)
def test_what_can_be_read_and_is_refused_is_configuration_and_so_is_the_environment(capsys, words, env, told):
    done = ran(capsys, "serve", *words, **NOBODY | env)
    assert done.status == 1
    assert done.err[0].startswith(f"biot-sidecar: {told}")


def test_of_several_flags_that_cannot_be_read_each_is_told(capsys):
    done = ran(capsys, "trigger", "patient._update", "--to", "x", "--set", "age")
    assert (done.status, [line.split(": ")[1] for line in done.err]) == (2, ["--to", "--set"])
