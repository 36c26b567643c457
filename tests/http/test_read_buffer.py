"""A large body that waits for a slow upstream is held in small pieces, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest
from biot_sidecar.http.dialing import WRITE_LIMIT, open_transport
from biot_sidecar.http.framing import request_head
from biot_sidecar.http.listener import Listener
from biot_sidecar.http.read_buffer import READ
from biot_sidecar.http.sockets import bind_all
from biot_sidecar.settings import ListenAddress

from tests.http.wires import DEADLINE, server
from tests.support.fakes import SinkBase

BODY = 8 * 1024 * 1024


class Sizes(SinkBase):
    """A sink that keeps the sizes of what it gets."""

    def __init__(self):
        self.sizes = []
        self.write_paused = False

    def write_body(self, pieces):
        self.sizes += map(len, pieces)

    def end_body(self, trailers):
        pass

    def attach(self, source):
        pass


async def pieces_of(head: bytes, body: bytes) -> tuple[list[int], list[int]]:
    """The sizes in which the bodies of two such requests on one connection come to their sinks."""
    sinks = []
    served = asyncio.get_running_loop().create_future()

    async def serve(connection):
        for _ in range(2):
            connection.expect_head()
            while connection.raw_head is None:
                await connection.wakeup.next()
            connection.expect_body(request_head(connection.raw_head).framing)
            sinks.append(Sizes())
            connection.relay_to(sinks[-1])
            while not connection.body_done:
                await connection.wakeup.next()
        served.set_result(None)

    listener = Listener(serve, pytest.fail)
    ((sock,),) = bind_all(ListenAddress("127.0.0.1", 0))
    await listener.listen(sock)
    _, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write((head + body) * 2)
    await asyncio.wait_for(served, DEADLINE)
    writer.close()
    await listener.stop_accepting()
    listener.abort_all()
    return sinks[0].sizes, sinks[1].sizes


@pytest.mark.parametrize("chunk", [0, BODY // 2])
async def test_a_large_body_is_read_by_the_buffer_that_all_share(chunk):
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY
    body = bytes(BODY)
    if chunk:
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = (b"%x\r\n%b\r\n" % (chunk, bytes(chunk))) * (BODY // chunk) + b"0\r\n\r\n"
    first, second = await pieces_of(head, body)
    assert sum(first) == sum(second) == BODY
    assert max(first[1:] + second[1:]) <= len(READ)  # the first of each came with a head, or behind a body


async def test_a_body_that_fits_into_the_buffer_leaves_the_connection_as_it_was():
    body = bytes(len(READ) - 1)
    first, second = await pieces_of(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    assert sum(first) == sum(second) == len(body)


async def test_hardly_anything_waits_here_for_an_upstream_that_does_not_read():
    async def never_read(reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with server(never_read) as port:
        transport = await open_transport("127.0.0.1", port)
        paused = asyncio.Event()

        class Writer(asyncio.Protocol):
            def pause_writing(self):
                paused.set()

        transport.set_protocol(Writer())
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        while not paused.is_set():
            transport.write(bytes(WRITE_LIMIT))
        assert WRITE_LIMIT < transport.get_write_buffer_size() <= 2 * WRITE_LIMIT
        transport.abort()
