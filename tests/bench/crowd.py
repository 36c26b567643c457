"""Many client connections, each with a request under way at any time: who is served how often, and how long it takes.

wrk does not tell one connection from another. This asks a fixed number of questions over a fixed number of connections
and counts by connection: an even share is what a plugin's pool sees as calls that take equally long.
"""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.bench import load

CONNECTIONS: Final = (1, 32, 256, 1000)
FEW: Final = 32
"""Connections whose CPU time per request that of more is compared with."""
LEAST: Final = 4000
"""Requests that count, where there are few connections."""
WARM_UP: Final = 10
"""Requests of each connection before those that count, so that the proxy has its own connections."""
_PATIENCE: Final = 60.0
"""Seconds in which something has to arrive."""


class Crowd(NamedTuple):
    """What was counted; times in microseconds. `least`, `middle` and `most` are requests of one connection."""

    requests: int
    rejected: int  # answered with 503
    seconds: float
    p50: float
    p99: float
    least: int
    middle: float
    most: int


def crowd(port: int, connections: int, each: int, look: Callable[[], None]) -> Crowd:
    """So many connections, warmed up, and `each` requests of them all; what counts lies between two calls of `look`."""
    with Clients(port, connections) as clients:
        clients.run(WARM_UP * connections)
        look()
        counted = clients.run(max(LEAST, each * connections))
        look()
    return counted


class Clients:
    """So many connections to a port, all open."""

    def __init__(self, port: int, count: int) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        for _ in range(count):
            sock = load.connect(port)
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock, select.EPOLLIN)
        self._requests = {descriptor: load.request_bytes(number) for number, descriptor in enumerate(self._sockets)}
        self._whole: set[int] = set()
        self._parts: dict[int, bytes] = {}

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._poll.close()
        for sock in self._sockets.values():
            sock.close()

    def run(self, requests: int) -> Crowd:
        """Ask so many questions in all; a connection asks its next one when it has its answer."""
        sockets, questions, poll, clock = self._sockets, self._requests, self._poll, time.perf_counter
        answered = dict.fromkeys(sockets, 0)
        times: list[float] = []
        rejected = 0
        left = requests - len(sockets)
        began = clock()
        asked = dict.fromkeys(sockets, began)
        for descriptor, sock in sockets.items():
            sock.send(questions[descriptor])
        while len(times) < requests:
            ready = poll.poll(_PATIENCE, len(sockets))
            if not ready:
                raise RuntimeError(f"{requests - len(times)} of {requests} answers did not come")
            for descriptor, _ in ready:
                sock = sockets[descriptor]
                answer = self._answer(descriptor, sock)
                if answer is None:
                    continue
                now = clock()
                times.append(now - asked[descriptor])
                answered[descriptor] += 1
                rejected += answer == b"503"
                if left > 0:
                    left -= 1
                    asked[descriptor] = now
                    sock.send(questions[descriptor])
        seconds = clock() - began
        times.sort()
        shares = answered.values()
        return Crowd(
            requests,
            rejected,
            seconds,
            times[len(times) // 2] * 1e6,
            times[len(times) * 99 // 100 - 1] * 1e6,
            min(shares),
            statistics.median(shares),
            max(shares),
        )

    def _answer(self, descriptor: int, sock: socket.socket) -> bytes | None:
        """The status of an answer that is here to its end, or None."""
        data = self._parts.pop(descriptor, b"") + sock.recv(65536)
        if len(data) not in self._whole:
            if not data:
                raise RuntimeError("a connection ended before its answer")
            if not load.is_whole(data):
                self._parts[descriptor] = data
                return None
            self._whole.add(len(data))
        status = data[9:12]
        if status not in (b"200", b"503"):
            raise RuntimeError(f"not a good answer: {data[:200]!r}")
        return status
