"""What has ended is freed at once: in cycles it would wait for a collection of garbage, 50 KB for a TLS connection."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.tls import tls_context

from tests.http.test_pool_waiting import acquiring
from tests.http.test_upstream_pool import answer_each, exchange
from tests.http.wires import Wires, server, settled
from tests.support.authority import Authority


@contextmanager
def nothing_in_cycles() -> Iterator[None]:
    """Nothing of ours may be garbage at the end that only a collection finds."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        found = Counter(type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("biot_sidecar."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not found


async def test_a_wait_that_ended():
    with nothing_in_cycles(), timeout(30):
        await asyncio.sleep(0)


async def test_a_connection_of_a_plugin(sidecar):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await sidecar.listener.listen(listening)
        port = listening.getsockname()[1]
        await served(sidecar, port)
        with nothing_in_cycles():
            await served(sidecar, port)
        sidecar.listener.close_acceptors()


async def served(sidecar, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await settled(lambda: sidecar.handler.in_flight)
    await sidecar.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await settled(lambda: not sidecar.listener.open)
    sidecar.watch.exchanges.clear()


async def test_connections_to_biot_over_tls_and_dials_that_nobody_needed(tmp_path):
    authority = Authority(tmp_path)
    async with server(answer_each, authority.server_context()) as port:
        wires = Wires(port, tls_context(str(authority.ca_file)))
        await exchange(wires)
        with nothing_in_cycles():
            await served_meanwhile(wires)
            wires.pool.close()
            await settled(lambda: not wires.pool._dials)
            await asyncio.sleep(0.01)


async def served_meanwhile(wires: Wires) -> None:
    """Two of three get what is given back, and their dials are given up, or their connections come to rest."""
    busy = wires.pool.take()
    waiting = [acquiring(wires) for _ in range(3)]
    for one in waiting[:2]:
        await asyncio.sleep(0)
        wires.pool.release(busy, keep=True)
        assert await one is busy
    wires.pool.release(await waiting[2], keep=True)
    wires.pool.release(busy, keep=True)
