"""The plugin's side: sockets that listen, connections that are served, and their end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

from biot_sidecar.errors import Failure
from biot_sidecar.http import error_texts as faults
from biot_sidecar.http import framing
from biot_sidecar.http import half_close as farewell
from biot_sidecar.http.accepting import Acceptor
from biot_sidecar.http.connection import BODY, HEAD, HOLD, Connection
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.descriptor_reserve import Reserve
from biot_sidecar.http.interfaces import ClientStream, Sink
from biot_sidecar.http.messages import Framing
from biot_sidecar.http.sockets import BACKLOG, InheritedListener, UnixListener, readable, take_again, take_no_more

KEEP_LIMIT: Final = 64 * 1024
"""Body bytes kept for a replay."""
KEPT_PIECES_MOST: Final = 256
EMPTY_LINES_LIMIT: Final = 16
"""Bytes of empty lines skipped before a head."""
TLS_HANDSHAKE: Final = 0x16
"""The first byte of a ClientHello (RFC 8446, section 5.1), and of no request."""
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at a plugin that could leave without a word."""
ROOM: Final = 16
"""Resting connections that are closed at once for others that wait."""
ACCEPT_TIME: Final = 0.02
"""Seconds in which a closing listener still takes the connections that the kernel holds for it."""


class ClientConnection(Connection, ClientStream):
    """A plugin's connection. Its coroutine is cancelled when the plugin goes away in the middle of an exchange."""

    __slots__ = ("_ended", "_kept_size", "_listener", "_look_due", "_loop", "_task", "kept", "resets", "silent")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(Wakeup(loop))
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
    def resting(self) -> bool:
        """True between two requests."""
        return bool(self.progress) and self._mode == HEAD and not (self._partial or self._ended or self.lost)

    @property
    def head_begun(self) -> bool:
        return bool(self._partial)

    @property
    def ended(self) -> bool:
        return self.lost or self._ended

    def expect_head(self) -> None:
        self.kept = None  # between requests nothing of the last one is held
        super().expect_head()

    def expect_body(self, framing: Framing) -> None:
        super().expect_body(framing)
        self.kept = []
        self._kept_size = 0

    def check_body(self) -> None:
        if self.silent and self.failure is None and not self.body_here:
            self._break_off()
        if self.failure is not None:
            raise self.failure

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
            if partial[0] == TLS_HANDSHAKE:
                return faults.tls_hello()
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
    """Listens at one or more addresses and serves each connection with `converse`.

    `short` hears when connections have to wait for a descriptor; with a `reserve` they need not.
    """

    def __init__(
        self,
        serve_connection: Callable[[ClientConnection], Awaitable[None]],
        report: Callable[[BaseException], None],
        *,
        short: Callable[[], None] = lambda: None,
        reserve: Reserve | None = None,
        still_listens: Callable[[asyncio.Transport], bool] = farewell.still_listens,
        has_gone: Callable[[asyncio.Transport], bool] = farewell.has_gone,
    ) -> None:
        self._converse = serve_connection
        self._report = report
        self.still_listens = still_listens
        self.has_gone = has_gone
        self._short = short
        self._reserve = reserve
        self._acceptors: list[Acceptor] = []
        self._sockets: list[socket.socket] = []
        self._borrowed: list[Acceptor] = []
        self._rested: dict[ClientConnection, int] = {}
        self._files: list[UnixListener] = []
        self._connections: dict[asyncio.Task[None], ClientConnection] = {}

    async def listen(self, sock: socket.socket) -> None:
        """Serve the connections that arrive at a bound socket (see net.sockets)."""
        loop = asyncio.get_running_loop()
        if isinstance(sock, UnixListener):
            self._files.append(sock)
        if not isinstance(sock, InheritedListener):
            take_again(sock.fileno())
        acceptor = Acceptor(
            sock,
            lambda: cast(asyncio.Protocol, ClientConnection(self, loop)),
            self._report,
            short=self._short,
            make_room=self.make_room,
            reserve=self._reserve,
        )
        if isinstance(sock, InheritedListener):
            self._borrowed.append(acceptor)
        else:
            self._acceptors.append(acceptor)
            self._sockets.append(sock)

    def make_room(self) -> None:
        """Close some connections that rest since the last call, the oldest first: others wait for their descriptors."""
        resting = {one: one.progress for one in self._connections.values() if one.resting}
        since = [one for one, progress in resting.items() if self._rested.get(one) == progress]
        self._rested = resting
        for connection in since[:ROOM]:
            connection.close()

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
        for acceptor in self._borrowed:
            acceptor.close()
        self._borrowed.clear()
        descriptors = [sock.fileno() for sock in self._sockets]
        for file in self._files:
            file.vanish()
        for descriptor in descriptors:
            take_no_more(descriptor)
        await asyncio.sleep(ACCEPT_TIME)
        for _ in range(BACKLOG):  # a turn of the loop takes one, and a busy machine may have left us none
            if not any(map(readable, descriptors)):
                break
            await asyncio.sleep(0)
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        self._sockets.clear()

    def let_go(self) -> None:
        """Take no more, at once: the loop must not look at a socket that others close (libuv would abort)."""
        for acceptor in [*self._borrowed, *self._acceptors]:
            acceptor.close()
        self._borrowed.clear()
        self._acceptors.clear()

    def wake_all(self) -> None:
        """Let every conversation look at the state of things."""
        for connection in self._connections.values():
            connection.signal.wake()

    def abort_all(self) -> None:
        for task, connection in list(self._connections.items()):
            task.cancel()
            connection.abort()
