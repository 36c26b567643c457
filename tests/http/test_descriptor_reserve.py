"""Descriptors that are held back, and connections that wait for one."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from biot_sidecar.http.accepting import Acceptor
from biot_sidecar.http.descriptor_reserve import LENT, Reserve, next_number, number_for_clients


def open_now() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """No descriptor of this number or above for this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_reserve_gives_what_it_holds_and_no_more():
    before = open_now()
    reserve = Reserve(2)
    assert open_now() == before + 2
    assert [reserve.give() for _ in range(3)] == [True, True, False]
    assert open_now() == before
    reserve.refill()
    assert open_now() == before + 2
    reserve.close()
    reserve.refill()
    assert open_now() == before


def test_inside_the_block_files_can_be_opened_when_no_descriptor_is_left():
    reserve = Reserve(LENT)
    with at_most(int(next_number())):
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            os.open(os.devnull, os.O_RDONLY)
        for _ in range(2):
            with reserve.lent():
                os.close(os.open(os.devnull, os.O_RDONLY))
    reserve.close()


@pytest.mark.parametrize(("limit", "clients"), [(64, 32), (1024, 704)])
def test_clients_leave_a_descriptor_for_each_connection_to_biot(limit, clients):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < limit:
        pytest.skip(f"fewer than {limit} open files are allowed here")
    with at_most(limit):
        assert number_for_clients() == clients


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"hello")
        transport.close()


async def greeted(sock: socket.socket) -> bytes:
    async with asyncio.timeout(40):
        return await asyncio.get_running_loop().sock_recv(sock, 100)


def acceptor(
    listening: socket.socket, short: list[int], reserve: Reserve | None, errors: list[BaseException]
) -> Acceptor:
    return Acceptor(
        listening,
        Greeter,
        errors.append,
        short=lambda: short.append(1),
        make_room=lambda: short.append(2),
        reserve=reserve,
    )


@pytest.mark.parametrize("reserved", [False, True])
async def test_a_connection_for_which_there_is_no_descriptor_waits_unless_there_is_a_reserve(reserved):
    short: list[int] = []
    errors: list[BaseException] = []
    reserve = Reserve(1) if reserved else None
    listening = socket.create_server(("127.0.0.1", 0))
    accepts = acceptor(listening, short, reserve, errors)
    client = socket.create_connection(listening.getsockname())
    client.setblocking(False)
    with at_most(int(next_number())):
        if not reserved:
            while 2 not in short:
                await asyncio.sleep(0.01)
            assert short == [1, 2]
        else:
            assert await greeted(client) == b"hello"
            assert short == []
    if not reserved:
        assert await greeted(client) == b"hello"
    client.close()
    accepts.close()
    assert errors == []


async def test_several_connections_are_taken_at_once_and_none_after_the_end():
    listening = socket.create_server(("127.0.0.1", 0))
    accepts = acceptor(listening, [], None, [])
    clients = [socket.create_connection(listening.getsockname()) for _ in range(40)]
    for client in clients:
        client.setblocking(False)
        assert await greeted(client) == b"hello"
        client.close()
    where = listening.getsockname()
    accepts.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)
