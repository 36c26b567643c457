"""Whose process is at the other end of a plugin's connection: the kernel knows, on unix sockets and on loopback TCP."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from typing import Final

from biot_sidecar.http.sock_diag import find_far_end

UNKNOWN: Final = -1
"""The uid of a caller of whom the kernel tells nothing: it has gone, or lives in another network namespace."""
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid (unix(7), SO_PEERCRED)


def peer_uid(transport: asyncio.Transport) -> int:
    """The uid at the other end, as our user namespace calls it, or UNKNOWN. Asked once, when a connection begins."""
    sock = transport.get_extra_info("socket")
    if sock is None or sys.platform != "linux":
        return UNKNOWN
    try:
        if sock.family == socket.AF_UNIX:
            _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            return int(uid)
        near, far = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if not near or not far:
            return UNKNOWN
        found = find_far_end(sock.family, near, far)
    except (OSError, struct.error):
        return UNKNOWN
    # Of a socket that its process has closed the kernel says 0, which is root.
    return found.uid if found.inode else UNKNOWN


def why_untold() -> str:
    """Why this system does not tell whose a loopback connection is; empty if it does."""
    if sys.platform != "linux":
        return "it is not Linux"
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as far,
        ):
            found = find_far_end(socket.AF_INET, far.getpeername(), far.getsockname())
    except OSError as error:
        return error.strerror or str(error)
    return "" if found.inode and found.uid == os.geteuid() else "it names another user than the one who connected"
