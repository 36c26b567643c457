"""Ports that nobody else on this machine gets: one that was free a moment ago may be another test's now."""

from __future__ import annotations

import errno
import os
import socket

ADDRESS_IN_USE = os.strerror(errno.EADDRINUSE)
"""The system's own words; musl has others than glibc."""


def reserved_port() -> socket.socket:
    """A socket that keeps a port of every address for its owner until it is closed; a connect is refused there.

    It is bound and does not listen. The kernel gives such a port to nobody who asks for any, and lets in who asks for
    this one and sets SO_REUSEADDR, as servers do.
    """
    sock = socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("", 0))
    return sock


def free_port() -> int:
    """A port on which nobody listens, for whom must know one beforehand; it stays this process's until that ends."""
    sock = reserved_port()
    port = int(sock.getsockname()[1])
    sock.detach()
    return port
