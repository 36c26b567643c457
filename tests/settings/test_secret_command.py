"""SIDECAR_SECRET_COMMAND: how its words are read, what is refused, and what one run of it gives."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_command import odd_about_command, parse_command
from biot_sidecar.settings.secret_command_run import CommandRun, SecretCommandFailed, without_secrets
from biot_sidecar.settings.table import SECRETS

from tests.settings.given import problem, problems, settings

ENV = {"PATH": "/usr/bin:/bin"}


def run(*words: str, seconds: float = 30.0, env: dict[str, str] = ENV) -> str:
    return CommandRun(words, env, time.monotonic).secret(seconds).reveal()


def sh(script: str, seconds: float = 30.0) -> str:
    return run("/bin/sh", "-c", script, seconds=seconds)


def failure(script: str, seconds: float = 30.0) -> str:
    with pytest.raises(SecretCommandFailed) as caught:
        sh(script, seconds)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pass show biot", ("pass", "show", "biot")),
        ("""op read 'op://a b/c' "d\\"e" f\\ g # h""", ("op", "read", "op://a b/c", 'd"e', "f g", "#", "h")),
        ("echo $HOME '' *", ("echo", "$HOME", "", "*")),
        ('["a b", "$c", "", "\\u00fc"]', ("a b", "$c", "", "ü")),
        ("a\\\\b", ("a\\b",)),
    ],
)
def test_words_are_split_as_a_shell_splits_them_or_are_a_json_array(text, words):
    assert parse_command(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "''",
        "[]",
        '[""]',
        '["a", 1]',
        "[1",
        '{"a": 1}'[:0],
        'a "b',
        "a \\",
        '["a\\u0000"]',
        '["a\\ud800"]',
        "[" * 9999,
    ],
)
def test_what_is_no_command_is_refused_without_being_quoted(text):
    with pytest.raises(ValueError, match=r"program|JSON array|quotes") as caught:
        parse_command(text)
    assert caught.value.__context__ is None


def test_it_is_one_of_three_settings():
    command = {"SIDECAR_SECRET_COMMAND": "echo canary"}
    assert settings(BIOT_SERVICE_USER_SECRET_KEY=None, PATH="/bin", **command).secret_command == ("echo", "canary")
    assert problem(PATH="/bin", **command) == (
        "BIOT_SERVICE_USER_SECRET_KEY: and SIDECAR_SECRET_COMMAND are both set; one of them is enough"
    )
    assert problem(BIOT_SERVICE_USER_SECRET_KEY_FILE=__file__, **command).endswith("are all set; one of them is enough")


@pytest.mark.parametrize("text", ["canary-secret-9d41c0", "/no/such/program x", __file__, '["a b"]'])
def test_a_program_that_is_not_there_is_refused_at_start_without_its_name(text):
    said = problems(BIOT_SERVICE_USER_SECRET_KEY=None, SIDECAR_SECRET_COMMAND=text, PATH="/usr/bin:/bin")
    assert said[0].startswith("SIDECAR_SECRET_COMMAND: the program that it names first is not there, or may not be run")
    assert text not in said[0]


def test_words_that_only_a_shell_understands_are_warned_about():
    said = settings(BIOT_SERVICE_USER_SECRET_KEY=None, SIDECAR_SECRET_COMMAND="echo a | tail -1", PATH="/bin").warnings
    assert "SIDECAR_SECRET_COMMAND: | is passed on as a word" in said[0]
    assert not odd_about_command(["sh", "-c", "a | b"])


@pytest.mark.parametrize(
    ("script", "secret"),
    [
        ("echo one", "one"),
        ("printf 'one\\r\\n'", "one"),
        ("printf 'one\\n\\n'", "one\n"),
        ("printf ' one '", " one "),
        ("echo one; echo canary >&2", "one"),
        ("head -c 4096 /dev/zero | tr '\\0' x", "x" * 4096),
        ("head -c 4096 /dev/zero | tr '\\0' x; echo", "x" * 4096),
        ("cat; echo none", "none"),
    ],
)
def test_its_output_is_the_secret(script, secret):
    assert sh(script) == secret


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo canary; exit 3", "its command ended with status 3"),
        ("echo canary; kill -9 $$", "its command ended with signal 9"),
        ("true", "its command printed nothing"),
        ("echo", "its command printed nothing"),
        ("echo canary >&2", "its command printed nothing"),
        ("printf 'canary\\377'", "its command printed more than 4 KiB, or what is not UTF-8 text"),
        ("head -c 4097 /dev/zero", "its command printed more than 4 KiB"),
        ("yes canary", "its command printed more than 4 KiB"),
    ],
)
def test_every_failure_is_told_without_the_output(script, reason, capfd):
    assert failure(script) == reason
    assert "canary" not in "".join(capfd.readouterr())


