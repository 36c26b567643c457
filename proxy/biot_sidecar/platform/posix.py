"""What Linux and macOS have in common."""

from __future__ import annotations

import sys

assert sys.platform != "win32"  # noqa: S101 - for mypy, which reads no further for Windows

import asyncio
import contextlib
import errno
import fcntl
import os
import pwd
import resource
import select
import selectors
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

WHY_NO_UNIX_SOCKETS: Final = ""
WHY_NO_WORKERS: Final = ""
Result = TypeVar("Result")
UNIX_FAMILY: Final = socket.AF_UNIX
CLIENTS_MOST: Final = float("inf")
LOOP_READS_ALL: Final = True
OPEN_AT_ONCE: Final = os.O_NONBLOCK
OPEN_AS_IT_IS: Final = os.O_NOFOLLOW
PIPE_WHOLE: Final = select.PIPE_BUF
COLORS_TOLD_BY: Final = ""
GROUP_OF_ITS_OWN: Final[Mapping[str, Any]] = {"process_group": 0}
FILES_MOST: Final = 65_536
"""More open files than any sidecar needs."""


def has_input(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def receive(sock: Any, size: int) -> bytes:
    return os.read(sock.fileno(), size)


def claim_port(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def own_uid() -> int:
    return os.geteuid()


def uid_of(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        raise ValueError("is no user here; in a container a number may be the only name") from None


def new_event_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # for those who serve only

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run_once(main: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(main)


def handle_signals(loop: asyncio.AbstractEventLoop, on_stop: Callable[[], None], on_hangup: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)


def raise_file_limit(steps: tuple[int, ...] = (FILES_MOST,)) -> None:
    """To the first of these steps that the system takes; shells and containers begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for step in steps:
        most = step if hard == resource.RLIM_INFINITY else min(step, hard)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return


def file_limit() -> float:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if most == resource.RLIM_INFINITY else float(most)


def forbid_core_dumps() -> None:
    # 1 stops dumps to a program as well, which 0 does not (core(5)).
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it, and then has its own view of dumps
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))


def lock_file(descriptor: int) -> bool:
    with contextlib.suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system whose folders need none
            raise
    finally:
        os.close(descriptor)


def own_by(descriptor: int, uid: int) -> None:
    if not os.geteuid():
        os.fchown(descriptor, uid, -1)


def make_like(descriptor: int, held: os.stat_result, mask: int) -> None:
    ours = os.fstat(descriptor)
    if (ours.st_uid, ours.st_gid) != (held.st_uid, held.st_gid):
        os.fchown(descriptor, held.st_uid, held.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(held.st_mode) & mask)


def wait_writable(descriptor: int) -> None:
    select.select([], [descriptor], [])


def end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def read_output(process: subprocess.Popen[bytes], most: int, left: Callable[[], float]) -> bytes | None:
    """`left` tells the seconds that it may still take."""
    descriptor = process.stdout.fileno()  # type: ignore[union-attr]
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while len(output) <= most:
            if not selector.select(left()):
                return None
            piece = os.read(descriptor, most)
            if not piece:
                break
            output += piece
    return output


def hang_up(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGHUP)


def resume(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGCONT)


async def open_channel(sock: socket.socket, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(sock=sock, limit=limit)
