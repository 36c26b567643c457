"""What systemd hands over and is told: listening sockets (sd_listen_fds(3)) and the service's state (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from typing import Final

from biot_sidecar.errors import BadSettings
from biot_sidecar.http.sockets import InheritedListener
from biot_sidecar.platform import UNIX_FAMILY, tell_supervisor
from biot_sidecar.settings import allows_remote
from biot_sidecar.settings.addresses import is_loopback

FIRST: Final = 3
"""The first inherited descriptor, SD_LISTEN_FDS_START."""
_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6, UNIX_FAMILY})


def inherited_sockets(env: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The listening sockets that LISTEN_FDS and LISTEN_PID pass to this process, non-blocking; none if not for it.

    Raises BadSettings for a descriptor that is no listening stream socket, and for one that listens beyond loopback
    without SIDECAR_ALLOW_REMOTE=1.
    """
    if env.get("LISTEN_PID", "") != str(pid):
        return []
    count = env.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal() and len(count) < 6):
        raise BadSettings([f"LISTEN_FDS: {count!r} is no number of sockets"])
    remote = allows_remote(env)
    problems: list[str] = []
    taken = []
    for descriptor in range(FIRST, FIRST + int(count)):
        try:
            taken.append(_adopt(descriptor, remote=remote))
        except ValueError as error:
            problems.append(f"LISTEN_FDS: the inherited descriptor {descriptor} {error}")
    if problems:
        for sock in taken:
            sock.close()
        raise BadSettings(problems)
    return taken


def _adopt(descriptor: int, *, remote: bool) -> socket.socket:
    """Raises ValueError with the end of a sentence about the descriptor."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ValueError("is no socket")
    except OSError:
        raise ValueError("is not open") from None
    sock = InheritedListener(fileno=descriptor)
    try:
        _examine(sock, remote=remote)
    except ValueError:
        sock.detach()  # not ours: whoever passed it decides about its end
        raise
    sock.setblocking(False)
    sock.set_inheritable(False)  # commands that we start must not listen too
    return sock


def _examine(sock: socket.socket, *, remote: bool) -> None:
    if sock.family not in _FAMILIES or sock.type != socket.SOCK_STREAM:
        raise ValueError("is no stream socket; use ListenStream= with a TCP address or a path")
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError("does not listen; use Accept=no in the socket unit")
    if sock.family != UNIX_FAMILY and not (remote or is_loopback(host := sock.getsockname()[0])):
        raise ValueError(
            f"listens on {host}, which is not loopback: whoever reaches the port acts as the service user; "
            "use 127.0.0.1, or set SIDECAR_ALLOW_REMOTE=1"
        )


def notify(env: Mapping[str, str], state: str) -> None:
    """Tell NOTIFY_SOCKET a state such as READY=1; nothing happens where nobody asked or nobody listens."""
    address = env.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        tell_supervisor(address, state)
