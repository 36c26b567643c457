"""`biot-sidecar wait`: until a real sidecar is ready, or until it is clear that it will not be."""

from __future__ import annotations

import signal
import socket
import subprocess
from threading import Thread

import pytest
from biot_sidecar.cli.wait import look, wait_until_ready
from biot_sidecar.settings import ListenAddress

from tests.cli.processes import COMMAND, DUMB, PATIENCE, running
from tests.cli.support import ran
from tests.deploy.programs import PLAIN, ROOT
from tests.support.ports import free_port
from tests.support.simulated_biot import simulated_biot

pytestmark = pytest.mark.timeout(120)

NOBODY = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}


# ---- the waiting, without a clock


class Time:
    """A clock that only sleeping and looking move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_it_looks_until_nothing_is_said_against_it():
    time, reasons = Time(), ["starting", "starting", ""]
    assert wait_until_ready(lambda _: reasons.pop(0), 30.0, clock=time, sleep=time.sleep) == ""
    assert len(time.slept) == 2


def test_after_the_timeout_the_last_reason_counts():
    time = Time()
    assert wait_until_ready(lambda _: f"at {time.now:g}", 1.0, clock=time, sleep=time.sleep).startswith("at 101")
    assert sum(time.slept) == pytest.approx(1.0)


def test_it_looks_once_even_without_time():
    time = Time()
    assert wait_until_ready(lambda _: "", 0.0, clock=time, sleep=time.sleep) == ""
    assert wait_until_ready(lambda _: "no", 0.0, clock=time, sleep=time.sleep) == "no"


def test_a_look_never_takes_much_longer_than_what_is_left():
    time, given = Time(), []

    def slow(seconds: float) -> str:
        given.append(seconds)
        time.now += seconds
        return "slow"

    wait_until_ready(slow, 2.5, clock=time, sleep=time.sleep)
    assert max(given) <= 1.0
    assert time.now <= 102.7


# ---- one look


@pytest.fixture
def answering(request):
    """A server that says one thing to whoever connects; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(request.param)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield ListenAddress("127.0.0.1", listening.getsockname()[1])
        thread.join(10)


@pytest.mark.parametrize(
    ("answering", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nready", ""),
        (b'HTTP/1.1 503 X\r\n\r\n{"reason": "the sidecar is stopping"}', "the sidecar is stopping"),
        (b'HTTP/1.1 503 X\r\n\r\n{"reason": "\\u001b[31mred"}', "[31mred"),
        (b'HTTP/1.1 503 X\r\n\r\n{"reason": 7}', "it answers with status 503"),
        (b"HTTP/1.1 503 X\r\n\r\n[]", "it answers with status 503"),
        (b"HTTP/1.1 503 X\r\n\r\nsomething", "it answers with status 503"),
        (b'HTTP/1.1 404 X\r\n\r\n{"reason": "really"}', "it answers with status 404"),
        (b"220 mail.example ESMTP", "something else than a sidecar listens there"),
        (b"", "something else than a sidecar listens there"),
    ],
    indirect=["answering"],
)
def test_a_look_tells_what_is_there(answering, reason):
    assert look(answering, 5.0) == reason


@pytest.mark.parametrize(
    ("answering", "reason"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"token": {"state": "valid", "last_error": null}}', ""),
        (b'HTTP/1.1 200 OK\r\n\r\n{"token": {"state": "renewing", "last_error": "x"}}', ""),
        (b'HTTP/1.1 200 OK\r\n\r\n{"token": {"state": "waiting", "last_error": null}}', "no token is in hand: waiting"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"token": {"state": "none", "last_error": "500"}}', "no token is in hand: 500"),
        (b"HTTP/1.1 200 OK\r\n\r\nready", "it does not say whether a token is in hand"),
    ],
    indirect=["answering"],
)
def test_a_look_for_a_token_tells_why_there_is_none(answering, reason):
    assert look(answering, 5.0, token=True) == reason


def test_a_look_at_nobody_says_so():
    assert look(ListenAddress("127.0.0.1", free_port()), 5.0) == "Connection refused"
    assert look(ListenAddress("", path="/no/such/socket"), 5.0) == "No such file or directory"


