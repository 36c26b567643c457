"""Requests between the supervisor and its workers: small messages over a socket pair that nobody else can reach.

Each way has its methods; a `?` stands where a response is waited for.

    worker -> supervisor    ready, alive(snapshot), record, accepted
                            token?, loop?, rejected?, snapshots?, logins?
    supervisor -> worker    probe, marked_routes
                            snapshot?, logins?
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from biot_sidecar.platform import open_channel

Handler = Callable[[Any], Awaitable[Any]]
MESSAGE_LIMIT: Final = 16 * 1024 * 1024
BACKLOG_LIMIT: Final = 1024 * 1024
"""Bytes that may wait for the other process before what only tells is dropped."""
_HEADER: Final = 4


class Message(msgspec.Struct, array_like=True):
    """`method` names what is asked for; it is empty in an answer. Number 0 wants no answer."""

    number: int
    method: str
    content: Any = None
    failed: bool = False


class ChannelClosed(Exception):
    """The other process has gone, or could not answer."""


class WorkerChannel:
    """One end. Calls may cross; each is answered by the handler of its name. `report` hears of handlers that raise."""

    def __init__(self, handlers: Mapping[str, Handler], report: Callable[[BaseException], None]) -> None:
        self._handlers = handlers
        self._report = report
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._responding: set[asyncio.Task[None]] = set()

    async def open(self, sock: socket.socket) -> None:
        """Calls may be made from here on; run() hears the answers."""
        self._reader, self._writer = await open_channel(sock, MESSAGE_LIMIT)

    async def run(self) -> None:
        """Serve the open channel until the other process goes."""
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(_HEADER), "big")
                self._receive(msgspec.msgpack.decode(await self._reader.readexactly(size), type=Message))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Hang up; those who wait for an answer learn it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ChannelClosed())
        self._waiting.clear()

    async def request(self, name: str, content: Any = None) -> Any:
        """Ask the other process. Raises ChannelClosed."""
        if self._writer is None:
            raise ChannelClosed
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(Message(number, name, content))
            return await future
        finally:
            self._waiting.pop(number, None)

    def notify(self, name: str, content: Any) -> None:
        """Say something that needs no answer; dropped when the other process does not keep up."""
        if self._writer is not None and self._writer.transport.get_write_buffer_size() < BACKLOG_LIMIT:
            self._send(Message(0, name, content))

    def _receive(self, message: Message) -> None:
        if message.method:
            task = asyncio.ensure_future(self._respond(message))
            self._responding.add(task)
            task.add_done_callback(self._responding.discard)
        elif (future := self._waiting.get(message.number)) is not None and not future.done():
            if message.failed:
                future.set_exception(ChannelClosed())
            else:
                future.set_result(message.content)

    async def _respond(self, message: Message) -> None:
        try:
            answer = Message(message.number, "", await self._handlers[message.method](message.content))
        except Exception as error:
            self._report(error)
            answer = Message(message.number, "", failed=True)
        if message.number:
            self._send(answer)

    def _send(self, message: Message) -> None:
        if self._writer is not None:
            data = msgspec.msgpack.encode(message)
            self._writer.write(len(data).to_bytes(_HEADER, "big") + data)
