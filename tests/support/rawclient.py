"""A client that says exactly the bytes a test gives it and reads answers by the letter."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import Any

from tests.support.wire import DEADLINE, Cut, Head, RecordingReader, Stream


@dataclass(frozen=True)
class Answer:
    """One answer. Not `complete`: the connection ended before the message did. `closing`: it ended by closing."""

    head: Head
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = True
    closing: bool = False

    @property
    def status(self) -> int:
        return int(self.head.start.split(b" ", 2)[1])

    @property
    def reason(self) -> bytes:
        return self.head.start.split(b" ", 2)[2]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        return self.head.fields

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.head.raw!r} + {self.body[:300]!r} complete={self.complete}"


class RawClient(Stream):
    """A connection to the program under test."""

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> RawClient:
        """Connects to 127.0.0.1; `receive_buffer` in bytes makes a reader whose slowness is soon felt."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        return await cls._connect(sock, ("127.0.0.1", port))

    @classmethod
    async def open_unix(cls, path: str) -> RawClient:
        """Connects to a unix socket."""
        return await cls._connect(socket.socket(socket.AF_UNIX), path)

    @classmethod
    async def _connect(cls, sock: socket.socket, address: Any) -> RawClient:
        sock.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, address), DEADLINE)
        except BaseException:
            sock.close()
            raise
        return await cls._wrap(sock=sock)

    @classmethod
    async def _wrap(cls, **where: Any) -> RawClient:
        loop = asyncio.get_running_loop()
        reader = RecordingReader(loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(lambda: protocol, **where)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def read_head_or_fail(self) -> Head:
        head = await self.read_head()
        assert head is not None, "the connection was closed without an answer"
        return head

    async def read_answer(self, method: str = "GET") -> Answer:
        """The next final answer, interim ones skipped."""
        while True:
            answer = await self.read_any(method)
            if answer.status >= 200 or answer.status == 101:
                return answer

    async def read_any(self, method: str = "GET") -> Answer:
        """The next answer, interim or final, read to its end or to where it broke off."""
        head = await self.read_head_or_fail()
        bare = Answer(head)
        if method == "HEAD" or bare.status < 200 or bare.status in (204, 304):
            return bare
        return await self._read_body(head)

    async def _read_body(self, head: Head) -> Answer:
        try:
            if head.chunked:
                body, trailers = await self.read_chunked()
                return Answer(head, body, trailers)
            if (length := head.length) is not None:
                return Answer(head, await self.read_exactly(length))
            return Answer(head, await self.read_to_end(), closing=True)
        except Cut as cut:
            return Answer(head, cut.body, complete=False)

    async def ask(self, raw: bytes, method: str = "GET") -> Answer:
        """Sends and reads the answer."""
        await self.send(raw)
        return await self.read_answer(method)
