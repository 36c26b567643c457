"""A company's proxy as tests need it: opens tunnels to where the test says, or answers CONNECT by script."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

CLOSE = b""
"""An answer that is none: the proxy hangs up."""


class ScriptedProxy:
    """A server on 127.0.0.1. `tunnels` says which port here a name and port of CONNECT lead to.

    `answers` are given in turn, instead of tunnels; None opens one all the same. `silent`: CONNECT is never answered.
    """

    def __init__(self, tunnels: Mapping[str, int]) -> None:
        self.tunnels = dict(tunnels)
        self.answers: list[bytes | None] = []
        self.silent = False
        self.heads: list[bytes] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def asked(self) -> list[str]:
        """The first line of every request."""
        return [head.partition(b"\r\n")[0].decode("latin-1") for head in self.heads]

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedProxy]:
        """Serve on any port until the block ends."""
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # transports close in the loop's next round

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # also the test's end: a cancelled handler would be told of as an error
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.silent:
            await reader.read()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await self._tunnel(reader, writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, authority, _ = self.asked[-1].split(" ")
        if method != "CONNECT" or authority not in self.tunnels:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.tunnels[authority])
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            back.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await source.read(64 * 1024):
            sink.write(data)
            await sink.drain()
    sink.close()
