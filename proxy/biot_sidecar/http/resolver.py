"""Looks up the upstream's name in a thread of Python's, one look-up for all who wait for it.

Not by the loop: libuv starts four threads for its first look-up and ends the whole process where the system allows none
(uv_queue_work, abort). Here that is one failed connection, and the next one tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from biot_sidecar.http.connect_errors import NoThread
from biot_sidecar.threads import start_thread

KEPT: Final = 10.0
"""Seconds for which an answer is used again."""

Addresses = list[str]
LookUp = Callable[[str, int], Addresses]


def dns_name(host: str) -> str | bytes:
    """The name as Python's sockets and TLS want it: a text goes through IDNA's tables, 0.2 MB that ASCII needs not."""
    return host.encode() if host.isascii() else host


def look_up(host: str, port: int) -> Addresses:
    """The name's addresses in the order of the system's choice (RFC 6724). Waits. Raises OSError."""
    try:
        found = socket.getaddrinfo(dns_name(host), port, type=socket.SOCK_STREAM)
    except UnicodeError:  # IDNA knows no form of it
        found = []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """`clock` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float], look_up: LookUp = look_up) -> None:
        self._clock = clock
        self._look_up = look_up
        self._under_way: asyncio.Future[Addresses] | None = None
        self._known: Addresses = []
        self._until = 0.0
        self.worked = ""  # the address that was connected to last

    async def addresses(self, host: str, port: int) -> Addresses:
        """Of the one name that is asked for. Whoever goes away takes nobody's answer along. Raises OSError."""
        if _is_address(host):
            return [host]
        if self._known and self._clock() < self._until:
            return self._known
        if self._under_way is None:
            self._under_way = self._start(host, port)
        found = await asyncio.shield(self._under_way)
        if found:
            return found
        raise socket.gaierror(socket.EAI_NONAME, "no address")

    def forget(self) -> None:
        """Ask again next time."""
        self._known = []
        self.worked = ""

    def _start(self, host: str, port: int) -> asyncio.Future[Addresses]:
        """Raises NoThread."""
        try:
            future = start_thread(lambda: self._look_up(host, port), "look-up")
        except RuntimeError:
            pass
        else:
            future.add_done_callback(self._take)
            return future
        raise NoThread

    def _take(self, future: asyncio.Future[Addresses]) -> None:
        self._under_way = None
        if future.exception() is None:
            self._known, self._until = future.result(), self._clock() + KEPT


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return True
    return False
