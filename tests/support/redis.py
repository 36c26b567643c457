"""A real redis-server on a unix socket, and servers that only pretend to be one."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support import wants
from tests.support.wire import DEADLINE

NEEDS_REDIS = wants.needs("redis-server")


class RedisServer:
    """Starts with nothing in it; `url` is what SIDECAR_TOKEN_STORE takes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._socket = folder / "redis.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    async def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        base = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *base, *self._options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        async with asyncio.timeout(DEADLINE):
            while not await self._listens():
                await asyncio.sleep(0.01)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        writer.close()
        return True

    def kill(self) -> None:
        """An end without a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It goes on taking connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def cli(self, *words: str | bytes) -> str:
        """What redis-cli says to one command."""
        run = subprocess.run(
            ["redis-cli", "-s", str(self._socket), *words], capture_output=True, timeout=DEADLINE, check=True
        )
        return run.stdout.decode(errors="replace").strip()

    def stored(self) -> list[str]:
        return sorted(self.cli("keys", "*").split())


@asynccontextmanager
async def redis_server(folder: Path, *options: str) -> AsyncIterator[RedisServer]:
    server = RedisServer(folder, *options)
    await server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def impostor(folder: Path, answer: Callable[[bytes], bytes | None], *, after: float = 0.0) -> AsyncIterator[str]:
    """A server that says `answer(what came)` each time something comes, that many seconds later; None hangs up.

    Yields its address.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while (data := await reader.read(65536)) and (said := answer(data)) is not None:
                await asyncio.sleep(after)
                writer.write(said)
                await writer.drain()
        writer.close()

    path = folder / "impostor.sock"
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield f"unix://{path}"
    finally:
        server.close()
