"""Sockets that listen: bound, shared among processes, and closed so that nobody who has connected is lost."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import stat
import struct
from typing import Final

from proxy.errors import AddressInUse
from proxy.settings import Address

BACKLOG: Final = 1024
FILES_MOST: Final = 65_536
_LISTENED_ON: Final = "another program listens there"
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
# Classic BPF over a TCP header, a step each: code, jumps if true and if not, operand.
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK
    (0x15, 0, 1, 0x02),  # are they SYN alone?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it
)


def take_no_more(descriptor: int) -> None:
    """Let the kernel drop new connections, so that those it already holds can be taken before the socket closes.

    Closing at once would reset them. A packet filter that drops what would begin one does it (Linux, socket(7):
    SO_ATTACH_FILTER); a handshake that has begun may end.
    """
    import ctypes  # needed once, at the end

    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    _set(descriptor, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(_DROP_SYN), ctypes.addressof(program)))


def take_again(descriptor: int) -> None:
    """Undo it, on a socket that another process listened at before: the filter is the socket's, and outlives it."""
    _set(descriptor, _SO_DETACH_FILTER, bytes(4))


def _set(descriptor: int, option: int, value: bytes) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, option, value)


def readable(descriptor: int) -> bool:
    """True when the kernel holds something for us: bytes, an end, or at a listening socket a new connection."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def allow_many_connections() -> None:
    """Have as many files open as this process may have, within reason: shells and containers begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MOST if hard == resource.RLIM_INFINITY else min(FILES_MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class HandedOver(socket.socket):
    """A listening socket that is not ours to end: whoever waits there when we stop waits for the next program."""


class SocketFile(socket.socket):
    """A unix socket that knows its file even when it is closed."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = path

    def vanish(self) -> None:
        """Remove the file: nobody can connect any more, and whoever has is not affected."""
        path, self._path = self._path, ""  # once: a later file of that name is another program's
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def bind(address: Address) -> socket.socket:
    """A socket that listens there. Raises AddressInUse."""
    try:
        return _bind_unix(address.path) if address.path else _bind_tcp(address)
    except OSError as error:
        reason = error.strerror or str(error)
    raise AddressInUse(f"cannot listen on {shown(address)}: {reason}")


def bind_shared(address: Address, processes: int) -> list[socket.socket]:
    """A socket for each of several processes at the same address. Raises AddressInUse.

    The kernel spreads new connections over TCP sockets (socket(7), SO_REUSEPORT); a unix socket is one for all.
    """
    alone = bind(address)  # SO_REUSEPORT would let us in beside another sidecar of the same user
    if address.path:
        return [alone] * processes
    where = Address(address.host, alone.getsockname()[1])
    alone.close()
    sockets: list[socket.socket] = []
    try:
        sockets.extend(_bind_tcp(where, shared=True) for _ in range(processes))
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return sockets
    raise AddressInUse(f"cannot listen on {shown(where)}: {reason}")


def _bind_tcp(address: Address, *, shared: bool = False) -> socket.socket:
    # As bytes: for any text Python imports what it needs for names beyond ASCII, half a megabyte.
    host = address.host.encode() if address.host.isascii() else address.host
    family, _, _, _, where = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> socket.socket:
    """A socket file that only this user may open; a dead one of an earlier run is replaced, a live one is not."""
    _remove_dead_socket(path)
    sock = SocketFile(path)
    old = os.umask(0o177)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(old)
    return sock


def unbind(sock: socket.socket) -> None:
    """Close a listening socket, if its server has not yet, and remove the file that bind made for it."""
    if isinstance(sock, SocketFile):
        sock.vanish()
    sock.close()


def bound(sock: socket.socket) -> str:
    """Where a socket listens, as users write it, its real port included."""
    name = sock.getsockname()
    return shown(Address(host="", path=name) if sock.family == socket.AF_UNIX else Address(name[0], name[1]))


def shown(address: Address) -> str:
    """The address as users write it."""
    return str(address)


def _remove_dead_socket(path: str) -> None:
    probe = socket.socket(socket.AF_UNIX)
    probe.setblocking(False)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        # So answers any other file, too.
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except BlockingIOError:  # its backlog is full (unix(7), EAGAIN); waiting for room might be waiting for ever
        raise OSError(0, _LISTENED_ON) from None
    except OSError:
        return
    else:
        raise OSError(0, _LISTENED_ON)
    finally:
        probe.close()
