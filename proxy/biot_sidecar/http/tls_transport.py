"""TLS in memory: an asyncio.Protocol for the TCP transport below, a transport for the connection above.

The loop's own TCP transport reads, writes and notices ends, so that no end is lost over TLS that is noticed over TCP.
What arrives is decrypted and handed on at once, what the kernel still held when a connection broke included.

The peer's close_notify is the only clean end (RFC 8446, section 6.1), told by `eof_received`; a connection that just
ends is lost, and what it carried may be cut short. Records are followed by their lengths (section 5.1), and
OpenSSL is asked for whole ones: a connection on which part of a record lies is not at rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, Final, cast

from biot_sidecar.http.connect_errors import ClosedInHandshake, NoTls
from biot_sidecar.http.read_buffer import READ
from biot_sidecar.http.sockets import rest_of
from biot_sidecar.http.tls_sessions import TlsSessions

RECORD: Final = 16 * 1024
"""Bytes of plaintext in the largest record."""
HEADER: Final = 5
CONTENT_TYPES: Final = frozenset({20, 21, 22, 23})
"""First bytes of records (RFC 8446, appendix B.1)."""

_LONGEST: Final = RECORD + 2048
"""Bytes of the longest record, encrypted: TLS 1.2's (RFC 5246, section 6.2.3)."""

_NOBODY: Final = asyncio.Protocol()


