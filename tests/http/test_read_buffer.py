"""A large body that waits for a slow upstream is held in small pieces, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest
from biot_sidecar.http.dialing import WRITE_LIMIT, open_transport
from biot_sidecar.http.framing import request_head
from biot_sidecar.http.listener import LARGE_BODIES, Listener
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


async def pieces_of(*requests: bytes, beside: int = 0) -> list[list[int]]:
    """The sizes in which these requests' bodies, on one connection, come to their sinks; so many other large bodies
    are under way at first, and none after the first request.
    """
    sinks = []
    loop = asyncio.get_running_loop()
    begun, served = loop.create_future(), loop.create_future()

    async def receive(connection, sink):
        connection.expect_head()
        while connection.raw_head is None:
            await connection.wakeup.next()
        connection.expect_body(request_head(connection.raw_head).framing)
        connection.relay_to(sink)
        while not connection.body_done:
            await connection.wakeup.next()

    async def serve(connection):
        if len(others) < beside:
            others.append(connection)
            if len(others) == beside:
                begun.set_result(None)
            await receive(connection, Sizes())
            return
        for _ in requests:
            sinks.append(Sizes())
            await receive(connection, sinks[-1])
            for other in others:
                other.detach()
        served.set_result(None)

    others = []
    listener = Listener(serve, pytest.fail)
    ((sock,),) = bind_all(ListenAddress("127.0.0.1", 0))
    await listener.listen(sock)
    writers = []
    for _ in range(beside):
        writers.append((await asyncio.open_connection(*sock.getsockname()))[1])
        writers[-1].write(LARGE)
    if beside:
        await asyncio.wait_for(begun, DEADLINE)
    _, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"".join(requests))
    await asyncio.wait_for(served, DEADLINE)
    assert not listener.large_bodies
    for one in [*writers, writer]:
        one.close()
    await listener.stop_accepting()
    listener.abort_all()
    return [sink.sizes for sink in sinks]


LARGE = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY


def large(chunk: int) -> bytes:
    """A request with BODY bytes of body; chunked, if `chunk` says in which pieces."""
    if not chunk:
        return LARGE + bytes(BODY)
    chunks = (b"%x\r\n%b\r\n" % (chunk, bytes(chunk))) * (BODY // chunk) + b"0\r\n\r\n"
    return b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


@pytest.mark.parametrize("chunk", [0, BODY // 2])
async def test_a_large_body_among_many_is_read_by_the_buffer_that_all_share(chunk):
    first, second = await pieces_of(large(chunk), large(chunk), beside=LARGE_BODIES)
    assert sum(first) == sum(second) == BODY
    assert max(first[1:]) <= len(READ)  # the first came with its head
    assert max(second[1:]) > len(READ)  # the others have ended


@pytest.mark.parametrize("chunk", [0, BODY // 2])
async def test_a_large_body_among_few_is_read_as_the_loop_likes_it(chunk):
    (sizes,) = await pieces_of(large(chunk), beside=LARGE_BODIES - 1)
    assert sum(sizes) == BODY
    assert max(sizes[1:]) > len(READ)


async def test_a_body_that_fits_into_the_buffer_leaves_the_connection_as_it_was():
    body = bytes(len(READ) - 1)
    request = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    first, second = await pieces_of(request, request, beside=LARGE_BODIES)
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
