"""Child processes on Windows: there are no signals between processes, so ours are asked to end by a pipe to them.

Ctrl-C and Ctrl-Break reach every process at the console, a command that we run too; our own are out of their reach.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"  # noqa: S101 - for mypy, which reads no further for others

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

CHILD_ENDED: Final[int] = 0
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
HURRYING: Final = frozenset(STOPPING)
FORWARDED: Final = STOPPING
LIFELINE: Final = True
CAN_FREEZE: Final = False
PENDING_LOOK: Final = 0.05
"""Seconds between two looks at signals that wait, while a child starts."""


class Signals:
    """Takes signals one by one. Each writes its number into a socket (signal.set_wakeup_fd), children that end a 0."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = frozenset(numbers)
        self._taken: deque[int] = deque()
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)

    def __enter__(self) -> Signals:
        for number in self._numbers:
            signal.signal(number, lambda number, frame: None)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)

    def next(self) -> tuple[int, bool]:
        """The next signal's number, and True, as the console sends them to every process at it."""
        while not self._taken:
            self._take(None)
        number = self._taken.popleft()
        return number, number != CHILD_ENDED

    @property
    def ending(self) -> int:
        """A signal that tells us to end and is there to be taken; 0 if there is none."""
        self._take(0)
        return next((number for number in self._taken if number in self._numbers), 0)

    def _take(self, timeout: float | None) -> None:
        if select.select([self._ours], [], [], timeout)[0]:
            self._taken += self._ours.recv(4096)

    def child_ended(self) -> None:
        with contextlib.suppress(OSError):
            self._theirs.send(bytes([CHILD_ENDED]))


class Child:
    """A process that we started. `status` is None while it runs, then its exit status.

    Two threads wait for it: for its first line, if it is one of ours, and for its end.
    """

    def __init__(self, process: subprocess.Popen[bytes], signals: Signals) -> None:
        self._process = process
        self._first = ""
        self._said = threading.Event()
        self.status: int | None = None
        threading.Thread(target=self._listen, name="first line", daemon=True).start()
        threading.Thread(target=self._wait, args=[signals], name="end", daemon=True).start()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            self._first = self._process.stdout.readline().decode(errors="replace").strip()
        self._said.set()

    def _wait(self, signals: Signals) -> None:
        self._process.wait()
        signals.child_ended()

    def send(self, number: int) -> None:
        """Ask one of ours to end, each time more urgently; end another's command, which cannot be asked."""
        if self.status is not None:
            return
        if self._process.stdin is None:
            self._process.terminate()
        else:
            self._write(b"\n")

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_along(self, pid: int) -> None:
        """Let one of ours end that process, too, should we be killed; 0: none any more."""
        self._write(b"%d\n" % pid)

    def _write(self, line: bytes) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def first_line(self, signals: Signals) -> str:
        """The first line that it prints; empty if it ends before, or if we are told to end meanwhile."""
        while not signals.ending:
            if self._said.wait(PENDING_LOOK):
                return self._first
        return ""

    def note_end(self) -> None:
        """Take its exit status, if it has ended."""
        self.status = self._process.poll()


def start(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    return Child(subprocess.Popen(words, env=env), signals)  # noqa: S603 - the user's own command


def start_own(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    process = subprocess.Popen(  # noqa: S603 - this program itself
        words,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
    )
    return Child(process, signals)


def reap(*children: Child) -> None:
    for child in children:
        child.note_end()


def group_keywords(may_freeze: bool) -> dict[str, Any]:
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


def open_feed() -> tuple[int, int]:
    return -1, -1


def kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):  # it has ended
        os.kill(pid, signal.SIGTERM)  # TerminateProcess


def terminate_group(pid: int) -> None:
    kill_group(pid)


def freeze_group(pid: int) -> None:
    return


def thaw_group(pid: int) -> None:
    return
