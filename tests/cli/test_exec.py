"""`biot-sidecar exec`: a command and a sidecar as two real processes, from their start to their end."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.processes import COMMAND, DUMB, PATIENCE, gone, running
from tests.deploy.programs import PLAIN, ROOT, SECRET, USER, call, seen
from tests.support.ports import ADDRESS_IN_USE, free_port
from tests.support.simulated_biot import simulated_biot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

NOBODY = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True)"
# Says that it is there, then which signals it gets; SIGTERM ends it with a status of its own.
LISTENER = """
import os, select, signal, sys
told, tell_us = os.pipe()
os.set_blocking(tell_us, False)
signal.set_wakeup_fd(tell_us)
names = [n for n in "HUP INT QUIT USR1 USR2 WINCH TERM".split()]
def tell(number, _):
    print("got", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM: sys.exit(42)
for name in names: signal.signal(getattr(signal, "SIG" + name), tell)
print("here", os.getpid(), flush=True)
while True:
    select.select([told], [], [])
    os.read(told, 1)
"""
"""Tells each signal. (In pause() one that came a moment before would wait for the next.)"""
SIGNALS = pytest.mark.not_on("windows", why="signals between processes")


@pytest.fixture(scope="module")
def biot() -> Iterator[str]:
    with simulated_biot() as url:
        yield url


def python(code: str, *words: str) -> list[str]:
    return ["exec", "--", sys.executable, "-u", "-c", code, *words]


def ran(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`exec` to its end."""
    done = subprocess.run(
        [*COMMAND, *words], env=PLAIN | NOBODY | env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    "workers", ["1", pytest.param("2", marks=pytest.mark.not_on("windows", why="several workers"))]
)
def test_a_flags_value_reaches_the_sidecar_whatever_it_begins_with(tmp_path, workers):
    (tmp_path / "-routes.yaml").write_text("version: 1\n")
    words = [*COMMAND, "exec", "--routes=-routes.yaml", "--", "true"]
    env = PLAIN | NOBODY | {"SIDECAR_WORKERS": workers, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, "usage:" in done.stderr) == (0, False)


# ---- what the command gets


def test_the_command_gets_the_sidecar_in_biots_place_and_no_secret(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    more = {"BIOT_SERVICE_USER_SECRET_KEY_FILE": str(file), "MINE": "kept", "NO_PROXY": "a.example"}
    env = {**NOBODY, **more}
    del env["BIOT_SERVICE_USER_SECRET_KEY"]
    with running(tmp_path, *python(TELL, "a b", "--", "-x"), **env) as both:
        words, got = json.loads(both.line())
        assert both.ended() == 0
    assert words == ["a b", "--", "-x"]
    assert got["BIOT_BASE_URL"] == got["SIDECAR_URL"]
    assert got["BIOT_BASE_URL"].startswith("http://127.0.0.1:")
    assert got["NO_PROXY"] == got["no_proxy"] == "a.example,localhost,127.0.0.1"
    assert (got["MINE"], got["BIOT_SERVICE_USER_ID"]) == ("kept", USER)
    assert not {"BIOT_SERVICE_USER_SECRET_KEY", "BIOT_SERVICE_USER_SECRET_KEY_FILE", "SIDECAR_TOKEN_STORE"} & set(got)
    assert str(file) not in json.dumps(got)


@pytest.mark.parametrize(
    "source", [{"BIOT_SERVICE_USER_SECRET_KEY": SECRET}, {"SIDECAR_SECRET_COMMAND": f"echo {SECRET}"}]
)
def test_the_secret_is_nowhere_in_the_commands_environment(source):
    done = ran(*python(TELL), **{"BIOT_SERVICE_USER_SECRET_KEY": "", **source})
    assert done.returncode == 0
    assert SECRET not in done.stdout
    assert "SIDECAR_SECRET_COMMAND" not in done.stdout


def test_the_command_calls_biot_without_credentials(biot):
    code = f"import os, urllib.request as u; print(u.urlopen(os.environ['BIOT_BASE_URL'] + '{PATIENT}').status)"
    done = ran(*python(code), BIOT_BASE_URL=biot)
    assert (done.returncode, done.stdout) == (0, "200\n")
    assert seen(biot)[-1]["token"] == "valid"


def test_the_output_is_the_commands_and_its_input_too(biot):
    done = subprocess.run(
        [*COMMAND, "exec", "cat"],
        env=PLAIN | NOBODY,
        cwd=ROOT,
        input=b"line\n",
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (0, b"line\n")


def test_flags_before_the_command_are_the_sidecars(biot):
    where = f"127.0.0.1:{free_port()}"
    words = python("import os; print(os.environ['BIOT_BASE_URL'])")
    done = ran("exec", "--upstream", biot, "--listen", where, *words[1:], BIOT_BASE_URL="nonsense")
    assert (done.returncode, done.stdout) == (0, f"http://{where}\n")


@pytest.mark.not_on("windows", why="unix sockets")
def test_beside_a_unix_socket_the_command_gets_the_address_that_a_url_can_name(tmp_path):
    listen = f"unix:{tmp_path}/socket,[::1]:0"
    done = ran(*python("import os; print(os.environ['BIOT_BASE_URL'])"), SIDECAR_LISTEN=listen)
    assert done.stdout.startswith("http://[::1]:")
    assert list(tmp_path.iterdir()) == []


# ---- its exit status


@pytest.mark.parametrize("status", [0, 7, 255])
def test_the_exit_status_is_the_commands(status):
    assert ran(*python(f"raise SystemExit({status})")).returncode == status


@SIGNALS
def test_a_command_killed_by_a_signal_is_128_and_its_number():
    assert ran(*python("import os; os.kill(os.getpid(), 9)")).returncode == 128 + 9


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_be_run_126(tmp_path):
    missing = ran("exec", "--", "no-such-command-here")
    assert missing.returncode == 127
    assert "biot-sidecar: no-such-command-here: there is no such command\n" in missing.stderr
    (tmp_path / "text").write_text("no program")
    assert ran("exec", "--", str(tmp_path / "text")).returncode == 126
    assert ran("exec", "--", str(tmp_path)).returncode == 126


@pytest.mark.parametrize("words", [["exec"], ["exec", "--"], ["exec", "--listen", "127.0.0.1:0"]])
def test_no_command_is_a_wrong_command_line(words):
    done = ran(*words)
    assert done.returncode == 2
    assert "there is no command to run" in done.stderr


@pytest.mark.not_on("windows", why="unix sockets")
def test_a_sidecar_that_cannot_start_says_why_and_the_command_never_runs(tmp_path):
    mark = tmp_path / "ran"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        for env, status, words in (
            ({"SIDECAR_WORKERS": "none"}, 1, "SIDECAR_WORKERS: 'none' is no whole number"),
            ({"SIDECAR_LISTEN": where}, 3, f"cannot listen on {where}: {ADDRESS_IN_USE}"),
            ({"SIDECAR_LISTEN": "unix:/a"}, 1, "BIOT_BASE_URL cannot name a unix socket"),
        ):
            done = ran("exec", "--", "touch", str(mark), **env)
            assert done.returncode == status
            assert words in done.stderr
    assert not mark.exists()


# ---- signals


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"])
@SIGNALS
def test_a_signal_reaches_the_command_once_and_the_sidecar_never(tmp_path, name):
    with running(tmp_path, *python(LISTENER), **NOBODY) as both:
        both.until("here")
        sidecar = both.children["serve"]
        both.send(signal.Signals[name])
        assert both.line() == f"got {name}"
        assert both.children["serve"] == sidecar
        both.send(signal.SIGTERM)
        assert both.line() == "got SIGTERM"
        assert both.ended() == 42
        assert gone(sidecar)
        assert "Traceback" not in both.log()


@SIGNALS
def test_a_command_that_knows_no_signals_ends_by_them(tmp_path):
    with running(tmp_path, *python("print('here'); import time; time.sleep(60)"), **NOBODY) as both:
        both.until("here")
        both.send(signal.SIGTERM)
        assert both.ended() == 128 + signal.SIGTERM


@SIGNALS
def test_ctrl_c_at_a_terminal_reaches_the_command_once(tmp_path):
    """The terminal sends it to every process in the foreground; a second one from exec would be one too many."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [*COMMAND, *python(LISTENER)], PLAIN | NOBODY)
    try:
        said = b""
        while b"here" not in said:
            said += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        while b"got SIGINT" not in said:
            said += os.read(terminal, 4096)
        os.kill(pid, signal.SIGTERM)
        while b"got SIGTERM" not in said:
            said += os.read(terminal, 4096)
        assert said.count(b"got SIGINT") == 1
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    finally:
        os.close(terminal)


# ---- whose end comes first


@pytest.mark.not_on("windows", why="os.fork")
def test_the_sidecar_ends_after_the_command_and_after_what_is_under_way(tmp_path, biot):
    """The command leaves a child behind, whose call BioT takes its time over."""
    slow = {"fault": "slow", "delay": "2s", "match": "GET /device/**", "count": 1}
    call("PUT", f"{biot}/_simulator/faults", {"faults": [slow]})
    code = """
import http.client, os
asked, tell = os.pipe()
if os.fork() == 0:
    connection = http.client.HTTPConnection(os.environ["BIOT_BASE_URL"].removeprefix("http://"))
    connection.request("GET", "/device/v2/devices/demo-device-1")
    os.write(tell, b"x")
    print(connection.getresponse().status)
    os._exit(0)
os.read(asked, 1)
"""
    with running(tmp_path, *python(code), **NOBODY | {"BIOT_BASE_URL": biot}) as both:
        assert both.line() == "200"
        assert both.ended() == 0


@SIGNALS
def test_a_command_killed_midway_takes_the_sidecar_along(tmp_path):
    with running(tmp_path, *python(LISTENER), **NOBODY) as both:
        pid = int(both.until("here").split()[1])
        sidecar = both.children["serve"]
        os.kill(pid, signal.SIGKILL)
        assert both.ended() == 128 + signal.SIGKILL
        assert gone(sidecar)


@SIGNALS
def test_a_sidecar_lost_midway_ends_the_command_with_status_1(tmp_path):
    with running(tmp_path, *python(LISTENER), **NOBODY) as both:
        both.until("here")
        os.kill(both.children["serve"], signal.SIGKILL)
        assert both.line() == "got SIGTERM"
        assert both.ended() == 1
        assert f"the sidecar ended (status {128 + signal.SIGKILL})" in both.log()


@SIGNALS
def test_nothing_is_left_of_an_exec_that_is_killed(tmp_path):
    with running(tmp_path, *python(LISTENER), **NOBODY) as both:
        pid = int(both.until("here").split()[1])
        sidecar = both.children["serve"]
        both.send(signal.SIGKILL)
        both.ended()
        assert gone(sidecar)
        assert gone(pid)


@pytest.fixture
def gate(tmp_path):
    """A pipe: until something is written into it, no sidecar gets further than Python's own start."""
    os.mkfifo(tmp_path / "gate")
    hold = f"import sys\nif 'serve' in sys.orig_argv: open({str(tmp_path / 'gate')!r}).read()\n"
    (tmp_path / "sitecustomize.py").write_text(hold)
    return tmp_path / "gate"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@SIGNALS
def test_a_signal_while_the_sidecar_starts_ends_exec_without_the_command(tmp_path, gate, number):
    mark = tmp_path / "ran"
    with running(tmp_path, "exec", "--", "touch", str(mark), PYTHONPATH=str(gate.parent), **NOBODY) as both:
        while "serve" not in both.children:
            assert both.process.poll() is None
        sidecar = both.children["serve"]
        both.send(number)
        assert both.ended() == 128 + number
        assert gone(sidecar)
    assert not mark.exists()


@SIGNALS
def test_a_signal_that_does_not_end_waits_for_the_command(tmp_path, gate):
    """A window that changes its size while the sidecar starts, say."""
    with running(tmp_path, *python(LISTENER), PYTHONPATH=str(gate.parent), **NOBODY) as both:
        while "serve" not in both.children:
            assert both.process.poll() is None
        both.send(signal.SIGWINCH)
        gate.write_text("open")
        both.until("here")
