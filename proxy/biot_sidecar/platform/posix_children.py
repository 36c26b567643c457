"""Child processes on Linux and macOS: signals stay blocked until they are taken one by one, waitpid tells of ends."""

from __future__ import annotations

import sys

assert sys.platform != "win32"  # noqa: S101 - for mypy, which reads no further for Windows

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

CHILD_ENDED: Final[int] = signal.SIGCHLD
STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HURRYING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
FORWARDED: Final = (*STOPPING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
LIFELINE: Final = sys.platform != "linux"
CAN_FREEZE: Final = True
PENDING_LOOK: Final = 0.05
"""Seconds between two looks at signals that wait, while a child starts."""
_ENDING: Final = frozenset({*STOPPING, signal.SIGQUIT})
_IGNORED_BY_DEFAULT: Final = frozenset({signal.SIGCHLD, signal.SIGWINCH})
_FROM_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH})
_SI_KERNEL: Final = 0x80
"""`si_code` of signals that the terminal sends (sigaction(2))."""
_PR_SET_PDEATHSIG: Final = 1


class Signals:
    """Takes signals one by one instead of being interrupted by them; children start with none blocked.

    Blocked signals stay pending until `next` takes them, so that none is lost between two steps.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = frozenset(numbers)
        self._before: set[signal.Signals | int] = set()

    def __enter__(self) -> Signals:
        for number in _IGNORED_BY_DEFAULT:
            # XNU drops what would be ignored at once, blocked or not, unless there is a handler, which never runs.
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _never)
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
        if sys.platform == "linux":
            taken = signal.sigwaitinfo({*self._numbers, signal.SIGCHLD})
            return taken.si_signo, taken.si_code == _SI_KERNEL
        number = signal.sigwait({*self._numbers, signal.SIGCHLD})
        return number, number in _FROM_TERMINAL and _in_foreground()

    @property
    def ending(self) -> int:
        """A signal that tells us to end and is there to be taken; 0 if there is none."""
        return min(_ENDING & self._numbers & signal.sigpending(), default=0)


def _never(number: int, frame: object) -> None:
    return


def _in_foreground() -> bool:
    """True while the terminal's signals are for us and for whom we run; nobody tells who sent one."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is none (any more)
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class Child:
    """A process that we started. `status` is None while it runs, then its exit status, 128+n after signal n."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.status: int | None = None

    def send(self, number: int) -> None:
        if self.status is None:
            os.kill(self._process.pid, number)

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_along(self, pid: int) -> None:
        """Let one of ours end that process, too, should we be killed; 0: none any more. On Linux the kernel does."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(b"%d\n" % pid)
                self._process.stdin.flush()

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
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self.status = code if code >= 0 else 128 - code


def start(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    process = subprocess.Popen(words, env=env, preexec_fn=_before_exec(signals))  # noqa: S603 - the user's own command
    return Child(process)


def start_own(words: Sequence[str], env: Mapping[str, str], signals: Signals) -> Child:
    process = subprocess.Popen(  # noqa: S603 - this program itself
        words,
        env=env,
        stdin=subprocess.PIPE if LIFELINE else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_before_exec(signals),
    )
    return Child(process)


def reap(*children: Child) -> None:
    """As a container's first process, orphans too."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for child in children:
            child.reaped(pid, status)


def group_keywords(may_freeze: bool) -> dict[str, Any]:
    return {"start_new_session": True, "preexec_fn": _ends_with_us(signal.SIGKILL if may_freeze else signal.SIGTERM)}


def open_feed() -> tuple[int, int]:
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    return theirs, ours


def kill_group(pid: int) -> None:
    _send_group(pid, signal.SIGKILL)


def terminate_group(pid: int) -> None:
    _send_group(pid, signal.SIGTERM)


def freeze_group(pid: int) -> None:
    _send_group(pid, signal.SIGSTOP)


def thaw_group(pid: int) -> None:
    _send_group(pid, signal.SIGCONT)


def _send_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left of it
        os.killpg(pid, number)


def _before_exec(signals: Signals) -> Callable[[], None]:
    """What a child does between fork and exec: take signals again, and end if this process is killed."""
    end_with_us = _ends_with_us(signal.SIGTERM)

    def prepare() -> None:
        end_with_us()
        signals.restore()

    return prepare


def _ends_with_us(number: signal.Signals) -> Callable[[], None]:
    """What a child does after the fork to get a signal when this process is no more (prctl(2), Linux)."""
    import ctypes

    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # killed before the line above
                os._exit(1)

    return prepare
