"""BioT as tests need it: logs in, records every byte, and answers by script, lies and half answers included."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from datetime import UTC, datetime

from tests.support.exchanges import Exchange, Held, Script, UpstreamConnection, insist_on_clean
from tests.support.ports import reserved_port
from tests.support.wire import Cut, Head, RecordingReader, abort, parse_head, response

LOGIN = b"/ums/v2/services/accessToken"
TOKEN_CANARY = "c2VjcmV0LXNpZ25hdHVyZQ"
"""Part of every token's signature, so that a leak of one is found by its text."""


def make_token(number: int, expires: float) -> str:
    """A token in BioT's shape; `expires` in seconds since the epoch."""
    claims = {"serviceUserId": "x", "tokenType": "SERVICE_EXTERNAL", "jti": str(number), "exp": int(expires)}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS512"}, claims)]
    return b".".join(parts).decode() + f".{TOKEN_CANARY}-{number}"


class ScriptedUpstream:
    """A server on 127.0.0.1. Unscripted requests get a 200 that says their number."""

    def __init__(self, tls: ssl.SSLContext | None = None, prefix: bytes = b"") -> None:
        self.tls = tls
        self.prefix = prefix
        self.port = 0
        self.lifetime = 1800.0
        self.connections: list[UpstreamConnection] = []
        self.requests: list[Exchange] = []
        self.logins: list[Exchange] = []
        self.login_script: Script | None = None
        self.failures: list[BaseException] = []
        self._scripts: list[tuple[bytes, list[Script]]] = []
        self._held: list[Held] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{self.prefix.decode()}"

    @property
    def authority(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    # Scripts

    def on(self, path: str, *scripts: Script) -> None:
        """Requests whose target begins with `path` take the scripts in turn, the last one for good."""
        self._scripts.insert(0, (self.prefix + path.encode("latin-1"), list(scripts)))

    def hold(self, path: str) -> Held:
        held = Held()
        self._held.append(held)
        self.on(path, held)
        return held

    def forget(self) -> None:
        """Back to a blank page between tests; connections stay."""
        self._scripts.clear()
        for held in self._held:
            held.release_all()
        self._held.clear()
        self.requests.clear()
        self.failures.clear()
        self.login_script = None

    # What was seen

    def seen(self, path: str) -> list[Exchange]:
        """Requests whose target begins with `path`, in order of arrival."""
        wanted = self.prefix + path.encode("latin-1")
        return [exchange for exchange in self.requests if exchange.target.startswith(wanted)]

    def heard(self, text: bytes) -> bool:
        """Whether these bytes ever arrived on any connection, read as a request or not."""
        return any(text in connection.raw for connection in self.connections)

    # Life

    async def __aenter__(self) -> ScriptedUpstream:
        self._reserved = reserved_port()  # while it does not listen nobody else does
        self.port = self._reserved.getsockname()[1]
        await self.listen()
        return self

    def protocol(self) -> asyncio.StreamReaderProtocol:
        """What serves one connection."""
        loop = asyncio.get_running_loop()
        return asyncio.StreamReaderProtocol(RecordingReader(loop), self._connected, loop=loop)

    async def listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self.protocol, "127.0.0.1", self.port, ssl=self.tls, backlog=1024, reuse_address=True
        )

    async def stop_listening(self) -> None:
        """Closes the port and every connection: the next connect is refused."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            if not connection.gone:
                connection.close()
        await self._finish()

    async def __aexit__(self, *_: object) -> None:
        for held in self._held:
            held.release_all()
        if self._server is not None:
            self._server.close()
        self._reserved.close()
        for connection in self.connections:
            abort(connection.writer)
        await self._finish()
        assert not self.failures, self.failures

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, RecordingReader)
        stream = UpstreamConnection(reader, writer)
        self.connections.append(stream)
        task = asyncio.ensure_future(self._serve(stream, len(self.connections)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: UpstreamConnection, number: int) -> None:
        try:
            while not stream.gone and (head := await self._next_head(stream)):
                insist_on_clean(head)
                exchange = Exchange(stream, head, number)
                await self._answer(exchange)
                if not stream.gone and not exchange.complete:
                    await exchange.body()
        except (Cut, ConnectionError, ssl.SSLError, TimeoutError):
            pass
        except Exception as error:
            self.failures.append(error)
        finally:
            stream.over.set()
            stream.close()

    async def _next_head(self, stream: UpstreamConnection) -> Head | None:
        """Waits without a deadline: a pooled connection may idle as long as it likes."""
        try:
            raw = await stream.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        return parse_head(raw)

    async def _answer(self, exchange: Exchange) -> None:
        if exchange.target.partition(b"?")[0] == self.prefix + LOGIN and exchange.method == b"POST":
            self.logins.append(exchange)
            await self._play(exchange, self.login_script or self._log_in)
            return
        self.requests.append(exchange)
        await self._play(exchange, self._script_for(exchange.target))

    def _script_for(self, target: bytes) -> Script:
        for path, scripts in self._scripts:
            if target.startswith(path):
                return scripts.pop(0) if len(scripts) > 1 else scripts[0]
        return response(200, body=b"answer %d" % len(self.requests))

    async def _play(self, exchange: Exchange, script: Script) -> None:
        if not isinstance(script, bytes):
            await script(exchange)
            return
        await exchange.body()
        await exchange.send(script)

    async def _log_in(self, exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send(login_answer(len(self.logins), time.time() + self.lifetime))


def login_answer(number: int, expires: float) -> bytes:
    """A login that gives the token of that number; `expires` in seconds since the epoch."""
    stamp = datetime.fromtimestamp(expires, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = json.dumps({"accessToken": make_token(number, expires), "accessTokenExpiration": stamp}).encode()
    return response(200, b"Content-Type: application/json", body=body)


def then_close(raw: bytes) -> Script:
    """Reads the request, answers, closes the connection cleanly."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send(raw)
        await exchange.connection.close_out()

    return script


def then_reset(raw: bytes = b"") -> Script:
    """Reads the request, answers what it is given, resets the connection."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        if raw:
            await exchange.send(raw)
        exchange.connection.reset()

    return script


async def echo(exchange: Exchange) -> None:
    """Answers with the request's body, when all of it is there."""
    await exchange.send(response(200, body=await exchange.body()))
