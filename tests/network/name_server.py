"""A name server that says what the test wants (RFC 1035): addresses, no such name, late, or nothing at all."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

A, AAAA = 1, 28
_ANSWER, _NO_SUCH_NAME = 0x8180, 0x8183


class NameServer(asyncio.DatagramProtocol):
    """`names` are those that it knows; every other does not exist. `delay` in seconds; `silent`: it never answers."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.delay = 0.0
        self.silent = False
        self.asked: list[str] = []

    @classmethod
    async def listening(cls, sock: socket.socket) -> NameServer:
        _, server = await asyncio.get_running_loop().create_datagram_endpoint(cls, sock=sock)
        return server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        name, kind, question = _question(data)
        self.asked.append(name)
        if not self.silent:
            answer = self._answer(data[:2], name, kind, question)
            asyncio.get_running_loop().call_later(self.delay, self._send, answer, addr)

    def _send(self, answer: bytes, addr: object) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(answer, addr)

    def _answer(self, number: bytes, name: str, kind: int, question: bytes) -> bytes:
        known = [ip_address(one).packed for one in self.names.get(name, [])]
        found = [one for one in known if len(one) == {A: 4, AAAA: 16}.get(kind)]
        flags = _ANSWER if name in self.names else _NO_SUCH_NAME
        head = number + b"".join(count.to_bytes(2, "big") for count in (flags, 1, len(found), 0, 0))
        records = [
            b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1" + bytes(4) + len(one).to_bytes(2, "big") + one
            for one in found
        ]
        return head + question + b"".join(records)

    def close(self) -> None:
        self._transport.close()


def _question(data: bytes) -> tuple[str, int, bytes]:
    """Name, type and bytes of the one question."""
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), int.from_bytes(data[at + 1 : at + 3], "big"), data[12 : at + 5]
