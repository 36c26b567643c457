"""`biot-sidecar status` and `top`, with a real sidecar and without one."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import urllib.request
from threading import Thread

import pytest
from biot_sidecar.cli.status import NoStatus, State
from biot_sidecar.cli.top import Look, Seen

from tests.cli.processes import COMMAND, DUMB, PATIENCE, running
from tests.cli.support import ran
from tests.cli.test_status_view import READY, route, status
from tests.deploy.programs import PLAIN, ROOT
from tests.support.form import SYSTEM
from tests.support.ports import free_port

NOBODY = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}
COMMANDS = ["status", "top"]


@pytest.mark.parametrize("command", COMMANDS)
def test_where_nobody_listens_no_sidecar_answers(capsys, command):
    where = f"127.0.0.1:{free_port()}"
    done = ran(capsys, command, "--listen", where)
    assert done == (1, [], [f"biot-sidecar: no sidecar answers at {where}: Connection refused"])


@pytest.mark.parametrize("command", COMMANDS)
def test_any_free_port_is_no_place_to_look(capsys, command):
    assert ran(capsys, command, SIDECAR_LISTEN="127.0.0.1:0").status == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"220 mail.example", "what listens at {} is no biot-sidecar that tells its status"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "what listens at {} is no biot-sidecar that tells its status"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "what listens at {} is no biot-sidecar that tells its status"),
        (
            b'HTTP/1.1 403 Forbidden\r\n\r\n{"message": "user 7 \\u001b[2Jmay not call"}',
            "the sidecar at {} does not answer this user: user 7 [2Jmay not call",
        ),
    ],
)
def test_what_is_no_sidecar_or_refuses_is_said(capsys, said, told):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(said)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        done = ran(capsys, "status", "--listen", where)
        thread.join(10)
    assert done == (1, [], [f"biot-sidecar: {told.format(where)}"])


@pytest.mark.parametrize("words", ["--interval=0", "--interval=soon", "--count=0", "--count=x"])
def test_an_interval_or_count_that_is_none_is_a_wrong_command_line(capsys, words):
    assert ran(capsys, "top", words).status == 2


# ---- the looks of `top`


class Sidecar:
    """Says what it was given, one after the other; None: it is away."""

    def __init__(self, *said: Seen | None) -> None:
        self._said = list(said)

    def __call__(self) -> Seen:
        seen = self._said.pop(0)
        if seen is None:
            raise NoStatus("no sidecar answers")
        return seen


def seen(hits: int, requests=None) -> Seen:
    return Seen(State(status(routes=[route("a", hits)]), READY), requests)


def look_at(*said: Seen | None) -> Look:
    ticks = iter(range(0, 100, 2))
    return Look(Sidecar(*said), lambda: float(next(ticks)), lambda: 1_796_040_000.0)


def test_the_second_look_knows_rates():
    look = look_at(seen(10), seen(15))
    assert "  requests     0.0 a second" in [row.text for row in look.rows("here")]
    assert "  requests     2.5 a second" in [row.text for row in look.rows("here")]


def test_without_the_inspector_it_says_how_to_see_requests():
    assert "SIDECAR_INSPECT=1" in look_at(seen(1)).rows("here")[-1].text
    assert "SIDECAR_INSPECT" not in look_at(seen(1, [])).rows("here")[-1].text


def test_a_sidecar_that_goes_may_come_back():
    look = look_at(seen(1), None, seen(2))
    pictures = [look.rows("here") for _ in range(3)]
    assert [row.text for row in pictures[1]] == ["no sidecar answers"]
    assert len(pictures[2]) == len(pictures[0])


def test_where_there_never_was_one_it_ends():
    with pytest.raises(NoStatus):
        look_at(None).rows("here")


# ---- the real program


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    """A sidecar with an inspector that has refused one request; its address."""
    env = NOBODY | {"SIDECAR_INSPECT": "01"[SYSTEM != "windows"]}
    with running(tmp_path_factory.mktemp("status"), "serve", **env) as process:
        where = process.until("biot-sidecar ready on ").split()[3]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{where}/a/../b?canary=1", timeout=PATIENCE)
        refused.value.close()  # Python 3.14 minds
        yield where


@pytest.mark.e2e
def test_status_shows_a_real_sidecar(sidecar):
    done = said("status", "--listen", sidecar)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].endswith(f" at {sidecar} -> http://127.0.0.1:9")
    assert "  unmatched " in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.e2e
def test_status_as_json_is_what_the_sidecar_answers(sidecar):
    told = json.loads(said("status", "--json", "--listen", sidecar).stdout)
    assert told["ready"]["ready"] is True
    assert told.keys() >= {"routes", "token", "logins", "reload", "build"}


@pytest.mark.e2e
@pytest.mark.not_on("windows", why="the inspector")
def test_top_below_one_another_where_there_is_no_terminal(sidecar):
    done = said("top", "--count=2", "--interval=100ms", "--listen", sidecar)
    assert done.returncode == 0
    assert done.stdout.count(f" at {sidecar} -> ") == 2
    assert " 400 " in done.stdout  # the inspector's record of the refused request
    assert "canary" not in done.stdout


@pytest.mark.e2e
def test_top_gives_the_terminal_its_own_screen_back_at_ctrl_c(sidecar):
    parent, child = pty.openpty()
    env = PLAIN | {"TERM": "xterm"}
    top = subprocess.Popen([*COMMAND, "top", "--listen", sidecar], stdout=child, env=env, cwd=ROOT)
    os.close(child)
    shown = b""
    while b" at " not in shown:
        shown += os.read(parent, 65536)
    top.send_signal(signal.SIGINT)
    assert top.wait(PATIENCE) == 0
    while not shown.endswith(b"\x1b[?1049l"):
        shown += os.read(parent, 65536)
    os.close(parent)
    assert shown.startswith(b"\x1b[?1049h")


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env=PLAIN, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
