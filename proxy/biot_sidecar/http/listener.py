"""The client's side: listens, gives each connection a coroutine that serves it, and ends both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

from biot_sidecar.errors import Failure
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http import framing, half_close
from biot_sidecar.http.accepting import Acceptor
from biot_sidecar.http.connection import Connection
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.descriptor_reserve import Reserve
from biot_sidecar.http.interfaces import ClientStream, Sink
from biot_sidecar.http.messages import Framing
from biot_sidecar.http.read_buffer import READ, BufferedReader
from biot_sidecar.http.request_pacing import PER_TURN, RequestPacer
from biot_sidecar.http.sockets import BACKLOG, InheritedListener, UnixListener
from biot_sidecar.platform import (
    CLIENTS_MOST,
    UNIX_FAMILY,
    UNKNOWN_UID,
    accept_again,
    drop_new_connections,
    handshake_under_way,
    has_input,
)

REPLAY_LIMIT: Final = 64 * 1024
"""Body bytes kept for a replay."""
REPLAY_PIECES_LIMIT: Final = 256
EMPTY_LINES_LIMIT: Final = 16
"""Bytes of empty lines skipped before a head."""
TLS_HANDSHAKE: Final = 0x16
"""The first byte of a ClientHello (RFC 8446, section 5.1), and of no request."""
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at a plugin that could leave without a word."""
ROOM_AT_ONCE: Final = 16
"""Resting connections that are closed at once for others that wait."""
LARGE_BODIES: Final = 16
"""Large bodies under way at once that are read as the loop likes it best, 250 KB at a time: a third less CPU time."""
ACCEPT_TIME: Final = 0.02
"""Seconds in which a closing listener still takes the connections that the kernel holds for it."""
HANDSHAKE_LOOKS: Final = 25
"""As often as that, each ACCEPT_TIME later, it waits on for a handshake that a busy kernel has not yet finished."""