def test_a_program_that_cannot_be_started_is_told_without_its_words(tmp_path: Path):
    file = tmp_path / "canary"
    file.write_text("no program")
    file.chmod(0o755)
    with pytest.raises(SecretCommandFailed, match=r"^its command cannot be started \(Exec format error\)$"):
        run(str(file))


LIMITS = (0.3, 3.0, 30.0)
"""Seconds: the next one where a busy machine has not let the command come to the point within the one before."""


def test_the_whole_group_is_killed_at_the_time_out(tmp_path: Path):
    pids = tmp_path / "pids"
    for limit in LIMITS:
        said = failure(f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait", limit)
        assert said == f"its command took more than {limit:g} s"
        if pids.exists() and len(found := pids.read_text().split()) == 2:
            break
    child, leader = map(int, found)
    with pytest.raises(ProcessLookupError):
        os.kill(leader, 0)
    while is_running(child):  # SIGKILL has been sent; a busy kernel may take its time to deliver it
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """False for a process that has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_one_that_closes_its_output_and_goes_on_is_killed_too():
    assert failure("echo one; exec >&-; exec sleep 60", 0.3) == "its command took more than 0.3 s"


def test_one_that_leaves_something_behind_that_holds_its_output_is_told_so(tmp_path: Path):
    pid = tmp_path / "pid"
    for limit in LIMITS:
        said = failure(f"sleep 60 & echo $! > {pid}; echo one", limit)
        if said != f"its command took more than {limit:g} s":
            break
    assert said == f"its command took more than {limit:g} s (it has ended, but what it started holds its output open)"
    while is_running(int(pid.read_text())):
        time.sleep(0.01)


def test_it_has_a_process_group_of_its_own():
    group = run(sys.executable, "-c", "import os; print(os.getpgrp(), os.getpid())").split()
    assert group[0] == group[1] != str(os.getpgrp())


def test_our_secrets_are_not_in_its_environment():
    env = without_secrets({"PATH": "/usr/bin:/bin", "HOME": "/h", **dict.fromkeys(SECRETS, "canary")})
    assert run("/usr/bin/env", env=env).splitlines() == ["PATH=/usr/bin:/bin", "HOME=/h"]
    assert {"BIOT_SERVICE_USER_SECRET_KEY", "SIDECAR_SECRET_COMMAND", "SIDECAR_TOKEN_STORE"} <= SECRETS


def test_one_that_was_cancelled_is_not_started(tmp_path: Path):
    one = CommandRun(["/bin/sh", "-c", f"echo > {tmp_path / 'ran'}"], ENV, time.monotonic)
    one.kill()
    with pytest.raises(SecretCommandFailed):
        one.secret()
    assert not (tmp_path / "ran").exists()


def test_the_secret_does_not_show():
    assert "one" not in repr(CommandRun(["/bin/echo", "one"], ENV, time.monotonic).secret())
    assert CommandRun(["/bin/echo", "one"], ENV, time.monotonic).secret() == Secret("one")


@pytest.mark.parametrize(
    ("command", "told"),
    [(r"C:\\tools\\op.exe read", True), (r'["C:\\tools\\op.exe", "read"]', False), ("C:/tools/op.exe read", False)],
)
def test_a_path_with_backslashes_is_told_what_became_of_them(command, told):
    said = problems(BIOT_SERVICE_USER_SECRET_KEY=None, SIDECAR_SECRET_COMMAND=command, PATH="/usr/bin")
    assert ("a backslash quotes what follows it" in said[0]) == told
    assert "op.exe" not in said[0]
