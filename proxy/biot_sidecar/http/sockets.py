"""Sockets that listen: bound, shared among processes, and closed so that nobody who has connected is lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from biot_sidecar.errors import AddressInUse
from biot_sidecar.platform import SPREADING_OPTION, UNIX_FAMILY, claim_port, receive
from biot_sidecar.settings import ListenAddress

BACKLOG: Final = 1024
FREE_PORT_TRIES: Final = 16
Where = tuple[Any, ...]
"""A socket address as Python has it: host, port, and with IPv6 two numbers more."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_LISTENED_ON: Final = "another program listens there"
REST_READS: Final = 512
"""Reads of 64 KiB: more than a kernel's largest receive buffer holds (32 MiB, net.ipv4.tcp_rmem)."""


def rest_of(transport: Any) -> Iterator[bytes]:
    """What the kernel still holds of a connection that broke.

    A server that refuses an upload may answer and hang up at once: our next write fails, and the transport ends before
    it has read the answer.
    """
    raw = transport.get_extra_info("socket")
    if raw is None:
        return
    with contextlib.suppress(OSError):
        for _ in range(REST_READS):
            data = receive(raw, 64 * 1024)
            if not data:
                return
            yield data


def hand_over(transport: Any, protocol: asyncio.Protocol) -> None:
    """Let `protocol` take over a transport that does not read at the moment.

    Reading starts anew, since what reads differs from protocol to protocol: a BufferedProtocol lends its own buffer.
    """
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if not transport.is_closing():
        transport.resume_reading()


class InheritedListener(socket.socket):
    """A listening socket that is not ours to end: whoever waits there when we stop waits for the next program."""


class UnixListener(socket.socket):
    """A unix socket that knows its file even when it is closed."""

    def __init__(self, path: str) -> None:
        super().__init__(UNIX_FAMILY, socket.SOCK_STREAM)
        self._path = path

    def unlink(self) -> None:
        """Remove the file: nobody can connect any more, and whoever has is not affected."""
        path, self._path = self._path, ""  # once: a later file of that name is another program's
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def bind_all(
    address: ListenAddress,
    processes: int = 1,
    *,
    beside: Collection[ListenAddress] = (),
    ours: Collection[Where] = (),
    mode: int = 0o600,
) -> list[list[socket.socket]]:
    """The sockets that listen at each place that `address` stands for, one for each process. Raises AddressInUse.

    `localhost`, or another name, may stand for several, which get the same port; those that this machine does not have
    count for nothing, and those in `ours` are listened at already. `[::]` takes IPv4 too, unless one of the addresses
    `beside` it does so at that port.
    """
    v6only = address.host != "::" or any(":" not in one.host and one.port == address.port > 0 for one in beside)
    try:
        if address.path:
            return [[_bind_unix(address.path, mode)] * processes]
        return _bind_places(address, processes, v6only, ours)
    except OSError as error:
        reason = error.strerror or str(error)
    raise AddressInUse(f"cannot listen on {shown(address)}: {reason}")


def _bind_places(
    address: ListenAddress, processes: int, v6only: bool, ours: Collection[Where]
) -> list[list[socket.socket]]:
    tries = 1 if address.port else FREE_PORT_TRIES
    while True:
        try:
            return _bind_each(_places(address, ours), processes, v6only)
        except OSError as error:
            tries -= 1  # a port that is free in one family may be taken in the other
            if not tries or error.errno != errno.EADDRINUSE:
                raise


def _places(address: ListenAddress, ours: Collection[Where]) -> list[tuple[int, Where]]:
    """Family and socket address of each place, IPv4 first."""
    found: list[tuple[int, Where]]
    if address.host.lower() == "localhost":
        # Both, whatever the resolver knows: clients need not ask it (RFC 6761, section 6.3).
        found = [(socket.AF_INET, ("127.0.0.1", address.port)), (socket.AF_INET6, ("::1", address.port, 0, 0))]
    else:
        # As bytes: for any text Python imports what it needs for names beyond ASCII, half a megabyte.
        host = address.host.encode() if address.host.isascii() else address.host
        told = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found = sorted({(int(family), tuple(where)) for family, _, _, _, where in told})
    return [(family, where) for family, where in found if not address.port or where not in ours]


def _bind_each(places: list[tuple[int, Where]], processes: int, v6only: bool) -> list[list[socket.socket]]:
    """A list of sockets for each place that exists. Raises OSError with none of them left open."""
    port, missing = 0, None
    with contextlib.ExitStack() as held:
        bound: list[list[socket.socket]] = []
        for family, where in places:
            at = (where[0], port or where[1], *where[2:])
            try:
                alone = held.enter_context(_bind_tcp(family, at, v6only))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            port = alone.getsockname()[1]
            bound.append([alone] if processes == 1 else _share(held, alone, processes, v6only))
        if missing is not None and not bound:
            raise missing
        held.pop_all()
    return bound


def _share(held: contextlib.ExitStack, alone: socket.socket, processes: int, v6only: bool) -> list[socket.socket]:
    """A socket for each process at the place of `alone`, over which the kernel spreads connections (socket(7)), or the
    same one for all of them where it does not.

    SO_REUSEPORT would have let us in beside another sidecar of the same user: `alone` has proved that there is none.
    """
    if SPREADING_OPTION is None:
        return [alone] * processes
    where = alone.getsockname()
    alone.close()
    return [held.enter_context(_bind_tcp(alone.family, where, v6only, shared=True)) for _ in range(processes)]


def _bind_tcp(family: int, where: Where, v6only: bool, *, shared: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        claim_port(sock)
        if shared and SPREADING_OPTION is not None:
            sock.setsockopt(socket.SOL_SOCKET, SPREADING_OPTION, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: str, mode: int) -> socket.socket:
    """A socket file that only this user may open; a dead one of an earlier run is replaced, a live one is not."""
    _remove_dead_socket(path)
    sock = UnixListener(path)
    old = os.umask(0o777 & ~mode)
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
    if isinstance(sock, UnixListener):
        sock.unlink()
    sock.close()


def bound(sock: socket.socket) -> str:
    """Where a socket listens, as users write it, its real port included."""
    name = sock.getsockname()
    return shown(ListenAddress(host="", path=name) if sock.family == UNIX_FAMILY else ListenAddress(name[0], name[1]))


def called_at(sockets: Sequence[socket.socket]) -> str:
    """How a client on this machine calls one of them: a URL if it can."""
    tcp = [sock for sock in sockets if sock.family != UNIX_FAMILY]
    if not tcp:
        return bound(sockets[0]) if sockets else ""
    host, port = tcp[0].getsockname()[:2]
    return f"http://{ListenAddress({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host), port)}"


def shown(address: ListenAddress) -> str:
    """The address as users write it."""
    return str(address)


def _remove_dead_socket(path: str) -> None:
    probe = socket.socket(UNIX_FAMILY)
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
