"""Linux that looks like macOS or Windows to a Python program: BIOT_SIDECAR_EMULATED says which.

What Linux alone has is gone: names of the standard library, modules, /proc, prctl(2); and what the other does otherwise
it does so here: limits, dropped signals, loops. What cannot be shown so is the other kernel itself, its sockets above
all. Parts of the standard library that look at sys.platform are imported before it changes.
"""

from __future__ import annotations

import asyncio
import asyncio.base_subprocess
import asyncio.subprocess
import builtins
import contextlib
import ctypes
import io
import os
import select
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
import types
import urllib.request  # noqa: F401 - looks at sys.platform
import uuid  # noqa: F401 - looks at sys.platform
import warnings
from typing import Any, Final

EMULATED: Final = os.environ.get("BIOT_SIDECAR_EMULATED", "")
MAC_FILES: Final = 10_240
WINDOWS_SOCKETS: Final = 512
EVERYWHERE: Final = {
    select: "epoll EPOLLIN EPOLLRDHUP EPOLLHUP EPOLLERR POLLRDHUP",
    socket: "AF_NETLINK AF_PACKET AF_VSOCK SOCK_NONBLOCK SOCK_CLOEXEC SO_PEERCRED SO_BINDTODEVICE SO_MARK TCP_INFO "
    "TCP_USER_TIMEOUT TCP_QUICKACK TCP_CORK TCP_DEFER_ACCEPT",
    os: "memfd_create pidfd_open eventfd splice posix_fadvise sched_setaffinity O_TMPFILE O_PATH",
    signal: "sigwaitinfo sigtimedwait pidfd_send_signal SIGPWR SIGSTKFLT SIGPOLL",
    selectors: "EpollSelector",
}
"""What no other system has."""
ON_WINDOWS: Final = {
    select: "poll POLLIN POLLOUT POLLHUP POLLERR POLLNVAL POLLPRI PIPE_BUF",
    socket: "AF_UNIX SO_REUSEPORT MSG_DONTWAIT send_fds recv_fds",
    os: "fork forkpty killpg getuid geteuid getgid getegid getpgrp getpgid setsid setpgid sysconf mkfifo fchown chown "
    "O_NONBLOCK O_CLOEXEC O_NOCTTY WNOHANG wait wait3 wait4 tcgetpgrp uname nice",
    signal: "SIGHUP SIGQUIT SIGKILL SIGCHLD SIGUSR1 SIGUSR2 SIGCONT SIGSTOP SIGTSTP SIGWINCH SIGALRM SIGPIPE alarm "
    "pause pthread_kill pthread_sigmask setitimer sigpending sigwait siginterrupt SIG_BLOCK SIG_UNBLOCK SIG_SETMASK",
    selectors: "PollSelector",
}
NO_MODULES: Final = ("uvloop", "fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")


def hide(names: dict[Any, str]) -> None:
    for module, words in names.items():
        for name in words.split():
            with contextlib.suppress(AttributeError):
                delattr(module, name)


def hide_proc() -> None:
    """Nothing under /proc can be opened, listed or asked about."""

    def blind(function: Any) -> Any:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, str) and (path == "/proc" or path.startswith("/proc/")):
                raise FileNotFoundError(2, "No such file or directory", path)
            return function(path, *args, **kwargs)

        return call

    builtins.open = io.open = blind(builtins.open)
    for name in ("open", "stat", "lstat", "listdir", "scandir", "readlink"):
        setattr(os, name, blind(getattr(os, name)))


class Library(ctypes.CDLL):
    """The C library without what is Linux's or glibc's."""

    def __getattr__(self, name: str) -> Any:
        if name in {"prctl", "malloc_trim", "epoll_create1", "inotify_init"}:
            raise AttributeError(name)
        return super().__getattr__(name)


def limit_files() -> None:
    """macOS says that there is no hard limit, and takes no more than OPEN_MAX; shells begin with 256."""
    import resource

    get, put, files = resource.getrlimit, resource.setrlimit, resource.RLIMIT_NOFILE
    hard = get(files)[1]

    def getrlimit(which: int) -> tuple[int, int]:
        return (get(which)[0], resource.RLIM_INFINITY) if which == files else get(which)

    def setrlimit(which: int, limits: tuple[int, int]) -> None:
        if which != files:
            put(which, limits)
            return
        if not 0 <= limits[0] <= MAC_FILES:
            raise ValueError("current limit exceeds maximum limit")
        put(which, (limits[0], hard))

    put(files, (min(256, get(files)[0]), hard))
    resource.getrlimit, resource.setrlimit = getrlimit, setrlimit


def drop_signals() -> None:
    """XNU drops a signal that its default disposition ignores, though it is blocked: here it is not blocked then."""
    block = signal.pthread_sigmask
    ignored = {signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT, signal.SIGURG}

    def pthread_sigmask(how: int, mask: Any) -> Any:
        if how == signal.SIG_BLOCK:
            mask = {one for one in mask if one not in ignored or signal.getsignal(one) != signal.SIG_DFL}
        return block(how, mask)

    signal.pthread_sigmask = pthread_sigmask


