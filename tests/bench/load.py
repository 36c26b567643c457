"""Load of four kinds: as fast as it goes (wrk), calm, large bodies, idle connections. All bounded, all on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import Final, NamedTuple

from tests.bench.upstream import BIG
from tests.bench.workshop import HERE, debian

CALM_RATE: Final = 400
_CALM_CONNECTIONS: Final = 8
_PIECE: Final = bytes(256 * 1024)
_END: Final = b"\r\n\r\n"


class Wrk(NamedTuple):
    """What wrk counted; latencies in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def wrk(port: int, *, connections: int, seconds: float, patients: int = 1000, token: str = "") -> Wrk:
    """As many requests as go through; any answer but a 2xx is the end of the benchmark."""
    command = [debian("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(HERE / "load.lua")]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    command += [f"http://127.0.0.1:{port}", "--", str(patients)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    if found["errors"]:
        raise RuntimeError(f"{found['errors']} of {found['requests']} requests failed at port {port}")
    return Wrk(found["requests"], found["us"] / 1e6, found["p50"], found["p99"])


def calm(port: int, seconds: float) -> int:
    """CALM_RATE requests a second, evenly spread; how many that were."""
    return asyncio.run(_calm(port, seconds))


async def _calm(port: int, seconds: float) -> int:
    pause = _CALM_CONNECTIONS / CALM_RATE
    return sum(
        await asyncio.gather(
            *(_calm_connection(port, number, pause, int(seconds / pause)) for number in range(_CALM_CONNECTIONS))
        )
    )


async def _calm_connection(port: int, number: int, pause: float, count: int) -> int:
    await asyncio.sleep(number / CALM_RATE)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.monotonic()
    for turn in range(count):
        writer.write(request_bytes(number * 1000 + turn))
        head = await reader.readuntil(_END)
        await reader.readexactly(_length(head))
        due += pause
        await asyncio.sleep(due - time.monotonic())
    writer.close()
    return count


def burst(port: int, count: int) -> list[float]:
    """So many requests in one moment, each on a connection that is open already; their times in seconds, the shortest
    first.
    """
    return sorted(asyncio.run(_burst(port, count)))


async def _burst(port: int, count: int) -> list[float]:
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    began = time.monotonic()
    for number, (_, writer) in enumerate(connections):
        writer.write(request_bytes(number))

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        head = await reader.readuntil(_END)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not a good answer: {head!r}")
        await reader.readexactly(_length(head))
        ended = time.monotonic()
        writer.close()
        return ended - began

    return await asyncio.gather(*(answered(*one) for one in connections))


def download(port: int) -> float:
    """Seconds that a download of BIG bytes took."""
    began = time.monotonic()
    buffer = bytearray(1 << 20)
    with connect(port) as sock:
        sock.sendall(b"GET /file/v1/down HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head, rest = _head(sock)
        left = BIG - len(rest)
        if _length(head) != BIG:
            raise RuntimeError(f"not the file that was asked for: {head!r}")
        while left > 0:
            left -= sock.recv_into(buffer, min(left, len(buffer)))
    return time.monotonic() - began


def upload(port: int) -> float:
    """Seconds that an upload of BIG bytes took."""
    began = time.monotonic()
    with connect(port) as sock:
        sock.sendall(b"PUT /file/v1/up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // len(_PIECE)):
            sock.sendall(_PIECE)
        head, rest = _head(sock)
        left = _length(head) - len(rest)
        while left > 0:
            left -= len(sock.recv(left))
    return time.monotonic() - began


class Idle(ExitStack):
    """Client connections that have each made a request, and rest."""

    def open(self, port: int, count: int) -> None:
        for number in range(count):
            ask(self.enter_context(connect(port)), number)


def ask(sock: socket.socket, number: int) -> None:
    """One request, its answer read to the end."""
    sock.sendall(request_bytes(number))
    head, body = _head(sock)
    while len(body) < _length(head):
        body += sock.recv(65536)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def request_bytes(number: int) -> bytes:
    return b"GET /organization/v1/users/patients/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % number


def _head(sock: socket.socket) -> tuple[bytes, bytes]:
    """A good answer's head, and what came of its body with it."""
    data = b""
    while _END not in data:
        piece = sock.recv(65536)
        if not piece:
            raise RuntimeError("the connection ended before the answer")
        data += piece
    head, _, rest = data.partition(_END)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not a good answer: {head!r}")
    return head, rest


def is_whole(data: bytes) -> bool:
    """Whether an answer is here to its end."""
    head, end, body = data.partition(_END)
    return bool(end) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    """The length of an answer's body; every answer here has one."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"no Content-Length: {head!r}")
