"""Calls between the parent and its workers: small messages over a socket pair that nobody else can reach."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

Handler = Callable[[Any], Awaitable[Any]]
MESSAGE_LIMIT: Final = 16 * 1024 * 1024
_HEADER: Final = 4


class Message(msgspec.Struct, array_like=True):
    """`call` names what is asked for; it is empty in an answer."""

    number: int
    call: str
    content: Any = None


class ChannelClosed(Exception):
    """The other process has gone."""


class Channel:
    """One end. Calls may cross; each is answered by the handler of its name."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._writer: asyncio.StreamWriter | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self, sock: socket.socket) -> None:
        """Serve the channel until the other process goes."""
        reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=MESSAGE_LIMIT)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(_HEADER), "big")
                self._take(msgspec.msgpack.decode(await reader.readexactly(size), type=Message))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writer.close()
            self._writer = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ChannelClosed())
            self._waiting.clear()

    async def call(self, name: str, content: Any = None) -> Any:
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

    def _take(self, message: Message) -> None:
        if message.call:
            task = asyncio.ensure_future(self._answer(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (future := self._waiting.get(message.number)) is not None and not future.done():
            future.set_result(message.content)

    async def _answer(self, message: Message) -> None:
        content = await self._handlers[message.call](message.content)
        self._send(Message(message.number, "", content))

    def _send(self, message: Message) -> None:
        if self._writer is not None:
            data = msgspec.msgpack.encode(message)
            self._writer.write(len(data).to_bytes(_HEADER, "big") + data)