class TlsTransport:
    """One connection to a server that proves to be `host`. `ready` ends with the handshake, or with its failure.

    `sessions` tells which session it may resume, and takes the one that it makes.
    uvloop reads by `get_buffer` and `buffer_updated`, which saves a copy; asyncio by `data_received`.
    """

    __slots__ = (
        "_begun",
        "_closing",
        "_error",
        "_header",
        "_heard",
        "_incoming",
        "_missing",
        "_outgoing",
        "_protocol",
        "_ready",
        "_resuming",
        "_sessions",
        "_shaken",
        "_tcp",
        "_tls",
        "written",
    )

    def __init__(
        self,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        host: str | bytes,
        ready: asyncio.Future[None],
        sessions: TlsSessions | None = None,
    ) -> None:
        self._protocol = protocol
        self._ready = ready
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._sessions = sessions  # until the server's first data
        session = None if sessions is None else sessions.offered()
        self._resuming = session is not None
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        self._tcp: Any = None
        self._heard = False  # anything at all
        self._shaken = False
        self._closing = False
        self._error: Exception | None = None
        self._begun = 0  # bytes that have arrived of a record that is not whole
        self._missing = 0  # bytes of it that are still to come, as far as its header tells
        self._header = b""  # of it, where that is not whole either
        self.written = 0  # bytes handed to the transport below

    # ---- from the transport below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = transport
        self._shake_hands()

    def get_buffer(self, hint: int) -> memoryview:
        return READ

    def buffer_updated(self, count: int) -> None:
        self._receive(READ[:count])

    def data_received(self, data: bytes) -> None:
        self._receive(memoryview(data))

    def _receive(self, data: memoryview) -> None:
        if self._closing:
            return
        self._incoming.write(data)
        self._follow(data)
        if not self._shaken:
            if not self._heard and data[0] not in CONTENT_TYPES:
                self._break_handshake(NoTls())
                return
            self._heard = True
            self._shake_hands()
            if not self._shaken or self._incoming.pending <= self._begun:
                return
        self._decrypt()

    def _decrypt(self) -> None:
        """Hand on the data of all records that are whole. To ask for part of one would make an exception each time."""
        incoming = self._incoming
        begun = self._begun
        read = self._tls.read
        pieces: list[bytes] = []
        ended = False
        try:
            while incoming.pending > begun:
                piece = read(RECORD)
                if not piece:
                    ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:  # after a record that is not the connection's (a session ticket)
            pass
        except ssl.SSLError as error:
            self._error = error
        if pieces:
            if self._sessions is not None:
                self._keep_session(self._sessions)
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._outgoing.pending:  # a key update, or an alert of our own
            self._flush()
        if ended:
            self._protocol.eof_received()
            self._end()
        elif self._error is not None:
            self._end()

    def _keep_session(self, sessions: TlsSessions) -> None:
        """The server's first data: its tickets have come before it."""
        self._sessions = None
        if not self._tls.session_reused:
            sessions.verified(self._tls)

    def _doubt_session(self) -> None:
        """The connection ends, and not by our will: did the server want no resumption?"""
        if self._resuming and self._sessions is not None:
            self._sessions.broken()

    def _follow(self, data: memoryview) -> None:
        """Find out where the records end that `data` continues. What can be no record passes for a whole one, so that
        OpenSSL says what is wrong with it.
        """
        if self._header:  # which came in two pieces
            data = memoryview(self._header + bytes(data))
            self._header = b""
        size = len(data)
        at = self._missing
        begun = self._begun + size
        while at + HEADER <= size:
            begun = size - at
            at += HEADER + (data[at + 3] << 8 | data[at + 4])
        if at < size:
            self._header = bytes(data[at:])
            begun = size - at
        elif at == size or (begun <= size and not _begins_record(data[size - begun :])):
            begun = 0
        self._missing = max(0, at - size)
        self._begun = begun

    @property
    def mid_record(self) -> bool:
        """True when part of a record has arrived, and the rest has not; here or in TLS below."""
        below: object = self._tcp
        return self._begun > 0 or (isinstance(below, TlsTransport) and below.mid_record)

    @property
    def handed(self) -> int:
        """Bytes handed to the TCP transport at the bottom."""
        below: object = self._tcp
        return below.handed if isinstance(below, TlsTransport) else self.written

    @property
    def connected(self) -> bool:
        """True once the server took the TCP connection."""
        return self._tcp is not None

    def eof_received(self) -> bool:
        if self._shaken:
            self._tcp.abort()  # whatever is still to be sent: nobody will answer
        else:
            self._break_handshake(ClosedInHandshake())
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            for data in rest_of(self._tcp):
                self.data_received(data)
        if not (self._closing and self._shaken):
            self._doubt_session()
        self._closing = True
        if self._shaken:
            self._protocol.connection_lost(self._error or error)
            self._protocol = _NOBODY  # which knows this: 50 KB would stay until a collection of garbage
        elif not self._ready.done():
            self._ready.set_exception(ClosedInHandshake())

    def pause_writing(self) -> None:
        if self._shaken:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._shaken:
            self._protocol.resume_writing()

    # ---- the handshake

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._break_handshake(error)
            return
        self._shaken = True
        if not self._ready.done():
            self._ready.set_result(None)
        self._protocol.connection_made(cast(asyncio.Transport, self))

    def end_handshake(self) -> None:
        """Send our last part of it, which waits for the first data above it: a write for both is one system call fewer,
        and one wake-up of the server.
        """
        self._flush()

    def _break_handshake(self, error: Exception) -> None:
        self._closing = True
        if not self._ready.done():
            self._ready.set_exception(error)
        self._flush()  # the alert that says why
        self._tcp.close()

    # ---- for the connection above

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        failed: Exception | None = None
        try:
            if len(data) <= RECORD:
                self._tls.write(data)
                self._flush()
            else:
                self._write_records(memoryview(data))
        except ssl.SSLError as error:
            failed = error
        if failed is not None:
            self._error = failed
            self.abort()

    def _write_records(self, data: memoryview) -> None:
        """Send one record at a time: larger pieces are memory that is asked of the system anew each time."""
        sent = 0
        while sent < len(data):
            sent += self._tls.write(data[sent : sent + RECORD])
            self._flush()

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._tcp.is_closing():
            self.written += len(data)
            self._tcp.write(data)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        """What is decrypted goes there from now on."""
        self._protocol = protocol

    def pause_reading(self) -> None:
        if not self._tcp.is_closing():
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        if not self._tcp.is_closing():
            self._tcp.resume_reading()

    def get_write_buffer_size(self) -> int:
        return cast(int, self._tcp.get_write_buffer_size())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._tcp.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._closing or bool(self._tcp.is_closing())

    def close(self) -> None:
        """Say that no more comes, and close when that is out. The peer's own close_notify is not waited for."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's
            self._tls.unwrap()
        self._flush()
        self._tcp.close()

    def _end(self) -> None:
        """Close what the peer has ended, or TLS has; nobody reads what still waits to be sent."""
        self._doubt_session()
        unsent = self.get_write_buffer_size() > 0
        self.close()
        if unsent:
            self._tcp.abort()

    def abort(self) -> None:
        self._closing = True
        if self._tcp is not None:
            self._tcp.abort()


def _begins_record(data: memoryview) -> bool:
    return data[0] in CONTENT_TYPES and data[1] == 3 and (data[3] << 8 | data[4]) <= _LONGEST
