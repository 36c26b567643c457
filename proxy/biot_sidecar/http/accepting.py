"""Takes connections at a listening socket, and leaves them in the kernel's queue while no descriptor is left for them.

The loop's own servers (libuv) accept and close at once what they have no descriptor for: clients see a reset, nobody
else sees anything. Here they wait, and whoever listens makes room for them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from biot_sidecar.http.descriptor_reserve import Reserve, next_number, number_for_clients

LOOK_EVERY: Final = 0.1
"""Seconds between two looks for a free descriptor."""
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Serves each connection with a protocol of `make`. Where they must wait, `short` hears, and `make_room` may help.

    `full`: the loop can watch no more of them. With a `reserve` nobody waits: it gives what is needed.
    """

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], asyncio.BaseProtocol],
        report: Callable[[BaseException], None],
        *,
        short: Callable[[], None],
        make_room: Callable[[], None],
        reserve: Reserve | None,
        full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sock = sock
        self._make = make
        self._report = report
        self._short = short
        self._make_room = make_room
        self._reserve = reserve
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._take)

    @property
    def opening(self) -> int:
        """Connections that were taken and are not being served yet."""
        return len(self._opening)

    @property
    def _most(self) -> float:
        return number_for_clients() if self._reserve is None else float("inf")

    def close(self) -> None:
        """Take no more, and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _take(self) -> None:
        """Take one: accept(2) asks for a descriptor before it looks whether there is a connection at all."""
        accepted = self._accept()
        if accepted is not None:
            self._serve(accepted)

    def _accept(self) -> socket.socket | None:
        try:
            accepted, _ = self._sock.accept()
        except OSError as error:  # most are about a connection that has gone again (accept(2))
            if error.errno not in _SHORT:
                return None
            if self._reserve is not None and self._reserve.give():
                return self._accept()
            self._wait()
            return None
        accepted.setblocking(False)
        if accepted.fileno() >= self._most or self._full():
            self._wait()
        return accepted

    def _serve(self, accepted: socket.socket) -> None:
        task: asyncio.Task[object] = asyncio.ensure_future(self._open(accepted))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except Exception as error:
            accepted.close()
            if not isinstance(error, OSError):
                self._report(error)

    def _wait(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._timer = self._loop.call_later(LOOK_EVERY, self._look)
        self._short()

    def _look(self) -> None:
        """Is there a descriptor again?"""
        if next_number() < self._most and not self._full():
            self._timer = None
            self._loop.add_reader(self._sock.fileno(), self._take)
            return
        self._make_room()
        self._timer = self._loop.call_later(LOOK_EVERY, self._look)