class ClientConnection(Connection, ClientStream):
    """A plugin's connection. Its coroutine is cancelled when the plugin goes away in the middle of an exchange."""

    __slots__ = (
        "_buffered",
        "_listener",
        "_look_due",
        "_loop",
        "_replay_size",
        "_task",
        "_write_closed",
        "caller_uid",
        "can_reset",
        "half_closed",
        "replay_buffer",
    )

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(Wakeup(), holding=True)
        self._listener = listener
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._write_closed = False
        self._look_due = False
        self._buffered = False  # reads by the buffer that all share
        self._replay_size = 0
        self.replay_buffer: list[bytes] | None = None
        self.can_reset = True
        self.caller_uid = UNKNOWN_UID
        self.half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        self.can_reset = sock is None or sock.family != UNIX_FAMILY
        if self._listener.caller_uid is not None:
            self.caller_uid = self._listener.caller_uid(self.transport)
        self._task = self._listener.serve(self)

    def eof_received(self) -> bool:
        """True, to leave our side open, for a plugin that will say no more but is owed an answer and waits for it."""
        if self.awaits_head or not (self._write_closed or self._listener.is_half_closed(self.transport)):
            self._gone()
            return False
        self.half_closed = True
        if self.relaying:
            self._break_off()
        self.wakeup.wake()
        self._look_again()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._gone()

    def _head_arrived(self) -> None:
        self._listener.head_arrived(self.wakeup)

    def _break_off(self) -> None:
        self.detach()
        self._fail(errors.incomplete_request())

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
        if self.lost or self._task is None or self._task.done() or not (self.half_closed or self._reading_paused):
            return
        if self._listener.is_disconnected(self.transport):
            self.abort()
            self._gone()
        else:
            self._look_again()

    def _gone(self) -> None:
        self.lost = True
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def served(self) -> None:
        """Its coroutine has ended; whoever knows one another would stay until a collection of garbage."""
        self._task = None
        self._listener.large_bodies.discard(self)

    @property
    def resting(self) -> bool:
        """True between two requests."""
        return bool(self.activity) and self.awaits_head and not (self._write_closed or self.lost)

    @property
    def write_closed(self) -> bool:
        return self.lost or self._write_closed

    def expect_head(self) -> None:
        self.replay_buffer = None  # between requests nothing of the last one is held
        super().expect_head()

    def expect_body(self, framing: Framing) -> None:
        super().expect_body(framing)
        self.replay_buffer = []
        self._replay_size = 0

    def check_body(self) -> None:
        if self.half_closed and self.failure is None and not self.body_here:
            self._break_off()
        if self.failure is not None:
            raise self.failure

    def relay_to(self, sink: Sink) -> None:
        super().relay_to(sink)
        if self.body_done:
            return
        if self.half_closed:
            self._break_off()
        elif self._decoder is not None or self._left > len(READ):
            self._read_large_body()

    def _read_large_body(self) -> None:
        """Where many are under way, read it by the buffer that all share; what follows it, too, up to a large body."""
        large_bodies = self._listener.large_bodies
        large_bodies.add(self)
        buffered = len(large_bodies) > LARGE_BODIES
        if buffered != self._buffered:
            self._buffered = buffered
            protocol = cast(asyncio.Protocol, self)
            self.transport.set_protocol(cast(asyncio.Protocol, BufferedReader(protocol)) if buffered else protocol)

    def detach(self) -> None:
        super().detach()
        self._listener.large_bodies.discard(self)

    def take_whole(self) -> bytes | None:
        body = super().take_whole()
        if body is not None:
            self.replay_buffer = [body] if len(body) <= REPLAY_LIMIT else None
        return body

    def _deliver(self, pieces: list[bytes]) -> None:
        replay_buffer = self.replay_buffer
        if replay_buffer is not None:
            self._replay_size += sum(map(len, pieces))
            if self._replay_size <= REPLAY_LIMIT:
                replay_buffer += pieces
                if len(replay_buffer) > REPLAY_PIECES_LIMIT:
                    replay_buffer[:] = [b"".join(replay_buffer)]
            else:
                self.replay_buffer = None
        super()._deliver(pieces)

    def _skip_empty_lines(self, partial: bytearray) -> int:
        """A few empty lines before a request line are ignored (RFC 9112, section 2.2)."""
        size = 0
        while size < EMPTY_LINES_LIMIT and partial.startswith(b"\r\n", size):
            size += 2
        del partial[:size]
        return size

    def _partial_failure(self, partial: bytearray, before: int) -> Failure | None:
        if not before and partial:
            self.wakeup.wake()  # the head's time runs from its first byte
            if partial[0] == TLS_HANDSHAKE:
                return errors.tls_handshake()
        if framing.hopeless(partial, before):
            return errors.malformed_request("its head holds a bare CR or LF, or a control character")
        return framing.oversized_request(partial)

    def _body_failure(self, reason: str) -> Failure:
        return errors.malformed_request(reason)

    def finish_writing(self) -> None:
        self._write_closed = True
        if not self.lost and self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        self._write_closed = True
        super().close()

    def abort(self) -> None:
        self._write_closed = True
        super().abort()


