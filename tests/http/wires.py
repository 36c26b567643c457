"""Real loopback sockets for tests: a server that plays a script, and what an exchange over a Pool needs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.settings import UpstreamUrl

from tests.support.fakes import SinkBase

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
DEADLINE = 40.0


@asynccontextmanager
async def server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Plays `script` on each connection; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(play, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Clocks:
    """Two clocks set by hand: monotonic and wall."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = 1_763_549_574.0

    def sleep(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


class Wires:
    """A Pool and the signal of the one exchange that uses it."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        idle_most: int = 256,
        **more: object,
    ) -> None:
        self.clocks = Clocks()
        self.connects: list[bool] = []
        self.address = UpstreamUrl(tls=tls is not None, host=host, port=port, authority=b"x", prefix=b"")
        self.pool = Pool(
            self.address,
            tls,
            wall=lambda: self.clocks.wall,
            clock=lambda: self.clocks.monotonic,
            connected=self.connects.append,
            idle_most=idle_most,
            user_agent=b"agent/1",
            **more,
        )
        self.wakeup = Wakeup()

    async def dial(self) -> UpstreamConnection:
        return await self.pool.dial(self.wakeup)

    async def ask(self, connection: UpstreamConnection, request: bytes = REQUEST) -> bytes | None:
        """Send a request; the answer's raw head, or None when the connection ended before one."""
        connection.begin(self.wakeup)
        connection.write(request)
        await self.until(lambda: connection.raw_head is not None or connection.lost or connection.failure)
        return connection.raw_head

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait on the signal until `happened`."""
        async with asyncio.timeout(DEADLINE):
            while not happened():
                await self.wakeup.next()


class Basin(SinkBase):
    """A sink that keeps a body and whether it ended."""

    def __init__(self) -> None:
        self.body = b""
        self.writes = 0
        self.write_paused = False
        self.ended = False
        self.trailers = []

    def write_body(self, pieces):
        self.body += b"".join(pieces)
        self.writes += len(pieces)

    def end_body(self, trailers):
        self.ended = True
        self.trailers = trailers

    def attach(self, source):
        pass


async def settled(happened: Callable[[], object]) -> None:
    """Let the loop run until `happened`; for what has no signal of its own."""
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.sleep(0.001)