class Selector(selectors.SelectSelector):
    """Python's select() on Windows."""

    def _select(self, read: Any, write: Any, error: Any, timeout: float | None = None) -> Any:
        if max(len(read), len(write)) > WINDOWS_SOCKETS:
            raise ValueError("too many file descriptors in select()")
        # Handles are no small numbers there; here those of 1024 and above are not for select().
        poll = POLL()
        for one in {*read, *write}:
            poll.register(one, POLLIN * (one in read) | POLLOUT * (one in write))
        found = poll.poll(None if timeout is None else max(0.0, timeout * 1000))
        ready = [one for one, events in found if one in read and events & ~POLLOUT]
        return ready, [one for one, events in found if one in write and events & ~POLLIN], []


class Loop(asyncio.selector_events.BaseSelectorEventLoop):
    """asyncio's selector loop on Windows: no signal handlers, no unix sockets, no processes."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector or Selector())


class ProcessLoop(asyncio.SelectorEventLoop):
    """asyncio's other loop on Windows, the one of asyncio.run: it runs processes, and cannot watch sockets."""

    def run_forever(self) -> None:
        signal.set_wakeup_fd(self._csock.fileno())
        super().run_forever()

    def _refuse(self, *args: object) -> None:
        raise NotImplementedError

    add_reader = add_writer = add_signal_handler = _refuse  # type: ignore[assignment]
    create_unix_connection = create_unix_server = _refuse  # type: ignore[assignment]


class Popen(subprocess.Popen[bytes]):
    """A process as on Windows: nothing happens between fork and exec, and to end it is to kill it."""

    def __init__(self, *args: Any, creationflags: int = 0, **kwargs: Any) -> None:
        for name in ("preexec_fn", "pass_fds", "process_group", "start_new_session"):
            if kwargs.get(name):
                raise ValueError(f"{name} is not supported on Windows platforms")
        super().__init__(*args, start_new_session=bool(creationflags), **kwargs)

    def send_signal(self, number: int) -> None:
        raise ValueError(f"Unsupported signal: {number}")

    def kill(self) -> None:
        if self.poll() is None:
            KILL(self.pid, SIGKILL)

    terminate = kill


def windows_runtime() -> types.ModuleType:
    """As much of msvcrt as is used."""
    import fcntl

    module = types.ModuleType("msvcrt")
    module.LK_NBLCK = 2  # type: ignore[attr-defined]
    module.locking = lambda descriptor, mode, size: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[attr-defined]
    return module


def which(*args: Any, **kwargs: Any) -> str | None:
    """Programs have no endings here."""
    sys.platform = "linux"
    try:
        return WHICH(*args, **kwargs)
    finally:
        sys.platform = "win32"


def become_windows() -> None:
    shutil.which = which
    sys.modules["msvcrt"] = windows_runtime()
    hide(ON_WINDOWS)
    sys.modules |= dict.fromkeys(NO_MODULES)  # importing one of them fails
    socket.SO_EXCLUSIVEADDRUSE = socket.SO_REUSEADDR
    socket.socketpair = lambda *args: SOCKETPAIR(1, socket.SOCK_STREAM, 0)
    os.O_BINARY = 0
    signal.SIGBREAK = SIGBREAK
    selectors.SelectSelector = selectors.DefaultSelector = Selector
    select.select = lambda read, write, error, timeout=None: Selector()._select(
        *([getattr(one, "fileno", lambda one=one: one)() for one in some] for some in (read, write, error)), timeout
    )
    asyncio.SelectorEventLoop = Loop
    with warnings.catch_warnings(action="ignore"):  # 3.14 wants no policies, and has them
        asyncio.DefaultEventLoopPolicy._loop_factory = ProcessLoop
        asyncio.get_event_loop_policy()  # is chosen by sys.platform when it is asked for first
    asyncio.open_unix_connection = None
    subprocess.CREATE_NEW_PROCESS_GROUP = 0x200
    subprocess.Popen = Popen
    ssl.enum_certificates = lambda store: []
    sys.platform = "win32"


def become_mac() -> None:
    selectors.DefaultSelector = selectors.PollSelector
    limit_files()
    drop_signals()
    sys.platform = "darwin"


if EMULATED:
    sysconfig.get_config_vars()  # of this very system
    KILL, SIGKILL, SIGBREAK, SOCKETPAIR = os.kill, signal.SIGKILL, signal.SIGUSR1, socket.socketpair
    WHICH = shutil.which
    POLL, POLLIN, POLLOUT = select.poll, select.POLLIN, select.POLLOUT
    hide(EVERYWHERE)
    hide_proc()
    ctypes.CDLL = Library
    {"macos": become_mac, "windows": become_windows}[EMULATED]()
