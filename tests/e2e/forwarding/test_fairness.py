"""Slow peers hold up nobody but themselves, and cost no memory."""

import asyncio
import contextlib
import os
import re
import resource
from pathlib import Path

import pytest

from tests.support.form import SYSTEM
from tests.support.judge import assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import lines, request, response

pytestmark = [*LIVE, pytest.mark.timeout(90)]

MIB = 1024 * 1024
PIECE = b"\xa5" * (256 * 1024)


async def pour(stream, amount):
    """Writes up to `amount` bytes, stops when the other side takes no more for half a second; returns how many went."""
    gone = 0
    with contextlib.suppress(TimeoutError):
        while gone < amount:
            stream.writer.write(PIECE)
            async with asyncio.timeout(0.5):
                await stream.writer.drain()
            gone += len(PIECE)
    return gone


async def swallow(reader, amount):
    got = 0
    while got < amount:
        piece = await reader.read(min(1 << 18, amount - got))
        assert piece, f"ended after {got} of {amount}"
        got += len(piece)


async def test_a_reader_that_does_not_read_stops_the_upstream_and_nobody_else(house):
    held = house.upstream.hold("/big")
    client = await house.client(receive_buffer=4096)
    await client.send(request("GET", "/big"))
    exchange = await held.next()
    client.reader._transport.pause_reading()
    before = house.sidecar.memory("VmRSS")
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: %d" % (64 * MIB)))
    went = await pour(exchange.connection, 64 * MIB)
    assert went < 24 * MIB, "the program swallows what nobody reads"
    for _ in range(50):
        assert_passed_on(await house.get("/other"), 200)
    assert house.sidecar.memory("VmRSS") - before < 12 * MIB
    client.reset()
    exchange.connection.reset()
    held.release(exchange)


async def test_pipelined_requests_whose_answers_nobody_reads_cost_no_memory(house):
    house.upstream.on("/big", response(200, body=bytes(60_000)))
    client = await house.client(receive_buffer=4096)
    client.reader._transport.pause_reading()
    before = house.sidecar.memory("VmRSS")
    client.writer.write(request("GET", "/big") * 2000)
    seen = -1
    while seen != (seen := len(house.upstream.seen("/big"))):
        await asyncio.sleep(0.3)
    assert seen < 500
    assert house.sidecar.memory("VmRSS") - before < 12 * MIB
    client.reset()


async def test_an_upstream_that_does_not_read_stops_the_client_and_nobody_else(house):
    held = house.upstream.hold("/big")
    client = await house.client()
    await client.send(request("POST", "/big", b"Content-Length: %d" % (64 * MIB)))
    exchange = await held.next()
    exchange.connection.reader._transport.pause_reading()
    before = house.sidecar.memory("VmRSS")
    assert await pour(client, 64 * MIB) < 24 * MIB, "the program swallows what nobody reads"
    for _ in range(50):
        assert_passed_on(await house.get("/other"), 200)
    assert house.sidecar.memory("VmRSS") - before < 12 * MIB
    client.reset()
    exchange.connection.reset()
    held.release(exchange)


async def test_256_megabytes_each_way_at_once_leave_memory_flat(house):
    size = 256 * MIB

    async def exchange_bodies(exchange):
        await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: %d" % size))
        await asyncio.gather(send(exchange.connection), swallow(exchange.connection.reader, size))
        exchange.complete = True

    async def send(stream):
        for _ in range(size // len(PIECE)):
            stream.writer.write(PIECE)
            await stream.writer.drain()

    house.upstream.on("/big", exchange_bodies)
    client = await house.client()
    before = house.sidecar.memory("VmRSS")
    client.writer.write(request("POST", "/big", b"Content-Length: %d" % size))

    async def receive():
        await client.reader.readuntil(b"\r\n\r\n")
        await swallow(client.reader, size)

    await asyncio.gather(send(client), receive())
    assert house.sidecar.memory("VmHWM") - before < 24 * MIB
    assert_passed_on(await client.ask(request("GET", "/after")), 200)


async def test_a_chunked_stream_of_64_megabytes_leaves_memory_flat(house):
    pieces = 256

    async def stream(exchange):
        await exchange.body()
        await exchange.send(lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"))
        for _ in range(pieces):
            await exchange.send(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        await exchange.send(b"0\r\n\r\n")

    house.upstream.on("/big", stream)
    before = house.sidecar.memory("VmRSS")
    answer = await house.get("/big")
    assert_passed_on(answer, 200)
    assert len(answer.body) == pieces * len(PIECE)
    assert house.sidecar.memory("VmRSS") - before < 24 * MIB


async def test_a_shells_low_limit_of_open_files_is_raised(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        house = await start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = Path(f"/proc/{house.sidecar.process.pid}/limits")
    if not limits.exists():
        pytest.skip("a program's limits are read from Linux's /proc")
    most = {"macos": 10_240, "windows": 256}.get(SYSTEM, 65_536)
    assert int(re.search(r"Max open files +(\d+)", limits.read_text())[1]) == min(hard, most)


async def resting(house):
    """A connection that has asked once: between two requests it may rest for an hour, before the first for 10 s."""
    client = await house.client()
    assert (await client.ask(request("GET", "/healthz"))).status == 200
    return client


@pytest.mark.not_on("windows", why="select() of Python watches 512 sockets there")
async def test_a_thousand_idle_and_five_hundred_busy_connections_are_no_burden(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="600")
    await house.warm_up()
    before = house.sidecar.memory("VmRSS")
    idle = [await resting(house) for _ in range(1000)]
    held = house.upstream.hold("/busy")
    busy = [await house.client() for _ in range(500)]
    await asyncio.gather(*(client.send(request("GET", "/busy")) for client in busy))
    exchanges = [await held.next() for _ in busy]
    assert_passed_on(await house.get("/other"), 200)
    assert house.sidecar.memory("VmRSS") - before < 64 * MIB
    await asyncio.gather(*(held.answer(exchange, b"HTTP/1.1 204 No Content\r\n\r\n") for exchange in exchanges))
    assert {answer.status for answer in await asyncio.gather(*(client.read_answer() for client in busy))} == {204}
    for client in idle:
        await client.send(request("GET", "/other"))
    for client in idle:
        assert_passed_on(await client.read_answer(), 200)


async def test_an_idle_program_with_open_connections_does_not_spin(house):
    clients = [await house.client() for _ in range(100)]
    await clients[0].send(b"GET /half HT")
    held = house.upstream.hold("/held")
    await clients[1].send(request("GET", "/held"))
    exchange = await held.next()
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: 10") + b"half")
    ticks = house.sidecar.cpu_ticks()
    await asyncio.sleep(1)
    assert (house.sidecar.cpu_ticks() - ticks) / os.sysconf("SC_CLK_TCK") < 0.3
    clients[1].reset()
    held.release(exchange)
