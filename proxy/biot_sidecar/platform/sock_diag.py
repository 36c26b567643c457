"""Asks the kernel about the socket at the other end of a connection on this machine (sock_diag(7), Linux).

One exact look-up by the four addresses and ports, 20 us. Only sockets of our own network namespace are found.
And about handshakes that have begun at a port of ours: one pass over the kernel's connections.
"""

from __future__ import annotations

import sys

assert sys.platform == "linux"  # noqa: S101 - for mypy, which reads no further for others

import socket
import struct
from typing import Any, Final, NamedTuple

# NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, and the attribute INET_DIAG_SHUTDOWN.
_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_SHUTDOWN: Final = 8
_ANY_STATE: Final = 0xFFFFFFFF
_SYN_RECEIVED: Final = 1 << 3 | 1 << 12  # TCP_SYN_RECV, and what it is called inside since Linux 4.1
_REQUEST: Final = 1
_DUMP: Final = 0x300
_NO_COOKIE: Final = 2**64 - 1
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_QUERY: Final = struct.Struct("=BBxxI2s2s16s16sIQ")  # family, protocol, states, ports, addresses, interface, cookie
# struct inet_diag_msg: family, state, ports; 40 bytes of addresses, interface and cookie, 12 of timers and queues; then
# uid and inode.
_MESSAGE: Final = struct.Struct("=BBxx2s2s44x12xII")
_ATTRIBUTES_AT: Final = _HEADER.size + _MESSAGE.size
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type


class FarEnd(NamedTuple):
    """The socket at the other end.

    `uid` is whose it is, as our user namespace calls them; `inode` is 0 when no process holds it any more, and then
    `uid` means nothing. `shutdown` has bits of RCV_SHUTDOWN (1) and SEND_SHUTDOWN (2); None where the kernel is silent.
    """

    uid: int
    inode: int
    shutdown: int | None


def find_far_end(family: int, near: tuple[Any, ...], far: tuple[Any, ...]) -> FarEnd:
    """The far end of the TCP connection between `near`, our address, and `far`. Raises OSError if there is none."""
    packed = [socket.inet_pton(family, one[0]) for one in (far, near)]
    ports = [one[1].to_bytes(2, "big") for one in (far, near)]
    query = _QUERY.pack(family, socket.IPPROTO_TCP, _ANY_STATE, *ports, *packed, 0, _NO_COOKIE)
    answer = _ask(query, _REQUEST)
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _BY_FAMILY or length < _ATTRIBUTES_AT or len(answer) < length:
        raise OSError(0, "the kernel knows no such socket")
    _, _, source, destination, uid, inode = _MESSAGE.unpack_from(answer, _HEADER.size)
    if [source, destination] != ports:
        # Where no connection fits, the kernel tells of a socket that listens at the far port: somebody else's.
        raise OSError(0, "the kernel knows no such connection")
    return FarEnd(uid, inode, _shutdown(answer, length))


def handshake_under_way(family: int, port: int) -> bool:
    """Whether somebody has begun to connect to `port`, and the last segment of it is not yet seen. Raises OSError."""
    anywhere = bytes(16)
    query = _QUERY.pack(
        family, socket.IPPROTO_TCP, _SYN_RECEIVED, port.to_bytes(2, "big"), bytes(2), anywhere, anywhere, 0, _NO_COOKIE
    )
    _, kind, *_ = _HEADER.unpack_from(_ask(query, _REQUEST | _DUMP))
    return bool(kind == _BY_FAMILY)  # else it is the end of an empty list, or an error


def _ask(query: bytes, flags: int) -> bytes:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, flags, 0, 0) + query)
        return kernel.recv(8192)


def _shutdown(answer: bytes, length: int) -> int | None:
    at = _ATTRIBUTES_AT
    while at + _ATTRIBUTE.size < length:
        size, attribute = _ATTRIBUTE.unpack_from(answer, at)
        if attribute == _SHUTDOWN:
            return answer[at + _ATTRIBUTE.size]
        at += max(4, size + 3 & ~3)
    return None
