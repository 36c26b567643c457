"""Whether a client has gone or only finished speaking, asked of the kernel about real sockets."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack

import pytest
from biot_sidecar.http.half_close import is_disconnected, is_half_closed


class Transport:
    """As much of one as is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._info = {"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()}

    def get_extra_info(self, name):
        return self._info[name]


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1", "unix"])
def pair(request):
    """A client's socket, and our side's transport and socket."""
    with ExitStack() as stack:
        if request.param == "unix":
            client, ours = socket.socketpair()
        else:
            # Java and Node speak to 127.0.0.1 from sockets of IPv6.
            host = request.param.removeprefix("::ffff:")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = stack.enter_context(socket.create_server((host, 0), family=family))
            client = socket.create_connection((request.param, listening.getsockname()[1]))
            ours, _ = listening.accept()
        stack.callback(client.close)
        stack.enter_context(ours)
        yield client, Transport(ours), ours


def test_a_client_that_may_speak_on_has_not_gone(pair):
    assert not is_disconnected(pair[1])


def test_a_client_that_has_only_finished_speaking_still_listens(pair):
    client, transport, _ = pair
    client.shutdown(socket.SHUT_WR)
    assert is_half_closed(transport)
    assert not is_disconnected(transport)


def test_a_client_that_closed_has_gone(pair):
    client, transport, _ = pair
    client.close()
    assert not is_half_closed(transport)
    assert is_disconnected(transport)


def test_a_client_that_closed_after_it_had_finished_speaking_has_gone(pair):
    client, transport, _ = pair
    client.shutdown(socket.SHUT_WR)
    client.close()
    assert not is_half_closed(transport)
    assert is_disconnected(transport)


def test_a_client_that_closed_behind_unread_bytes_has_gone(pair):
    client, transport, _ = pair
    client.send(b"more")
    client.close()
    assert is_disconnected(transport)


def test_a_client_that_reset_has_gone(pair):
    client, transport, ours = pair
    ours.send(b"unread")
    client.close()
    assert not is_half_closed(transport)
    assert is_disconnected(transport)


def test_a_client_that_was_killed_has_gone(pair):
    client, transport, _ = pair
    child = os.fork()
    if child == 0:
        signal.pause()
    client.close()
    assert not is_disconnected(transport)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_disconnected(transport)


def test_of_a_client_that_the_kernel_does_not_know_nothing_is_hoped(pair):
    client, transport, ours = pair
    client.shutdown(socket.SHUT_WR)
    if ours.family == socket.AF_UNIX:
        pytest.skip("a unix socket's other end is always on this machine")
    transport._info["peername"] = ("203.0.113.1" if ours.family == socket.AF_INET else "2001:db8::1", 4711)
    assert not is_half_closed(transport)
    assert is_disconnected(transport)
