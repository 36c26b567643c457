"""Windows: asyncio's selector loop, TCP alone, one process."""

from __future__ import annotations

import sys

assert sys.platform == "win32"  # noqa: S101 - for mypy, which reads no further for others

import asyncio
import contextlib
import msvcrt
import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Literal, TypeVar

from biot_sidecar.platform.counts import ProcessCounts

WHY_NO_UNIX_SOCKETS: Final = "Python has no unix sockets on Windows"
WHY_NO_WORKERS: Final = "processes cannot share a port on Windows"
WHY_NO_PEER_UID: Final = "Windows has no uids"
Result = TypeVar("Result")
UNIX_FAMILY: Final = -1
# select() of Python on Windows watches 512 sockets. A client in service may need one to BioT, and a few more are ours.
CLIENTS_MOST: Final[float] = 240
LOOP_READS_ALL: Final = False
SPREADING_OPTION: Final[int | None] = None
OPEN_AT_ONCE: Final = 0
OPEN_AS_IT_IS: Final = os.O_BINARY
PIPE_WHOLE: Final = 512
COLORS_TOLD_BY: Final = "WT_SESSION"  # Windows Terminal; the console before it prints the escapes
GROUP_OF_ITS_OWN: Final[Mapping[str, Any]] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


# ---- connections


def far_side(transport: asyncio.Transport) -> Literal["open", "half-closed", "gone"]:
    """Whether one who says no more still waits, nobody tells: it counts as gone, as to Envoy, nginx and Go."""
    sock = transport.get_extra_info("socket")
    if sock is None or not has_input(sock.fileno()):
        return "open"
    try:
        with socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM) as copy:
            return "open" if copy.recv(1, socket.MSG_PEEK) else "gone"
    except BlockingIOError:
        return "open"
    except OSError:
        return "gone"


def has_input(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def receive(sock: Any, size: int) -> bytes:
    """A socket is no file here."""
    with socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM) as copy:
        copy.setblocking(False)
        return copy.recv(size)


def bytes_sent(sock: Any) -> int | None:
    return None


def unacknowledged(sock: Any) -> bool:
    return False


# ---- listening sockets


def claim_port(sock: socket.socket) -> None:
    """SO_REUSEADDR would let anybody else take the port from us here."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)


def drop_new_connections(descriptor: int) -> None:
    return


def handshake_under_way(descriptor: int) -> bool:
    """Nobody tells."""
    return False


def accept_again(descriptor: int) -> None:
    return


# ---- users


def peer_uid(transport: asyncio.Transport) -> int:
    return -1


def why_peers_untold() -> str:
    return WHY_NO_PEER_UID


def own_uid() -> int:
    return -1


def uid_map() -> tuple[str, str]:
    return "", "65534"


def uid_of(name: str) -> int:
    raise ValueError("is no user here: Windows has no uids")


# ---- this process


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop does not run here. Of asyncio's two loops the other cannot watch sockets (add_reader)."""
    return asyncio.SelectorEventLoop()


def run_once(main: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def handle_signals(loop: asyncio.AbstractEventLoop, on_stop: Callable[[], None], on_hangup: Callable[[], None]) -> None:
    """The loop has no signal handlers here. Python's run when select() returns: what a signal writes makes it return.

    Ctrl-C is SIGINT, Ctrl-Break is SIGBREAK; SIGTERM only this process can send itself.
    """
    ours, woken = socket.socketpair()
    for sock in (ours, woken):
        sock.setblocking(False)

    def wake() -> None:
        with contextlib.suppress(OSError):
            ours.recv(4096)

    def handle(number: int, frame: object, _: socket.socket = woken) -> None:
        loop.call_soon_threadsafe(on_stop)

    try:
        loop.add_reader(ours.fileno(), wake)
    except NotImplementedError:  # the loop that runs processes, which signals wake anyway
        ours.close()
    else:
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK):
        signal.signal(number, handle)


def raise_file_limit() -> None:
    return


def file_limit() -> float:
    return float("inf")


def forbid_core_dumps() -> None:
    return


def resident_memory() -> int:
    return 0


def give_memory_back() -> bool:
    return False


def read_process(proc: str = "") -> ProcessCounts:
    return ProcessCounts(cpu=sum(os.times()[:2]))


# ---- pipes and other processes


def lock_file(descriptor: int) -> bool:
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def sync_folder(path: str) -> None:
    """There is no such call."""


def own_by(descriptor: int, uid: int) -> None:
    """A file belongs to who makes it."""


def make_like(descriptor: int, held: os.stat_result, mask: int) -> None:
    """A file inherits its folder's access list."""


def copy_access_list(path: str, descriptor: int) -> None:
    return


def reopen_pipe(descriptor: int) -> int:
    return -1


def wait_writable(descriptor: int) -> None:
    return


def tell_supervisor(address: str, state: str) -> None:
    return


def end_group(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def read_output(process: subprocess.Popen[bytes], most: int, left: Callable[[], float]) -> bytes | None:
    """In a thread: nothing else waits for a pipe here. The thread ends with the pipe.

    It has a descriptor of its own: who gives up closes the process's, which would wait for a read under way.
    """
    output: list[bytes] = []
    descriptor = os.dup(process.stdout.fileno())  # type: ignore[union-attr]
    reader = threading.Thread(target=lambda: _read(descriptor, most, output), name="output", daemon=True)
    reader.start()
    reader.join(left())
    return None if reader.is_alive() else b"".join(output)


def _read(descriptor: int, most: int, output: list[bytes]) -> None:
    size = 0
    with contextlib.suppress(OSError):  # the other side broke off
        while size <= most and (piece := os.read(descriptor, most)):
            output.append(piece)
            size += len(piece)
    os.close(descriptor)


def hang_up(process: asyncio.subprocess.Process) -> None:
    """There is no such signal."""


def resume(process: asyncio.subprocess.Process) -> None:
    """There is no such signal."""


async def open_channel(sock: socket.socket, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(sock=sock, limit=limit)