def test_a_look_at_somebody_who_says_nothing_ends():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert look(ListenAddress("127.0.0.1", silent.getsockname()[1]), 0.2) == "no answer within 0.2s"


# ---- the command


def test_after_the_timeout_it_says_where_and_why(capsys):
    where = f"127.0.0.1:{free_port()}"
    done = ran(capsys, "wait", "--timeout", "50ms", SIDECAR_LISTEN=where)
    assert done.status == 1
    assert done.err == [f"biot-sidecar: not ready after 50ms at {where}: Connection refused"]


def test_a_misspelt_setting_is_named_with_it(capsys):
    done = ran(capsys, "wait", "--timeout", " 0 ", f"--listen=127.0.0.1:{free_port()}", SIDECAR_LISTN="x")
    assert done.err[1:] == ["biot-sidecar: SIDECAR_LISTN is no setting; did you mean SIDECAR_LISTEN?"]


def test_the_first_of_several_addresses_counts_and_flags_over_the_environment(capsys):
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    assert f"at {first}:" in ran(capsys, "wait", "--timeout=0", SIDECAR_LISTEN=f" {first} , {second}").err[0]
    assert f"at {second}:" in ran(capsys, "wait", "--timeout=0", f"--listen={second}", SIDECAR_LISTEN=first).err[0]


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("nonsense", "SIDECAR_LISTEN: 'nonsense' is no address"),
        ("127.0.0.1:0", "SIDECAR_LISTEN: '127.0.0.1:0' is any free port, so nobody knows where to look; name a port"),
    ],
)
def test_an_address_that_leads_nowhere_is_wrong_configuration(capsys, listen, words):
    done = ran(capsys, "wait", SIDECAR_LISTEN=listen)
    assert done.status == 1
    assert words in done.err[0]


@pytest.mark.parametrize("timeout", ["30", "soon", "-1s"])
def test_a_timeout_that_is_none_is_a_wrong_command_line(capsys, timeout):
    done = ran(capsys, "wait", f"--timeout={timeout}")
    assert done.status == 2
    assert "no duration" in done.err[-1]


@pytest.mark.e2e
def test_it_returns_as_soon_as_the_sidecar_that_starts_meanwhile_is_ready(tmp_path):
    where = f"127.0.0.1:{free_port()}"
    waiting = subprocess.Popen([*COMMAND, "wait"], env=PLAIN | {"SIDECAR_LISTEN": where}, cwd=ROOT)
    with running(tmp_path, "serve", **NOBODY | {"SIDECAR_LISTEN": where}) as sidecar:
        assert waiting.wait(PATIENCE) == 0
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended() == 0


@pytest.mark.e2e
def test_a_sidecar_that_serves_other_hosts_only_is_ready_too(tmp_path):
    """It is asked as 127.0.0.1, whatever names it was given."""
    where = f"unix:{tmp_path}/socket"
    with running(tmp_path, "serve", **NOBODY | {"SIDECAR_LISTEN": where, "SIDECAR_ALLOWED_HOSTS": "api.example"}):
        done = subprocess.run([*COMMAND, "wait", "--listen", where], env=PLAIN, cwd=ROOT, timeout=PATIENCE)
        assert done.returncode == 0


@pytest.mark.e2e
def test_a_sidecar_whose_login_is_refused_is_not_ready_and_says_why(tmp_path):
    with simulated_biot() as biot:
        env = NOBODY | {"BIOT_BASE_URL": biot, "SIDECAR_LOGIN_AT_START": "1", "BIOT_SERVICE_USER_SECRET_KEY": "wrong"}
        with running(tmp_path, "serve", **env) as sidecar:
            where = sidecar.until("biot-sidecar ready on ").split()[3]
            sidecar.until_logged("login_blocked")
            done = subprocess.run(
                [*COMMAND, "wait", "--listen", where, "--timeout", "2s"],
                env=PLAIN, cwd=ROOT, timeout=PATIENCE, capture_output=True, text=True,
            )  # fmt: skip
    assert done.returncode == 1
    assert f"not ready after 2s at {where}: " in done.stderr
    assert "login" in done.stderr
