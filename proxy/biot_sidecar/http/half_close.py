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

_ENDED: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR
# sock_diag(7): NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, and the attribute INET_DIAG_SHUTDOWN with RCV_SHUTDOWN in it.
_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_SHUTDOWN: Final = 8
_NO_MORE_READING: Final = 1
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_QUERY: Final = struct.Struct("=BBxxI2s2s16s16sIQ")  # family, protocol, states, ports, addresses, interface, cookie
_ATTRIBUTES_AT: Final = _HEADER.size + 72
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type


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
    try:
        return _far_end_reads(sock.family, transport.get_extra_info("sockname"), transport.get_extra_info("peername"))
    except (OSError, struct.error):
        return False


def _far_end_reads(family: int, near: tuple[Any, ...], far: tuple[Any, ...]) -> bool:
    """Ask the kernel for the socket at the other end; 20 us. Raises OSError when there is none, or it will not say."""
    packed = [socket.inet_pton(family, one[0]) for one in (far, near)]
    ports = [one[1].to_bytes(2, "big") for one in (far, near)]
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0xFFFFFFFF, *ports, *packed, 0, 2**64 - 1)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, 1, 0, 0) + query)
        answer = kernel.recv(8192)
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _BY_FAMILY:
        return False
    at = _ATTRIBUTES_AT
    while at < length:
        size, attribute = _ATTRIBUTE.unpack_from(answer, at)
        if attribute == _SHUTDOWN:
            return not answer[at + _ATTRIBUTE.size] & _NO_MORE_READING
        at += max(4, size + 3 & ~3)
    return False
