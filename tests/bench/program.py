"""A program under measurement: started, waited for, its CPU time and memory read from /proc, stopped."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.workshop import Missing

PATIENCE = 300.0
"""Seconds in which a program is up, also under valgrind on a busy machine; one that has ended is not waited for."""
_PROC = Path("/proc")


@dataclass
class Program:
    """`command` listens at `port`; its children count as part of it."""

    name: str
    command: list[str]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    good: bytes = b"HTTP/1.1 200"
    piped: bool = False  # what it says goes through a pipe, as in a container; the reader is not part of it
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with ExitStack() as files:
            log = files.enter_context(self.log.open("ab"))
            if self.piped:
                reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)  # ends with the pipe's writers
                assert reader.stdin is not None
                log = files.enter_context(reader.stdin)
            self.process = subprocess.Popen(
                self.command,
                env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(self.log.parent), **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_up(self) -> None:
        """Return with the first good answer. Raises Missing if there is none."""
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Missing(f"{self.name} does not start: {self.log.read_text(errors='replace')[-500:]}")
            time.sleep(0.001)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(b"GET /organization/v1/users/patients/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                return sock.recv(65536).startswith(self.good)
        except OSError:
            return False

    def _processes(self) -> list[int]:
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            for children in _PROC.glob(f"{pid}/task/*/children"):
                found += map(int, children.read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of user and system time so far, by the scheduler's own nanoseconds (stat has ticks of 10 ms)."""
        files = [path for pid in self._processes() for path in _PROC.glob(f"{pid}/task/*/schedstat")]
        return sum(int(path.read_text().split()[0]) for path in files) / 1e9

    def memory(self) -> int:
        """Resident bytes."""
        return sum(int((_PROC / str(pid) / "statm").read_text().split()[1]) for pid in self._processes()) * 4096

    def private_memory(self) -> int:
        """Bytes that are its own and that it has written to (proc_pid_smaps(5))."""
        rolled_up = [(_PROC / str(pid) / "smaps_rollup").read_text() for pid in self._processes()]
        return sum(int(re.findall(r"^Private_Dirty: +(\d+) kB", text, re.MULTILINE)[0]) for text in rolled_up) * 1024

    def hang_up(self) -> None:
        """SIGHUP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
