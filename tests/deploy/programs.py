"""Programs of this project and of others as processes, and the plain HTTP that tests speak with them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.form import FORM, SLOWDOWN
from tests.support.ports import free_port as free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DEADLINE = 60.0 * SLOWDOWN
USER = "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"
SECRET = "canary-secret-9d41c0"
PLAIN = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **FORM}
"""An environment without anything of this machine's user."""


class Program:
    """A running process and its first line of output."""

    def __init__(self, process: subprocess.Popen[bytes], first_line: str, log: Path) -> None:
        self.process = process
        self.first_line = first_line
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def next_line(self) -> str:
        """The next line of its output, which must come."""
        return _line(self.process, self._log)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextmanager
def program(folder: Path, name: str, command: list[str], env: dict[str, str], cwd: Path = ROOT) -> Iterator[Program]:
    """A process that has said its first line; killed at the end, if it still runs."""
    log = folder / f"{name}.log"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            command,
            env={**PLAIN, **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,  # a line is read, and not what follows
        )
    try:
        yield Program(process, _line(process, log), log)
    finally:
        process.kill()
        process.wait(DEADLINE)
        assert process.stdout is not None
        process.stdout.close()


def _line(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], DEADLINE)[0], log.read_text()
    line = process.stdout.readline().decode().strip()
    assert line, log.read_text()
    return line


@contextmanager
def simulator(folder: Path, port: int = 0, *options: str, **variables: str) -> Iterator[str]:
    """The BioT simulator; yields its base URL."""
    listen = ["--listen", f"127.0.0.1:{port}", *options]
    env = {"BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET, **variables}
    with program(folder, "simulator", [sys.executable, "-m", "biot_sidecar", "simulate", *listen], env) as running:
        yield running.first_line.split()[3]


@contextmanager
def sidecar(folder: Path, base_url: str, **settings: str) -> Iterator[str]:
    """The sidecar with the shipped rules; yields its base URL."""
    env = {
        "BIOT_BASE_URL": base_url,
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        "SIDECAR_LISTEN": "127.0.0.1:0",
        **settings,
    }
    with program(folder, "sidecar", [sys.executable, "-m", "biot_sidecar", "serve"], env) as running:
        yield "http://" + running.first_line.split()[3]
        assert running.stop() == 0, running.log()


def call(method: str, url: str, body: Any = None, **headers: str) -> Any:
    """A JSON call; raises urllib.error.HTTPError for 4xx and 5xx."""
    data = None if body is None else json.dumps(body).encode()
    fields = {"content-type": "application/json", **headers}
    with urlopen(Request(url, data, fields, method=method), timeout=DEADLINE) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def seen(base_url: str) -> list[dict[str, Any]]:
    """What the simulator was asked, oldest first."""
    return list(call("GET", f"{base_url}/_simulator/requests")["requests"])


def logins(base_url: str) -> int:
    """How many logins the simulator has granted."""
    return int(call("GET", f"{base_url}/_simulator/stats")["logins"])
