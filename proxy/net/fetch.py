"""Whole requests of our own over the connections that everybody's take: logins."""

from __future__ import annotations

import asyncio

from proxy.message import Answer, Framing, Headers
from proxy.net.upstream import Pool, UpstreamConnection
from proxy.pipeline.collector import Collector
from proxy.pipeline.signal import Signal, Sweep
from proxy.pipeline.signal import timeout as patience
from proxy.policy import framing
from proxy.policy.faults import broken_answer, lost_before_answer, timed_out
from proxy.settings import Upstream as Address


class Fetcher:
    """Whole requests of our own (logins) over the same connections as everybody's."""

    def __init__(self, pool: Pool, address: Address, sweep: Sweep, user_agent: bytes) -> None:
        self._pool = pool
        self._address = address
        self._sweep = sweep
        self._user_agent = user_agent

    async def __call__(
        self, method: bytes, path: bytes, headers: Headers, body: bytes, *, timeout: float, limit: int
    ) -> Answer:
        """One request, one answer, read to the end. Raises UpstreamFault."""
        signal = Signal(asyncio.get_running_loop())
        self._sweep.watch(signal)
        try:
            with patience(timeout):
                return await self._fetch(signal, self._bytes(method, path, headers, body), method, limit)
        except TimeoutError:
            fault = timed_out(timeout)
        finally:
            self._sweep.forget(signal)
        raise fault

    def _bytes(self, method: bytes, path: bytes, headers: Headers, body: bytes) -> bytes:
        address = self._address
        lines = [b"%b %b%b HTTP/1.1" % (method, address.prefix, path), b"Host: " + address.authority]
        lines += [b"User-Agent: " + self._user_agent, b"Accept: application/json"]
        lines += [b"%b: %b" % field for field in headers]
        lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def _fetch(self, signal: Signal, request: bytes, method: bytes, limit: int) -> Answer:
        # A new connection: a login must not be lost to a pooled one that died unseen.
        connection = await self._pool.dial(signal)
        keep = False
        try:
            connection.begin(signal)
            connection.write(request)
            head = framing.response_head(await self._head(connection, signal), method)
            if head.status < 200:
                raise broken_answer("an interim answer was not asked for")
            body = await self._body(connection, signal, head.framing, limit)
            keep = head.keep_alive
            return Answer(head.status, head.headers, body)
        finally:
            self._pool.release(connection, keep=keep)

    async def _head(self, connection: UpstreamConnection, signal: Signal) -> bytes:
        while connection.raw_head is None:
            if connection.failure is not None:
                raise connection.failure
            if connection.lost:
                raise lost_before_answer(sent=True)
            await signal.next()
        return connection.raw_head

    async def _body(self, connection: UpstreamConnection, signal: Signal, how: Framing, limit: int) -> bytes:
        collector = Collector(limit)
        connection.expect_body(how)
        connection.relay_to(collector)
        while not connection.body_done:
            if connection.failure is not None:
                raise connection.failure
            if connection.lost or collector.overflowed:
                break
            await signal.next()
        if collector.overflowed:
            raise broken_answer("it is larger than any login's could be")
        if not connection.body_done:
            raise broken_answer("it broke off halfway")
        return b"".join(collector.pieces)
