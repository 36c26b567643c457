"""The sending half of a connection: heads and bodies go out, held back while the transport is full."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from biot_sidecar.http.chunked import encode_chunks, encode_end
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.header_rules import safe_trailers
from biot_sidecar.http.interfaces import HttpStream, Source
from biot_sidecar.http.messages import BODY_CHUNKED, BodyFraming, Headers


class Sender(HttpStream):
    """Writes to its transport, which tells when it is full and when the connection is lost."""

    __slots__ = (
        "_corked",
        "_out_chunked",
        "_source",
        "activity",
        "lost",
        "transport",
        "wakeup",
        "write_paused",
        "written",
    )

    transport: asyncio.Transport

    def __init__(self, wakeup: Wakeup) -> None:
        self.wakeup = wakeup
        self.lost = False  # no more bytes will come or go
        self.activity = 0  # grows with everything that arrives or drains
        self.write_paused = False  # the transport holds all it wants to
        self.written = 0  # bytes handed to the transport
        self._source: Source | None = None
        self._corked: list[bytes] | None = None
        self._out_chunked = False

    # ---- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def pause_writing(self) -> None:
        self.write_paused = True
        if self._source is not None:
            self._source.pause_reading()

    def resume_writing(self) -> None:
        self.activity += 1
        self.write_paused = False
        if self._source is not None:
            self._source.resume_reading()
        else:
            self.wakeup.wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.wakeup.wake()

    # ---- writing

    def cork(self) -> None:
        """Hold what is written until uncork(), so that a head and its body leave in one system call (8 us each)."""
        self._corked = []

    def uncork(self) -> None:
        held, self._corked = self._corked, None
        if held:
            self.write(held[0] if len(held) == 1 else b"".join(held))

    def write(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked.append(data)
        elif not self.lost:
            self.written += len(data)
            self.transport.write(data)

    def _write(self, parts: list[bytes]) -> None:
        if self._corked is not None:
            self._corked += parts
        elif len(parts) == 1:
            self.write(parts[0])
        elif not self.lost:
            for part in parts:
                self.written += len(part)
            self.transport.writelines(parts)

    def frame_output(self, body: BodyFraming) -> None:
        """How the body that goes out next is framed."""
        self._out_chunked = body is BODY_CHUNKED

    def attach(self, source: Source | None) -> None:
        self._source = source
        if source is not None and self.write_paused:
            source.pause_reading()

    def write_body(self, pieces: list[bytes]) -> None:
        self._write(encode_chunks(pieces) if self._out_chunked else pieces)

    def end_body(self, trailers: Headers) -> None:
        if self._out_chunked:
            self._write([encode_end(safe_trailers(trailers))])

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return 0 if self.lost else self.transport.get_write_buffer_size()

    def close(self) -> None:
        """End the connection when what was written has gone out."""
        if not self.lost:
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once, with a reset where a clean end could be taken for a body's."""
        if self.lost:
            return
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
