"""Tells a client that disconnected from one that half-closed: on the wire both look alike, the kernel knows more.

A client on this machine that shuts down its sending side (`nc -N`, `ncat`, many a test) still waits for its answer. Of
one on another machine, or in another network namespace, nothing can be known: it counts as gone, as it does to Envoy,
nginx and Go's servers, so that BioT does not work for nobody.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from typing import Any, Final

from biot_sidecar.http.sock_diag import find_far_end

_ENDED: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR
_NO_MORE_READING: Final = 1  # RCV_SHUTDOWN


def is_disconnected(transport: asyncio.Transport) -> bool:
    """True when the client will say no more, and is not known to wait for an answer still."""
    sock = transport.get_extra_info("socket")
    return sock is not None and bool(events := _events(sock)) and not _listens(sock, events, transport)


def is_half_closed(transport: asyncio.Transport) -> bool:
    """True when a client that will say no more is known to wait for what it is told."""
    sock = transport.get_extra_info("socket")
    return sock is not None and _listens(sock, _events(sock), transport)


def _events(sock: Any) -> int:
    """The ends that the kernel has seen of a connection."""
    poll = select.poll()
    poll.register(sock.fileno(), _ENDED)
    return sum(events for _, events in poll.poll(0))


def _listens(sock: Any, events: int, transport: asyncio.Transport) -> bool:
    if events & (select.POLLHUP | select.POLLERR):
        return False
    if sock.family == socket.AF_UNIX:
        return True  # of a closed one the kernel tells POLLHUP
    near, far = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    try:
        shutdown = find_far_end(sock.family, near, far).shutdown
    except (OSError, struct.error):
        return False
    return shutdown is not None and not shutdown & _NO_MORE_READING
