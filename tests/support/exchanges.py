"""One request as it arrived at the scripted upstream, and the means to answer it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable

from tests.support.wire import DEADLINE, Cut, Head, Malformed, RecordingReader, Stream


class UpstreamConnection(Stream):
    """A connection that the sidecar made; `over` is set when it has ended. `resumed`: the TLS session of one before."""

    def __init__(self, reader: RecordingReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.over = asyncio.Event()
        tls = writer.get_extra_info("ssl_object")
        self.resumed = tls is not None and tls.session_reused

    async def dropped(self) -> bool:
        """True when the sidecar ends this connection, idle at the moment, within the deadline."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), DEADLINE)
        return self.over.is_set()


def insist_on_clean(head: Head) -> None:
    """Raises Malformed for a request head that two servers could read differently."""
    if not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\xff]+ HTTP/1\.1", head.start):
        raise Malformed(f"request line: {head.start!r}")
    if len(head.values(b"host")) != 1:
        raise Malformed(f"Host fields: {head.raw!r}")
    if head.values(b"transfer-encoding") and (not head.chunked or head.length is not None):
        raise Malformed(f"framing: {head.raw!r}")
    if not all(value.isdigit() for value in head.values(b"content-length")) or (head.length or 0) >= 1 << 63:
        raise Malformed(f"length: {head.raw!r}")


class Exchange:
    """One request as it arrived, and the means to answer it."""

    def __init__(self, connection: UpstreamConnection, head: Head, number: int) -> None:
        self.connection = connection
        self.connection_number = number
        self.head = head
        self.method, self.target, self.version = head.start.split(b" ", 2)
        self.content = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.cut = False
        self.at = time.monotonic()

    async def body(self) -> bytes:
        """The whole request body; Cut if the sidecar gave up before its end."""
        if self.complete:
            return self.content
        try:
            if self.head.chunked:
                self.content, self.trailers = await self.connection.read_chunked()
            else:
                self.content = await self.connection.read_exactly(self.head.length or 0)
        except Cut as cut:
            self.content, self.cut = cut.body, True
            raise
        self.complete = True
        return self.content

    async def send(self, data: bytes) -> None:
        await self.connection.send(data)

    async def abandoned(self) -> bool:
        """True when the sidecar ends this connection within the deadline; whatever comes before is read away."""
        try:
            await self.connection.read_to_end()
        except Cut:
            return True
        except TimeoutError:
            return False
        return True

    @property
    def authorization(self) -> bytes | None:
        values = self.head.values(b"authorization")
        assert len(values) < 2, values
        return values[0] if values else None


Script = bytes | Callable[[Exchange], Awaitable[None]]


class Held:
    """Requests that wait for the test to answer them."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[Exchange] = asyncio.Queue()
        self._released: dict[Exchange, asyncio.Event] = {}

    async def __call__(self, exchange: Exchange) -> None:
        event = self._released[exchange] = asyncio.Event()
        self._arrived.put_nowait(exchange)
        await event.wait()

    async def next(self) -> Exchange:
        """The next request to arrive, its head read."""
        return await asyncio.wait_for(self._arrived.get(), DEADLINE)

    def release(self, exchange: Exchange) -> None:
        """Hands the connection back: the next request on it is read."""
        self._released[exchange].set()

    def release_all(self) -> None:
        for event in self._released.values():
            event.set()

    async def answer(self, exchange: Exchange, raw: bytes) -> None:
        """Reads the request to its end, answers, hands the connection back."""
        await exchange.body()
        await exchange.send(raw)
        self.release(exchange)
