"""The one-shot HTTP client: a whole request of our own, such as a login, over a connection of the upstream pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from biot_sidecar.errors import UpstreamError
from biot_sidecar.http import framing
from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import DeadlineTimer, Wakeup
from biot_sidecar.http.deadlines import timeout as patience
from biot_sidecar.http.error_catalogue import lost_before_response, untrusted_response, upstream_timeout
from biot_sidecar.http.framing import unasked_interim
from biot_sidecar.http.messages import Framing, Headers, Response, ResponseHead
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.routing.retry import FIRST_PAUSE, IDEMPOTENT
from biot_sidecar.settings import UpstreamUrl


class Fetcher:
    """Sends one request of our own and reads its whole response. `dialled` is told of new connections.

    Each request has a new connection, since a login must not be lost to a pooled one that died unseen; who asks the
    same again and again, and may ask twice, `reuses` them.
    """

    def __init__(
        self,
        pool: Pool,
        address: UpstreamUrl,
        deadlines: DeadlineTimer,
        user_agent: bytes,
        dialled: Callable[[UpstreamConnection], None] = lambda connection: None,
        *,
        reuses: bool = False,
    ) -> None:
        self._pool = pool
        self._address = address
        self._deadlines = deadlines
        self._user_agent = user_agent
        self._dialled = dialled
        self._reuses = reuses

    async def __call__(
        self,
        method: bytes,
        path: bytes,
        headers: Headers,
        body: bytes,
        *,
        timeout: float,
        limit: int,
        repeatable: bool = False,
    ) -> Response:
        """One request, one response, read to the end. Raises UpstreamError.

        Over a second connection where the first cannot be had, or is lost before its answer and the request may be
        carried out twice: because of its method, or since it is `repeatable`.
        """
        wakeup = Wakeup()
        self._deadlines.register(wakeup)
        unconnected: list[UpstreamError] = []
        try:
            with patience(timeout):
                request = self._bytes(method, path, headers, body)
                repeatable = repeatable or method in IDEMPOTENT
                return await self._try_twice(wakeup, request, method, limit, repeatable, unconnected)
        except TimeoutError:  # as long as there is no connection, the failure of the first one tells more
            failure = unconnected[0] if unconnected else upstream_timeout(timeout, via=self._pool.via)
        finally:
            self._deadlines.unregister(wakeup)
        raise failure

    def _bytes(self, method: bytes, path: bytes, headers: Headers, body: bytes) -> bytes:
        address = self._address
        lines = [b"%b %b%b HTTP/1.1" % (method, address.prefix, path), b"Host: " + address.authority]
        lines += [b"User-Agent: " + self._user_agent, b"Accept: application/json"]
        lines += [b"%b: %b" % field for field in headers]
        lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def _try_twice(
        self,
        wakeup: Wakeup,
        request: bytes,
        method: bytes,
        limit: int,
        repeatable: bool,
        unconnected: list[UpstreamError],
    ) -> Response:
        try:
            return await self._fetch(wakeup, request, method, limit, unconnected)
        except UpstreamError as failure:
            if failure.retryable != "connect" and not (failure.retryable and repeatable):
                raise
            if failure.retryable == "connect":
                unconnected.append(failure)
        await asyncio.sleep(FIRST_PAUSE)
        return await self._fetch(wakeup, request, method, limit, unconnected)

    async def _fetch(
        self, wakeup: Wakeup, request: bytes, method: bytes, limit: int, unconnected: list[UpstreamError]
    ) -> Response:
        connection = self._pool.take() if self._reuses else None
        if connection is None:
            connection = await self._pool.dial(wakeup)
            self._dialled(connection)
        unconnected.clear()
        keep = False
        try:
            connection.begin(wakeup)
            connection.write(request)
            head = await self._final_head(connection, wakeup, method)
            body = await self._body(connection, wakeup, head.framing, limit)
            keep = head.keep_alive
            return Response(head.status, head.headers, body)
        finally:
            self._pool.release(connection, keep=keep)

    async def _final_head(self, connection: UpstreamConnection, wakeup: Wakeup, method: bytes) -> ResponseHead:
        """The final answer's head; interim ones (RFC 9110, section 15.2) are read past."""
        interims = 0
        while (head := framing.response_head(await self._head(connection, wakeup), method)).status < 200:
            interims += 1
            if unasked_interim(head.status, interims):
                raise untrusted_response("an interim answer that was not asked for")
            connection.expect_head()
        return head

    async def _head(self, connection: UpstreamConnection, wakeup: Wakeup) -> bytes:
        while connection.raw_head is None:
            if connection.failure is not None:
                raise connection.failure
            if connection.lost:
                raise lost_before_response()
            await wakeup.next()
        return connection.raw_head

    async def _body(self, connection: UpstreamConnection, wakeup: Wakeup, how: Framing, limit: int) -> bytes:
        buffered = BodyBuffer(limit)
        connection.expect_body(how)
        connection.relay_to(buffered)
        while not connection.body_done:
            if connection.failure is not None:
                raise connection.failure
            if connection.lost or buffered.overflowed:
                break
            await wakeup.next()
        if buffered.overflowed:
            raise untrusted_response("it is larger than any login's could be")
        if not connection.body_done:
            raise untrusted_response("it broke off halfway")
        return b"".join(buffered.pieces)
