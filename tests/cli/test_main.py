"""The command line itself: help, versions, and what is no command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from biot_sidecar import __version__
from biot_sidecar.__main__ import COMMANDS

from tests.cli.processes import COMMAND, DUMB
from tests.cli.support import ran
from tests.deploy.programs import PLAIN, ROOT

NOBODY = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}


@pytest.mark.parametrize("words", ["--help", "-h", "help", "help help"])
def test_help_names_every_command(capsys, words):
    done = ran(capsys, *words.split())
    assert (done.status, done.err) == (0, [])
    commands = done.out[: done.out.index("environment:")]
    assert [line.split()[0] for line in commands if line.startswith("  ")] == [*COMMANDS, "help", "version"]


def test_help_names_the_environment_the_exit_statuses_and_an_example(capsys):
    out = ran(capsys, "--help").out
    for name in ("BIOT_BASE_URL", "BIOT_SERVICE_USER_ID", "BIOT_SERVICE_USER_SECRET_KEY", "NO_COLOR"):
        assert any(line.split()[:1] == [name] for line in out)
    statuses = out[out.index("exit status:") + 1 : out.index("example:") - 1]
    assert [line.split()[0] for line in statuses] == ["0", "1", "2", "3", "130"]
    assert max(map(len, out)) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_what_the_command_itself_says(capsys, command):
    assert ran(capsys, "help", command) == ran(capsys, command, "--help")


def test_help_of_what_is_no_command_is_status_2(capsys):
    done = ran(capsys, "help", "srve")
    assert (done.status, done.out, done.err[0].partition(";")[0]) == (2, [], "biot-sidecar: there is no command 'srve'")


def test_the_commands_are_those_that_were_promised():
    assert sorted(COMMANDS) == [
        "check",
        "completion",
        "demo",
        "exec",
        "explain",
        "init",
        "lambda",
        "learn",
        "login",
        "rotate-secret",
        "serve",
        "simulate",
        "status",
        "top",
        "trigger",
        "wait",
    ]


@pytest.mark.parametrize("word", ["version", "--version", "-V"])
def test_the_version_is_one_line(capsys, word):
    assert ran(capsys, word) == (0, [f"biot-sidecar {__version__}"], [])


def test_an_unknown_command_is_status_2_and_the_one_that_was_meant_is_named(capsys):
    assert ran(capsys, "srve") == (2, [], ["biot-sidecar: there is no command 'srve'; did you mean serve?"])


def test_a_command_like_no_other_is_status_2_and_the_known_ones_are_named(capsys):
    done = ran(capsys, "xyzzy")
    assert (done.status, done.out) == (2, [])
    assert done.err == [f"biot-sidecar: there is no command 'xyzzy'; there are {', '.join(COMMANDS)}, help, version"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nonsense"], "there is no flag --nonsense (biot-sidecar serve --help)"),
        (["serve", "--nonsense"], "there is no flag --nonsense (biot-sidecar serve --help)"),
        (["serve", "word"], "there is nothing that 'word' could be (biot-sidecar serve --help)"),
        (["--lis", "127.0.0.1:1"], "there is no flag --lis; did you mean --listen? (biot-sidecar serve --help)"),
        (["--lissten=canary"], "there is no flag --lissten; did you mean --listen? (biot-sidecar serve --help)"),
        (["serve", "--listen"], "argument --listen: expected one argument (biot-sidecar serve --help)"),
    ],
)
def test_what_cannot_be_read_is_one_line_in_the_form_of_all_errors(capsys, words, told):
    assert ran(capsys, *words) == (2, [], [f"biot-sidecar: {told}"])


def test_no_command_is_serve(capsys):
    assert ran(capsys).err == ran(capsys, "serve").err
    assert ran(capsys, "--listen", "x").status == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    done = ran(capsys, command, "--help")
    assert (done.status, done.err) == (0, [])
    assert done.out[0].startswith(f"usage: biot-sidecar {command} ")
    assert any(line.startswith(f"{command}: ") for line in done.out)


def test_a_terminal_that_does_not_know_its_width_gets_whole_lines(capsys, monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda: os.terminal_size((0, 0)))
    assert "wait: wait until the sidecar is ready." in ran(capsys, "wait", "--help").out


@pytest.mark.parametrize("command", [COMMAND, [f"{sys.exec_prefix}/bin/biot-sidecar"], [sys.executable, "-m", "proxy"]])
def test_every_name_of_the_program_is_the_same_one(command):
    done = subprocess.run([*command, "--version"], env=PLAIN, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"biot-sidecar {__version__}\n")


@pytest.mark.e2e
@pytest.mark.parametrize("words", ["--help", "--version", "check", "explain GET /a", "explain --help"])
def test_output_that_cannot_be_written_is_one_line_and_status_1(words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *words.split()], env=PLAIN, cwd=ROOT, stdout=full, stderr=-1, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == b"biot-sidecar: the output cannot be written: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(("words", "status"), [("check", 0), ("nonsense", 2), ("serve --nonsense", 2), ("login", 1)])
def test_what_cannot_be_told_changes_no_exit_status(words, status):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *words.split()], env=PLAIN, cwd=ROOT, stdout=-1, stderr=full, timeout=60)
    assert done.returncode == status


@pytest.mark.e2e
@pytest.mark.parametrize("words", ["version", "check", "serve", "simulate", "demo"])
def test_output_that_cannot_be_written_nor_told_of_is_status_1(words):
    env = PLAIN | NOBODY | {"SIDECAR_SIMULATOR_LISTEN": "127.0.0.1:0"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, words], env=env, cwd=ROOT, stdout=full, stderr=full, timeout=60)
    assert done.returncode == 1


@pytest.mark.e2e
@pytest.mark.parametrize("words", ["--help", "check", "explain GET /a"])
def test_output_that_nobody_reads_is_no_traceback_and_a_closed_one_no_error(words):
    piped = f'{{ "$@" {words}; echo $? >&2; }} | true'
    for script in (piped, f'"$@" {words} >&-'):
        done = subprocess.run(["sh", "-c", script, "sh", *COMMAND], env=PLAIN, cwd=ROOT, stderr=-1, timeout=60)
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr
        assert done.returncode == 0


@pytest.mark.e2e
@pytest.mark.parametrize(
    "workers", ["1", pytest.param("2", marks=pytest.mark.not_on("windows", why="several workers"))]
)
def test_a_sidecar_that_cannot_say_it_is_ready_ends(workers):
    env = NOBODY | {"SIDECAR_WORKERS": workers}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(COMMAND, env=PLAIN | env, cwd=ROOT, stdout=full, stderr=-1, timeout=60)
    assert done.returncode == 1
    assert b"the output cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [("serve", signal.SIGTERM, 0), ("serve", signal.SIGINT, 0), ("simulate", signal.SIGINT, 0)]
    + [
        (command, signal.SIGINT, 130)
        for command in ("check", "explain", "init", "login", "status", "top", "wait", "exec")
    ],
)
def test_a_signal_while_it_starts_is_a_quiet_end(command, number, status):
    """The signal comes when the program knows its command, and has not imported it yet."""
    program = (
        f"import os, sys; from biot_sidecar import __main__ as program; sys.argv = ['biot-sidecar', '{command}'];"
        f"program._run = lambda *words: os.kill(os.getpid(), {number:d}); sys.exit(program.main() or 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


def test_ctrl_c_while_the_program_itself_is_imported_shows_nothing():
    program = (
        "import os, sys; sys.argv = ['/usr/bin/biot-sidecar']; import biot_sidecar.__main__;"
        "os.kill(os.getpid(), 2); print('went on')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