class Listener:
    """Listens at one or more addresses and serves each connection with `serve_connection`.

    `caller_uid` tells whose a connection is, where callers are judged by that. `short` hears when connections have to
    wait for a descriptor; with a `reserve` they need not.
    """

    def __init__(
        self,
        serve_connection: Callable[[ClientConnection], Awaitable[None]],
        report: Callable[[BaseException], None],
        *,
        short: Callable[[], None] = lambda: None,
        reserve: Reserve | None = None,
        caller_uid: Callable[[asyncio.Transport], int] | None = None,
        is_half_closed: Callable[[asyncio.Transport], bool] = half_close.is_half_closed,
        is_disconnected: Callable[[asyncio.Transport], bool] = half_close.is_disconnected,
        clients_most: float = CLIENTS_MOST,
    ) -> None:
        self._serve_connection = serve_connection
        self._report = report
        self.caller_uid = caller_uid
        self.is_half_closed = is_half_closed
        self.is_disconnected = is_disconnected
        self._short = short
        self._reserve = reserve
        self._clients_most = clients_most
        self._acceptors: list[Acceptor] = []
        self._sockets: list[socket.socket] = []
        self._inherited: list[Acceptor] = []
        self._every_acceptor: list[Acceptor] = []
        self._rested: dict[ClientConnection, int] = {}
        self._files: list[UnixListener] = []
        self._pacer: RequestPacer | None = None
        self.large_bodies: set[ClientConnection] = set()  # whose bodies are under way
        self._connections: dict[asyncio.Task[None], ClientConnection] = {}

    async def listen(self, sock: socket.socket) -> None:
        """Serve the connections that arrive at a bound socket (see http.sockets)."""
        loop = asyncio.get_running_loop()
        self._pacer = self._pacer or RequestPacer(loop)
        if isinstance(sock, UnixListener):
            self._files.append(sock)
        if not isinstance(sock, InheritedListener):
            accept_again(sock.fileno())
        acceptor = Acceptor(
            sock,
            lambda: cast(asyncio.Protocol, ClientConnection(self, loop)),
            self._report,
            short=self._short,
            make_room=self.make_room,
            reserve=self._reserve,
            full=lambda: self.open >= self._clients_most,
        )
        self._every_acceptor.append(acceptor)
        if isinstance(sock, InheritedListener):
            self._inherited.append(acceptor)
        else:
            self._acceptors.append(acceptor)
            self._sockets.append(sock)

    def head_arrived(self, wakeup: Wakeup) -> None:
        """Let a request begin, of many at once some a turn of the loop later."""
        if self._pacer is None or len(self._connections) <= PER_TURN:
            wakeup.wake()
        else:
            self._pacer.wake(wakeup)

    def make_room(self) -> None:
        """Close some connections that rest since the last call, the oldest first: others wait for their descriptors."""
        resting = {one: one.activity for one in self._connections.values() if one.resting}
        since = [one for one, activity in resting.items() if self._rested.get(one) == activity]
        self._rested = resting
        for connection in since[:ROOM_AT_ONCE]:
            connection.close()

    def serve(self, connection: ClientConnection) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._serve_connection(connection))
        self._connections[task] = connection
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        self._rested.pop(connection, None)
        connection.served()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(error)
            connection.abort()

    @property
    def open(self) -> int:
        """At least as many as there are connections that are served or taken and about to be, and 0 with none."""
        return len(self._connections) + sum(acceptor.opening for acceptor in self._every_acceptor)

    async def stop_accepting(self) -> None:
        """Close the listening sockets; connections that are there, or that the kernel holds for us, go on."""
        for acceptor in self._inherited:
            acceptor.close()
        self._inherited.clear()
        descriptors = [sock.fileno() for sock in self._sockets]
        for file in self._files:
            file.unlink()
        for descriptor in descriptors:
            drop_new_connections(descriptor)
        await asyncio.sleep(ACCEPT_TIME)
        for _ in range(HANDSHAKE_LOOKS):
            if not any(map(handshake_under_way, descriptors)):
                break
            await asyncio.sleep(ACCEPT_TIME)
        for _ in range(BACKLOG):  # a turn of the loop takes one, and a busy machine may have left us none
            if not any(map(has_input, descriptors)):
                break
            await asyncio.sleep(0)
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        self._sockets.clear()

    def close_acceptors(self) -> None:
        """Take no more, at once: the loop must not look at a socket that others close (libuv would abort)."""
        for acceptor in [*self._inherited, *self._acceptors]:
            acceptor.close()
        self._inherited.clear()
        self._acceptors.clear()

    def wake_all(self) -> None:
        """Let every conversation look at the state of things."""
        for connection in self._connections.values():
            connection.wakeup.wake()

    def abort_all(self) -> None:
        for task, connection in list(self._connections.items()):
            task.cancel()
            connection.abort()
