"""Child processes of `exec` and `demo`: how they are started, signalled and reaped."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final

from biot_sidecar.process import respawn

_PR_SET_PDEATHSIG: Final = 1
_SI_KERNEL: Final = 0x80
"""`si_code` of signals that the terminal sends (sigaction(2))."""
ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
PENDING_LOOK: Final = 0.05
"""Seconds between two looks at signals that wait, while a child starts."""


class Signals:
    """Takes signals one by one instead of being interrupted by them; children start with none blocked.

    Blocked signals stay pending until `next` takes them, so that none is lost between two steps.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = frozenset(numbers)
        self._before: set[signal.Signals | int] = set()

    def __enter__(self) -> Signals:
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, {*self._numbers, signal.SIGCHLD}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def next(self) -> tuple[int, bool]:
        """The next signal's number, and whether the terminal sent it, to every process in the foreground."""
        if sys.platform == "darwin":
            return signal.sigwait({*self._numbers, signal.SIGCHLD}), False
        taken = signal.sigwaitinfo({*self._numbers, signal.SIGCHLD})
        return taken.si_signo, taken.si_code == _SI_KERNEL

    @property
    def ending(self) -> int:
        """A signal that tells us to end and is there to be taken; 0 if there is none."""
        return min(ENDING & self._numbers & signal.sigpending(), default=0)


class Child:
    """A process that we started. `status` is None while it runs, then its exit status, 128+n after signal n."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.status: int | None = None

    def send(self, number: int) -> None:
        if self.status is None:
            os.kill(self._process.pid, number)

    def first_line(self, signals: Signals) -> str:
        """The first line that it prints; empty if it ends before, or if we are told to end meanwhile."""
        stdout = self._process.stdout
        while stdout is not None and not signals.ending:
            if select.select([stdout], [], [], PENDING_LOOK)[0]:
                return stdout.readline().decode(errors="replace").strip()
        return ""

    def reaped(self, pid: int, status: int) -> None:
        """Take what waitpid said, if it is about this child."""
        if pid != self._process.pid:
            return
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        if self._process.stdout is not None:
            self._process.stdout.close()
        self.status = code if code >= 0 else 128 - code


def start(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    """Start a command, in the foreground with us. Raises OSError if it cannot be run."""
    process = subprocess.Popen(words, env=env, preexec_fn=_before_exec(signals))  # noqa: S603 - the user's own command
    return Child(process)


def start_own(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    """Start a command of this program, out of the terminal's reach: it ends when we say so, or when we are no more."""
    process = subprocess.Popen(  # noqa: S603 - this program itself
        respawn.command(*words),
        env=respawn.environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_before_exec(signals),
    )
    return Child(process)


def reap(*children: Child) -> None:
    """Reap every child that has ended; as a container's first process, of orphans too."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for child in children:
            child.reaped(pid, status)


def finish(child: Child, signals: Signals, *others: Child) -> int:
    """Tell a child to end and wait until it has; a signal to us means haste and is told too. Its status."""
    child.send(signal.SIGTERM)
    while child.status is None:
        number, _ = signals.next()
        if number == signal.SIGCHLD:
            reap(child, *others)
        elif number in {signal.SIGTERM, signal.SIGINT}:
            child.send(signal.SIGTERM)
    return child.status


def _before_exec(signals: Signals) -> Callable[[], None]:
    """What a child does between fork and exec: take signals again, and end if this process is killed (prctl(2))."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # killed before the line above
                os._exit(1)
        signals.restore()

    return prepare
