"""The real program as a process that tests talk to: its output line by line, signals, its children."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.programs import PLAIN, ROOT, SECRET, USER
from tests.support.form import SLOWDOWN
from tests.support.sidecar import skip_where_lacking

COMMAND = [sys.executable, "-m", "biot_sidecar"]
PATIENCE = 60.0 * SLOWDOWN
DUMB = {"BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET, "SIDECAR_LISTEN": "127.0.0.1:0"}
"""What a sidecar needs besides an upstream."""


class Running:
    """A process in a group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self.said: list[str] = []

    def log(self) -> str:
        """What it has written so far: a sidecar writes in batches, so all of it only once it has stopped."""
        return self._log.read_text(errors="replace")

    def until_logged(self, text: str) -> None:
        """Returns once the text stands in the log."""
        end = time.monotonic() + PATIENCE
        while text not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def line(self) -> str:
        """The next line of its output; empty at the end."""
        stdout = self.process.stdout
        assert stdout is not None
        assert select.select([stdout], [], [], PATIENCE)[0], (self.said, self.log())
        # Unbuffered: what is read ahead, select would not see.
        self.said.append(stdout.readline().decode().rstrip("\n"))
        return self.said[-1]

    def until(self, beginning: str) -> str:
        """The next line that begins so."""
        while not (line := self.line()).startswith(beginning):
            assert line or self.process.poll() is None, (self.said, self.log())
        return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status."""
        return self.process.wait(PATIENCE)

    @property
    def children(self) -> dict[str, int]:
        """Process ids of its children, by the end of their command line's first words."""
        found = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            found[next((name for name in ("serve", "simulate", "lambda") if name.encode() in words), "command")] = int(
                pid
            )
        return found


@contextmanager
def running(
    folder: Path, *words: str, command: list[str] = COMMAND, folder_of_work: Path = ROOT, **env: str
) -> Iterator[Running]:
    """A process; at the end it and all that it started are killed."""
    skip_where_lacking(env)
    log = folder / "log"
    with (
        log.open("ab") as stderr,
        subprocess.Popen(
            [*command, *words],
            env=PLAIN | env,
            cwd=folder_of_work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Running(process, log)
        finally:
            if process.poll() is None:
                process.kill()


def gone(pid: int) -> bool:
    """True once there is no such process, or only what is left of one; waits for it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        os.sched_yield()
        select.select([], [], [], 0.02)
    return False
