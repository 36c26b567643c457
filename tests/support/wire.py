"""HTTP/1.1 on the wire for tests: a strict reading of messages, every byte recorded, every wait bounded."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import sys
from dataclasses import dataclass

DEADLINE = 40.0
"""Seconds that any single wait of a test may take: what only a broken program reaches, on a machine with thirty busy
processes, too. Less than the minute that a call of the tests' routes may last, so that no timeout passes for an event.
"""

_RECORDED = 1 << 20
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class Cut(Exception):
    """The peer ended (or reset) the connection inside a message. `body` holds what came of it."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__(f"cut after {len(body)} bytes")
        self.body = body


class Malformed(Exception):
    """What arrived is not HTTP/1.x by the letter of RFC 9112."""


@dataclass(frozen=True)
class Head:
    """A start line and its field lines, as they came."""

    start: bytes
    fields: list[tuple[bytes, bytes]]
    raw: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def first(self, name: bytes) -> bytes | None:
        return next(iter(self.values(name)), None)

    @property
    def names(self) -> set[bytes]:
        return {name.lower() for name, _ in self.fields}

    @property
    def chunked(self) -> bool:
        return [value.lower() for value in self.values(b"transfer-encoding")] == [b"chunked"]

    @property
    def length(self) -> int | None:
        values = self.values(b"content-length")
        if len(values) > 1 or (values and self.values(b"transfer-encoding")):
            raise Malformed(f"ambiguous framing: {self.raw!r}")
        return int(values[0]) if values else None


def parse_head(raw: bytes) -> Head:
    """Reads a head that ends with an empty line; raises Malformed for whatever RFC 9112 does not allow."""
    if re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", raw):
        raise Malformed(f"control characters: {raw!r}")
    start, *lines = raw[:-4].split(b"\r\n")
    return Head(start, [_parse_field(line) for line in lines], raw)


def _parse_field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.match(name):
        raise Malformed(f"field line: {line!r}")
    return name, value.strip(b" \t")


class RecordingReader(asyncio.StreamReader):
    """A StreamReader that keeps the first MiB of everything that ever arrived, read or not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=1 << 20, loop=loop)
        self.recorded = bytearray()

    def feed_data(self, data: bytes) -> None:
        if len(self.recorded) < _RECORDED:
            self.recorded += data
        super().feed_data(data)


class Stream:
    """One side of a connection."""

    def __init__(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.gone = False  # closed or reset by ourselves
        sock = writer.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def raw(self) -> bytes:
        """Everything that arrived (its first MiB), read or not."""
        return bytes(self.reader.recorded)

    async def send(self, data: bytes) -> None:
        """Writes and waits until the bytes have left, within the deadline."""
        async with asyncio.timeout(DEADLINE):
            self.writer.write(data)
            await self.writer.drain()

    async def read_head(self) -> Head | None:
        """The next head, or None when the peer ended before its first byte."""
        try:
            async with asyncio.timeout(DEADLINE):
                return parse_head(await self.reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Cut(error.partial) from None
            return None
        except (ConnectionError, ssl.SSLError):
            raise Cut from None

    async def read_exactly(self, size: int) -> bytes:
        try:
            async with asyncio.timeout(DEADLINE):
                return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise Cut(error.partial) from None
        except (ConnectionError, ssl.SSLError):
            raise Cut from None

    async def read_line(self) -> bytes:
        try:
            async with asyncio.timeout(DEADLINE):
                line = await self.reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            raise Cut from None
        return line[:-2]

    async def read_to_end(self) -> bytes:
        """Everything up to a clean end of the stream; a reset is a Cut."""
        got = bytearray()
        try:
            async with asyncio.timeout(DEADLINE):
                while piece := await self.reader.read(1 << 16):
                    got += piece
        except (ConnectionError, ssl.SSLError):
            raise Cut(bytes(got)) from None
        return bytes(got)

    async def read_chunked(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """A chunked body and its trailers; Cut carries the data that came before the end."""
        body = bytearray()
        try:
            while size := _chunk_size(await self.read_line()):
                body += await self.read_exactly(size)
                if await self.read_exactly(2) != b"\r\n":
                    raise Malformed("chunk data without its CRLF")
            return bytes(body), await self._read_trailers()
        except Cut as cut:
            raise Cut(bytes(body) + cut.body) from None

    async def _read_trailers(self) -> list[tuple[bytes, bytes]]:
        trailers = []
        while line := await self.read_line():
            trailers.append(_parse_field(line))
        return trailers

    async def ended(self) -> bool:
        """True when the peer ends or resets the connection within the deadline, without another byte."""
        try:
            return await self.read_to_end() == b""
        except Cut as cut:
            return cut.body == b""
        except TimeoutError:
            return False

    def shut_writing(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        self.gone = True
        self.writer.close()

    async def close_out(self) -> None:
        """Closes, and returns when the end is on its way.

        A Linux that is short of memory for TCP keeps the end behind bytes that nobody has acknowledged yet until it
        sends those again, 200 ms later (tcp_send_fin): the other side cannot know of it before.
        """
        with contextlib.suppress(OSError):  # the other side has reset it meanwhile
            sent = segments_sent(self.writer)
            if sent >= 0 and self.writer.can_write_eof():  # over TLS the end is bytes, too
                self.shut_writing()
                while segments_sent(self.writer) == sent:
                    await asyncio.sleep(0.01)
        self.close()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.gone = True
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        abort(self.writer)

    def cut_off(self) -> None:
        """Ends a TLS connection without close_notify, a plain one without ceremony."""
        self.gone = True
        abort(self.writer)

    async def wait_closed(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()


def segments_sent(writer: asyncio.StreamWriter) -> int:
    """TCP segments that have left, `tcpi_segs_out` of linux/tcp.h; -1 where no system tells. Raises OSError."""
    if not sys.platform.startswith("linux"):
        return -1
    info = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144)
    return int(struct.unpack_from("=I", info, 136)[0]) if len(info) >= 140 else -1


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection at once, also one that was closed before: a TLS transport of Python 3.11.2 fails then."""
    with contextlib.suppress(AttributeError):
        writer.transport.abort()


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].rstrip(b" \t")
    if not re.fullmatch(rb"[0-9A-Fa-f]+", size):
        raise Malformed(f"chunk size: {line!r}")
    return int(size, 16)


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A chunked body, one chunk for each piece; `trailers` are raw field lines with their CRLFs."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


def request(method: str = "GET", target: str = "/", *fields: bytes, body: bytes = b"") -> bytes:
    """A plain HTTP/1.1 request with a Host of ours; `fields` are raw field lines without CRLF."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: 127.0.0.1", *fields, *length]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def response(status: int = 200, *fields: bytes, body: bytes = b"", reason: bytes = b"OK") -> bytes:
    """A plain HTTP/1.1 answer with a Content-Length; `fields` are raw field lines without CRLF."""
    lines = [b"HTTP/1.1 %d %s" % (status, reason), *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def lines(*parts: bytes) -> bytes:
    """Raw lines joined by CRLF, with the empty line at the end."""
    return b"\r\n".join(parts) + b"\r\n\r\n"
