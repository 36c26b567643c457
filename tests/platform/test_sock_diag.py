"""What the kernel tells of the socket at the other end, asked about real ones."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest
from biot_sidecar.platform.sock_diag import find_far_end, handshake_under_way

from tests.support.ports import free_port, reserved_port
from tests.support.users import NOBODY_ELSE, acting_as, needs_root


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.3.2.1"])
def address(request):
    return request.param


def connected(stack: ExitStack, address: str, port: int = 0) -> tuple[socket.socket, socket.socket]:
    """A client's socket, which has that port if one is named, and ours."""
    host = address.removeprefix("::ffff:")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = stack.enter_context(socket.create_server((host, 0), family=family))
    client = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        client.bind((address, port))
    client.connect((address, listening.getsockname()[1]))
    ours, far = listening.accept()
    assert far[1] == client.getsockname()[1]
    return client, stack.enter_context(ours)


def far_end(ours: socket.socket):
    return find_far_end(ours.family, ours.getsockname(), ours.getpeername())


def test_it_is_ours_and_open(address):
    with ExitStack() as stack:
        client, ours = connected(stack, address)
        found = far_end(ours)
        assert (found.uid, found.inode, found.shutdown) == (os.geteuid(), os.fstat(client.fileno()).st_ino, 0)


@needs_root
def test_it_is_another_users(address):
    with ExitStack() as stack:
        with acting_as(NOBODY_ELSE):
            _, ours = connected(stack, address)
        assert far_end(ours).uid == NOBODY_ELSE


def test_a_socket_that_nobody_holds_has_no_inode(address):
    with ExitStack() as stack:
        client, ours = connected(stack, address)
        client.close()
        assert far_end(ours).inode == 0


def test_a_socket_that_is_gone_is_not_found(address):
    with ExitStack() as stack:
        client, ours = connected(stack, address)
        near, far = ours.getsockname(), ours.getpeername()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()  # by a reset: nothing of it is left
        with pytest.raises(OSError, match="no such"):
            find_far_end(ours.family, near, far)


def test_somebody_who_listens_at_its_port_is_not_taken_for_it(address):
    with ExitStack() as stack:
        port = stack.enter_context(reserved_port()).getsockname()[1]
        client, ours = connected(stack, address, port)
        near, far = ours.getsockname(), ours.getpeername()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        stack.enter_context(socket.create_server((far[0], far[1]), family=ours.family))
        with pytest.raises(OSError, match="no such connection"):
            find_far_end(ours.family, near, far)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_handshake_is_under_way_until_the_kernel_has_seen_its_end(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        port = listening.getsockname()[1]
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)  # it lets a first byte be the end
        assert not handshake_under_way(family, port)
        with socket.create_connection((host, port)) as client:
            assert handshake_under_way(family, port)
            assert not handshake_under_way(family, free_port())
            client.sendall(b"x")
            assert not handshake_under_way(family, port)
            ours, _ = listening.accept()
            assert not handshake_under_way(family, port)
            ours.close()
