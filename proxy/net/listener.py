"""The plugin's side: sockets that listen, connections that are served, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from proxy.errors import AddressInUse, Failure
from proxy.message import Framing
from proxy.net import farewell
from proxy.net.connection import BODY, HEAD, HOLD, Connection
from proxy.pipeline.ports import Sink
from proxy.pipeline.signal import Signal
from proxy.policy import faults, framing
from proxy.settings import Address

KEEP_LIMIT: Final = 64 * 1024
"""Body bytes kept for a replay."""
KEPT_PIECES_MOST: Final = 256
BACKLOG: Final = 1024
EMPTY_LINES_LIMIT: Final = 16
"""Bytes of empty lines skipped before a head."""


FILES_MOST: Final = 65_536
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at a plugin that could leave without a word."""
ACCEPT_TIME: Final = 0.02
"""Seconds in which a closing listener still takes the connections that the kernel holds for it."""
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


class ClientConnection(Connection):
    """A plugin's connection. Its coroutine is cancelled when the plugin goes away in the middle of an exchange."""

    __slots__ = ("_ended", "_kept_size", "_listener", "_look_due", "_loop", "_task", "kept", "resets", "silent")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(Signal(loop))
        self._listener = listener
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._look_due = False
        self._kept_size = 0
        self.kept: list[bytes] | None = None
        self.resets = True
        self.silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        self.resets = sock is None or sock.family != socket.AF_UNIX
        self._mode = HOLD
        self._task = self._listener.serve(self)

    def eof_received(self) -> bool:
        """True, to leave our side open, for a plugin that will say no more but is owed an answer and waits for it."""
        resting = self._mode == HEAD and not self._partial
        if resting or not (self._ended or self._listener.still_listens(self.transport)):
            self._gone()
            return False
        self.silent = True
        if self._mode == BODY:
            self._break_off()
        self.signal.wake()
        self._look_again()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._gone()

    def _break_off(self) -> None:
        self.detach()
        self._fail(faults.broken_off())

    def pause_reading(self) -> None:
        super().pause_reading()
        self._look_again()

    def _look_again(self) -> None:
        if not self._look_due:
            self._look_due = True
            self._loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """Nobody tells us that a plugin has gone whose silence we know already, or to whom we do not listen now."""
        self._look_due = False
        if self.lost or self._task is None or self._task.done() or not (self.silent or self._reading_paused):
            return
        if self._listener.has_gone(self.transport):
            self.abort()
            self._gone()
        else:
            self._look_again()

    def _gone(self) -> None:
        self.lost = True
        if self._task is not None and not self._task.done():
            self._task.cancel()

    @property
    def head_begun(self) -> bool:
        return bool(self._partial)

    @property
    def ended(self) -> bool:
        return self.lost or self._ended

    def expect_body(self, framing: Framing) -> None:
        super().expect_body(framing)
        self.kept = []
        self._kept_size = 0

    def relay_to(self, sink: Sink) -> None:
        super().relay_to(sink)
        if self.silent and not self.body_done:
            self._break_off()

    def take_whole(self) -> bytes | None:
        body = super().take_whole()
        if body is not None:
            self.kept = [body] if len(body) <= KEEP_LIMIT else None
        return body

    def _deliver(self, pieces: list[bytes]) -> None:
        kept = self.kept
        if kept is not None:
            self._kept_size += sum(map(len, pieces))
            if self._kept_size <= KEEP_LIMIT:
                kept += pieces
                if len(kept) > KEPT_PIECES_MOST:
                    kept[:] = [b"".join(kept)]
            else:
                self.kept = None
        super()._deliver(pieces)

    def _skip_empty_lines(self, partial: bytearray) -> int:
        """A few empty lines before a request line are ignored (RFC 9112, section 2.2)."""
        size = 0
        while size < EMPTY_LINES_LIMIT and partial.startswith(b"\r\n", size):
            size += 2
        del partial[:size]
        return size

    def _partial_fault(self, partial: bytearray, before: int) -> Failure | None:
        if not before and partial:
            self.signal.wake()  # the head's time runs from its first byte
        if framing.hopeless(partial, before):
            return faults.refused("its head holds a bare CR or LF, or a control character")
        return framing.oversized_request(partial)

    def _body_fault(self, reason: str) -> Failure:
        return faults.refused(reason)

    def finish_writing(self) -> None:
        self._ended = True
        if not self.lost and self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        self._ended = True
        super().close()

    def abort(self) -> None:
        self._ended = True
        super().abort()


class Listener:
    """Listens at one or more addresses and serves each connection with `converse`."""

    def __init__(
        self,
        converse: Callable[[ClientConnection], Awaitable[None]],
        report: Callable[[BaseException], None],
        *,
        still_listens: Callable[[asyncio.Transport], bool] = farewell.still_listens,
        has_gone: Callable[[asyncio.Transport], bool] = farewell.has_gone,
    ) -> None:
        self._converse = converse
        self._report = report
        self.still_listens = still_listens
        self.has_gone = has_gone
        self._servers: list[asyncio.Server] = []
        self._files: list[SocketFile] = []
        self._connections: dict[asyncio.Task[None], ClientConnection] = {}

    async def listen(self, sock: socket.socket) -> None:
        """Serve the connections that arrive at a bound socket (see bind)."""
        loop = asyncio.get_running_loop()
        if isinstance(sock, SocketFile):
            self._files.append(sock)
        serve = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._servers.append(await serve(lambda: ClientConnection(self, loop), sock=sock, backlog=BACKLOG))

    def serve(self, connection: ClientConnection) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._converse(connection))
        self._connections[task] = connection
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(error)
            connection.abort()

    @property
    def open(self) -> int:
        """Connections being served."""
        return len(self._connections)

    async def refuse_new(self) -> None:
        """Close the listening sockets; connections that are there, or that the kernel holds for us, go on."""
        descriptors = [sock.fileno() for server in self._servers for sock in server.sockets]
        for file in self._files:
            file.vanish()
        for descriptor in descriptors:
            _take_no_more(descriptor)
        await asyncio.sleep(ACCEPT_TIME)
        for descriptor in descriptors:
            _take_again(descriptor)
        for server in self._servers:
            server.close()
        self._servers.clear()

    def wake_all(self) -> None:
        """Let every conversation look at the state of things."""
        for connection in self._connections.values():
            connection.signal.wake()

    def abort_all(self) -> None:
        for task, connection in list(self._connections.items()):
            task.cancel()
            connection.abort()


def _take_no_more(descriptor: int) -> None:
    """Let the kernel drop new connections, so that those it already holds can be taken before the socket closes.

    Closing at once would reset them. A packet filter that drops what would begin one does it (Linux, socket(7):
    SO_ATTACH_FILTER); a handshake that has begun may end.
    """
    import ctypes  # needed once, at the end

    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    _set(descriptor, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(_DROP_SYN), ctypes.addressof(program)))


def _take_again(descriptor: int) -> None:
    """Undo it: a socket that systemd handed over, or that other processes share, outlives us."""
    _set(descriptor, _SO_DETACH_FILTER, bytes(4))


def _set(descriptor: int, option: int, value: bytes) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, option, value)


def allow_many_connections() -> None:
    """Have as many files open as this process may have, within reason: shells and containers begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MOST if hard == resource.RLIM_INFINITY else min(FILES_MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
    family, _, _, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
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
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        # So answers any other file, too.
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except OSError:
        return
    else:
        raise OSError(0, "another program listens there")
    finally:
        probe.close()
