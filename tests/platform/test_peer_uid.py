"""Whose process calls: on unix sockets and on loopback TCP."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest
from biot_sidecar.platform import UNKNOWN_UID, peer_uid, why_peers_untold

from tests.support.users import NOBODY_ELSE, acting_as, folder_for_all, needs_root


class Transport:
    """As much of one as is asked for."""

    def __init__(self, sock: socket.socket | None, **known: object) -> None:
        told = {} if sock is None else {"sockname": sock.getsockname(), "peername": sock.getpeername()}
        self._info = {"socket": sock, **told, **known}

    def get_extra_info(self, name):
        return self._info.get(name)


@pytest.fixture(params=["127.0.0.1", "::1", "unix"])
def connect(request):
    """Makes a connection; the client's socket and ours."""
    with ExitStack() as stack:
        if request.param == "unix":
            path = str(stack.enter_context(folder_for_all()) / "s")
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(path)
            os.chmod(path, 0o666)
            listening.listen()
            where, family = path, socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
            listening = stack.enter_context(socket.create_server((request.param, 0), family=family))
            where = listening.getsockname()

        def made():
            client = stack.enter_context(socket.socket(family))
            client.connect(where)
            return client, stack.enter_context(listening.accept()[0])

        yield made


def test_it_is_us(connect):
    _, ours = connect()
    assert peer_uid(Transport(ours)) == os.geteuid()


@needs_root
def test_it_is_another_user(connect):
    with acting_as(NOBODY_ELSE):
        _, ours = connect()
    assert peer_uid(Transport(ours)) == NOBODY_ELSE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_of_one_who_has_gone_nothing_is_known(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        client = socket.create_connection(listening.getsockname()[:2])
        ours, _ = listening.accept()
        with ours:
            transport = Transport(ours)
            client.close()
            assert peer_uid(transport) == UNKNOWN_UID


def test_a_connection_that_has_ended_before_it_was_looked_at_is_unknown():
    assert peer_uid(Transport(None)) == UNKNOWN_UID
    one, other = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET)
    with one, other:
        ours = type("Ended", (), {"family": socket.AF_INET})()
        assert peer_uid(Transport(None, socket=ours, sockname=("127.0.0.1", 1), peername=None)) == UNKNOWN_UID


def test_this_system_tells():
    assert why_peers_untold() == ""
