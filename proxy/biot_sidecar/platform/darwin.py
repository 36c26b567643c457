"""macOS, and what else is no Linux and no Windows: nothing is asked here that only one of them has."""

from __future__ import annotations

import sys

assert sys.platform != "linux" and sys.platform != "win32"  # noqa: S101, PT018 - for mypy, which reads no further

import asyncio
import os
import select
import socket
from typing import Any, Final, Literal

from biot_sidecar.platform import posix
from biot_sidecar.platform.counts import ProcessCounts
from biot_sidecar.platform.posix import (
    CLIENTS_MOST,
    COLORS_TOLD_BY,
    GROUP_OF_ITS_OWN,
    LOOP_READS_ALL,
    OPEN_AS_IT_IS,
    OPEN_AT_ONCE,
    PIPE_WHOLE,
    UNIX_FAMILY,
    WHY_NO_UNIX_SOCKETS,
    WHY_NO_WORKERS,
    claim_port,
    end_group,
    file_limit,
    forbid_core_dumps,
    handle_signals,
    hang_up,
    has_input,
    lock_file,
    make_like,
    new_event_loop,
    open_channel,
    own_by,
    own_uid,
    read_output,
    receive,
    resume,
    run_once,
    sync_folder,
    uid_of,
    wait_writable,
)

__all__ = [
    "CLIENTS_MOST",
    "COLORS_TOLD_BY",
    "GROUP_OF_ITS_OWN",
    "LOOP_READS_ALL",
    "OPEN_AS_IT_IS",
    "OPEN_AT_ONCE",
    "PIPE_WHOLE",
    "UNIX_FAMILY",
    "WHY_NO_UNIX_SOCKETS",
    "WHY_NO_WORKERS",
    "claim_port",
    "end_group",
    "file_limit",
    "forbid_core_dumps",
    "handle_signals",
    "hang_up",
    "has_input",
    "lock_file",
    "make_like",
    "new_event_loop",
    "open_channel",
    "own_by",
    "own_uid",
    "read_output",
    "receive",
    "resume",
    "run_once",
    "sync_folder",
    "uid_of",
    "wait_writable",
]
WHY_NO_PEER_UID: Final = "callers' users are known on Linux only"
SPREADING_OPTION: Final[int | None] = None  # SO_REUSEPORT gives all connections to the socket that was bound last
FILES: Final = (posix.FILES_MOST, 61_440, 10_240)
"""macOS says that there is no limit, and takes no more than kern.maxfilesperproc, or OPEN_MAX."""


def far_side(transport: asyncio.Transport) -> Literal["open", "half-closed", "gone"]:
    """Whether one who says no more still waits, nobody tells: it counts as gone, as to Envoy, nginx and Go."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return "open"
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    events = sum(seen for _, seen in poll.poll(0))
    # XNU tells POLLHUP of an end that lies behind bytes, too.
    ended = events & (select.POLLHUP | select.POLLERR) or (events and not _peek(sock))
    return "gone" if ended else "open"


def _peek(sock: Any) -> bytes:
    try:
        with socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM) as copy:
            return copy.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return b"?"
    except OSError:
        return b""


def bytes_sent(sock: Any) -> int | None:
    return None


def unacknowledged(sock: Any) -> bool:
    return False


def drop_new_connections(descriptor: int) -> None:
    return


def handshake_under_way(descriptor: int) -> bool:
    """Nobody tells."""
    return False


def accept_again(descriptor: int) -> None:
    return


def peer_uid(transport: asyncio.Transport) -> int:
    return -1


def why_peers_untold() -> str:
    return WHY_NO_PEER_UID


def uid_map() -> tuple[str, str]:
    return "", "65534"


def raise_file_limit() -> None:
    posix.raise_file_limit(FILES)


def resident_memory() -> int:
    return 0


def give_memory_back() -> bool:
    return False


def copy_access_list(path: str, descriptor: int) -> None:
    """Python has no call for it here."""


def read_process(proc: str = "") -> ProcessCounts:
    return ProcessCounts(cpu=sum(os.times()[:2]), files_most=file_limit())


def reopen_pipe(descriptor: int) -> int:
    return -1


def tell_supervisor(address: str, state: str) -> None:
    return
