"""Linux, with glibc or musl."""

from __future__ import annotations

import sys

assert sys.platform == "linux"  # noqa: S101 - for mypy, which reads no further for others

import asyncio
import contextlib
import gc
import os
import select
import socket
import stat
import struct
from array import array
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

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
    raise_file_limit,
    read_output,
    receive,
    resume,
    run_once,
    sync_folder,
    uid_of,
    wait_writable,
)

if TYPE_CHECKING:
    from biot_sidecar.platform.sock_diag import FarEnd

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
    "raise_file_limit",
    "read_output",
    "receive",
    "resume",
    "run_once",
    "sync_folder",
    "uid_of",
    "wait_writable",
]
WHY_NO_PEER_UID: Final = ""
SPREADING_OPTION: Final[int | None] = socket.SO_REUSEPORT
_UNKNOWN_UID: Final = -1
_BROKEN: Final = select.POLLHUP | select.POLLERR
_NO_MORE_READING: Final = 1  # RCV_SHUTDOWN
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid (unix(7), SO_PEERCRED)
_RETRANSMITS: Final = 2  # offsets in struct tcp_info
_UNACKED: Final = 24
_BYTES_SENT: Final = 200
_BYTES_RETRANS: Final = 208
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
# Classic BPF over a TCP header, a step each: code, jumps if true and if not, operand.
_ACCESS_LIST: Final = "system.posix_acl_access"
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # are they SYN alone?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it
)


# ---- connections


def far_side(transport: asyncio.Transport) -> Literal["open", "half-closed", "gone"]:
    sock = transport.get_extra_info("socket")
    if sock is None:
        return "open"
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP | _BROKEN)
    events = sum(seen for _, seen in poll.poll(0))
    if not events:
        return "open"
    return "half-closed" if not events & _BROKEN and _listens(sock, transport) else "gone"


def _listens(sock: Any, transport: asyncio.Transport) -> bool:
    if sock.family == socket.AF_UNIX:
        return True  # of a closed one the kernel tells POLLHUP
    near, far = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    try:
        shutdown = _far_end(sock.family, near, far).shutdown
    except (OSError, struct.error):
        return False
    return shutdown is not None and not shutdown & _NO_MORE_READING


def bytes_sent(sock: Any) -> int | None:
    """Linux 4.19 or newer (tcp(7): TCP_INFO; tcpi_bytes_sent and tcpi_bytes_retrans of linux/tcp.h)."""
    info = _tcp_info(sock)
    if len(info) < _BYTES_RETRANS + 8:
        return None
    sent, again = struct.unpack_from("QQ", info, _BYTES_SENT)
    return int(sent - again)


def unacknowledged(sock: Any) -> bool:
    """By tcpi_unacked, segments, once something was sent again: before that a word may be on its way."""
    info = _tcp_info(sock)
    return len(info) >= _UNACKED + 4 and info[_RETRANSMITS] > 0 and struct.unpack_from("I", info, _UNACKED)[0] > 0


def _tcp_info(sock: Any) -> bytes:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            return bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RETRANS + 8))
    return b""


# ---- listening sockets


def drop_new_connections(descriptor: int) -> None:
    """Closing at once would reset those that the kernel holds. A packet filter drops what would begin a connection
    (socket(7): SO_ATTACH_FILTER); a handshake that has begun may end.
    """
    program = array("B", b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    _set(descriptor, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(_DROP_SYN), program.buffer_info()[0]))


def handshake_under_way(descriptor: int) -> bool:
    """Whether the kernel has yet to finish a connection that has begun; False where it does not tell."""
    from biot_sidecar.platform import sock_diag  # asked at the end alone

    with contextlib.suppress(OSError, struct.error), socket.socket(fileno=os.dup(descriptor)) as sock:
        if sock.family != socket.AF_UNIX:
            return sock_diag.handshake_under_way(sock.family, sock.getsockname()[1])
    return False


def accept_again(descriptor: int) -> None:
    """The filter is the socket's, and outlives the process that set it."""
    _set(descriptor, _SO_DETACH_FILTER, bytes(4))


def _set(descriptor: int, option: int, value: bytes) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, option, value)


# ---- users


def _far_end(family: int, near: tuple[Any, ...], far: tuple[Any, ...]) -> FarEnd:
    """The socket at the other end of a connection on this machine. Raises OSError and struct.error."""
    from biot_sidecar.platform.sock_diag import find_far_end  # asked of few connections

    return find_far_end(family, near, far)


def peer_uid(transport: asyncio.Transport) -> int:
    sock = transport.get_extra_info("socket")
    if sock is None:
        return _UNKNOWN_UID
    try:
        if sock.family == socket.AF_UNIX:
            _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            return int(uid)
        near, far = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if not near or not far:
            return _UNKNOWN_UID
        found = _far_end(sock.family, near, far)
    except (OSError, struct.error):
        return _UNKNOWN_UID
    # Of a socket that its process has closed the kernel says 0, which is root.
    return found.uid if found.inode else _UNKNOWN_UID


def why_peers_untold() -> str:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as far,
        ):
            found = _far_end(socket.AF_INET, far.getpeername(), far.getsockname())
    except OSError as error:
        return error.strerror or str(error)
    return "" if found.inode and found.uid == os.geteuid() else "it names another user than the one who connected"


def uid_map() -> tuple[str, str]:
    return _text_of("/proc/self/uid_map"), _text_of("/proc/sys/kernel/overflowuid") or "65534"


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""  # nothing is known to be mapped


# ---- this process


def resident_memory() -> int:
    """proc_pid_statm(5)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_memory_back() -> bool:
    """malloc_trim(3), which musl has not."""
    import ctypes  # 1 MB, which a process without bursts does not need

    try:
        give_back = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    gc.collect()
    give_back(0)
    return True


def copy_access_list(path: str, descriptor: int) -> None:
    with contextlib.suppress(OSError):  # most files have none
        os.setxattr(descriptor, _ACCESS_LIST, os.getxattr(path, _ACCESS_LIST))


def read_process(proc: str = "/proc") -> ProcessCounts:
    counts = ProcessCounts(files_most=posix.file_limit())
    for read in (_read_stat, _read_files):
        with contextlib.suppress(OSError, ValueError, IndexError):  # no descriptor may be left to read it by
            counts = msgspec.structs.replace(counts, **read(proc))
    return counts


def _read_stat(proc: str) -> dict[str, Any]:
    """proc_pid_stat(5); fields are counted from the one behind the command's name, which may hold anything."""
    with open(f"{proc}/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        "cpu": (int(fields[11]) + int(fields[12])) / ticks,
        "started": _boot_time(proc) + int(fields[19]) / ticks,
        "virtual": int(fields[20]),
        "resident": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
    }


_booted: dict[str, int] = {}


def _boot_time(proc: str) -> int:
    """Wall-clock seconds; read once, since the file has a line for each processor and interrupt."""
    if proc not in _booted:
        with open(f"{proc}/stat", "rb") as file:
            _booted[proc] = next((int(line.split()[1]) for line in file if line.startswith(b"btime ")), 0)
    return _booted[proc]


def _read_files(proc: str) -> dict[str, Any]:
    return {"open_files": len(os.listdir(f"{proc}/self/fd"))}


# ---- pipes, and who supervises us


def reopen_pipe(descriptor: int) -> int:
    """Opened anew, since not to wait is a property that all who share a descriptor share, our parent's shell too."""
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        pass
    return -1


def tell_supervisor(address: str, state: str) -> None:
    """sd_notify(3)."""
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace, unix(7)
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
