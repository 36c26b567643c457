"""The systemd units: accepted by systemd, hardened, and started by a call on their socket."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.programs import DEADLINE, DEPLOY, PLAIN, ROOT, SECRET, USER, call, simulator
from tests.support import wants
from tests.support.ports import free_port

UNITS = DEPLOY / "systemd"
PROGRAM = "/opt/biot-sidecar/bin/biot-sidecar"
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
SERVICE = (UNITS / "biot-sidecar.service").read_text()


def analyze(*words: str | Path) -> str:
    """What systemd-analyze says; it must be content."""
    said = subprocess.run([wants.program("systemd-analyze"), *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stderr == ""
    return said.stdout


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS.glob("biot-sidecar.*"):
        # The program is not installed where tests run; systemd looks for it.
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    analyze("verify", tmp_path / "biot-sidecar.service", tmp_path / "biot-sidecar.socket")


def test_systemd_finds_the_service_hardened() -> None:
    exposure = re.search(r"exposure level for biot-sidecar.service: ([\d.]+) OK", analyze_security())
    assert exposure
    assert float(exposure[1]) < 2.0


def analyze_security() -> str:
    return analyze("security", "--offline=true", "--no-pager", UNITS / "biot-sidecar.service")


def test_the_secret_comes_as_a_credential_and_from_nowhere_else() -> None:
    assert "LoadCredential=secret:/etc/biot-sidecar/secret" in SERVICE
    assert "BIOT_SERVICE_USER_SECRET_KEY_FILE=%d/secret" in SERVICE
    assert "SECRET_KEY=" not in SERVICE + (UNITS / "environment.example").read_text()


@pytest.mark.e2e
def test_the_first_call_on_the_socket_starts_the_sidecar(tmp_path: Path) -> None:
    activate = wants.program("systemd-socket-activate")
    with simulator(tmp_path) as biot, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(DEADLINE)
        port = free_port()
        settings = {
            **PLAIN,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "BIOT_BASE_URL": biot,
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        }
        given = [word for name, value in settings.items() for word in ("-E", f"{name}={value}")]
        command = [activate, "-l", f"127.0.0.1:{port}", *given, sys.executable, "-m", "biot_sidecar", "serve"]
        with waiting(command, port):
            assert call("GET", f"http://127.0.0.1:{port}{PATIENT}")["_id"] == PATIENT.rpartition("/")[2]
            assert b"READY=1" in systemd.recv(1000)


@contextmanager
def waiting(command: list[str], port: int) -> Iterator[None]:
    """The command once it listens on the port, which it says on stderr; SIGTERM ends it well."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert str(port) in line, line
        yield
        process.terminate()
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
