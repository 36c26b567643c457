"""Moves the bodies of one forwarded request: the response to the client, the upload that may still run to BioT.

Both bodies move at once, in asyncio's callbacks: what one connection reads it writes to the other, which pauses it
while its own buffer is full. The coroutine only waits for their ends.

Stalls. While bodies move there is no deadline but the stall's. STALL_SLICES times in it one looks whether anything
moved, on either side; only when nothing did in all of them is it over. An upload that goes on after its response gets
a single slice: BioT has said all it had to say, and the client waits for nothing more.

A response that breaks off must not look whole (RFC 9112, section 8): one whose length or chunks tell ends with its
connection; one that the end of the connection delimits ends with a reset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from biot_sidecar.auth.token_rejection import BODY_LIMIT_BYTES
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.header_rules import response_bytes
from biot_sidecar.http.interfaces import ClientStream, HttpStream, Pool, Tokens, UpstreamStream
from biot_sidecar.http.messages import BODY_CHUNKED, BODY_UNTIL_CLOSE, RequestHead, ResponseHead
from biot_sidecar.routing.retry import RetryBudget

STALL_SLICES: Final = 12
"""Looks at the bodies in one stall time."""


class ForwardingContext:
    """What all requests to one upstream share. `prefix` and `authority` are its base URL's; `stall` is in seconds."""

    def __init__(
        self,
        *,
        pool: Pool[Any],
        tokens: Tokens,
        deadlines: DeadlineTimer,
        prefix: bytes,
        authority: bytes,
        user_agent: bytes,
        stall: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.pool = pool
        self.tokens = tokens
        self.deadlines = deadlines
        self.prefix, self.authority, self.user_agent = prefix, authority, user_agent
        self.stall = stall
        self.clock, self.wall, self.jitter, self.sleep = clock, wall, jitter, sleep
        self.budget = RetryBudget()
        self.draining = False


class Relay:
    """The client's connection and the upstream's, for one exchange. A try that failed may change the upstream's."""

    __slots__ = (
        "_client", "_close_delimited", "_exchange", "_head", "_keep", "_last_activity", "_sent_at", "_shared",
        "_slices", "_upstream",
    )  # fmt: skip

    def __init__(self, shared: ForwardingContext, client: ClientStream, head: RequestHead, exchange: Exchange) -> None:
        self._shared = shared
        self._client = client
        self._head = head
        self._exchange = exchange
        self._upstream: UpstreamStream | None = None
        self._sent_at = 0.0
        self._last_activity: tuple[int, ...] = ()
        self._slices = 0
        self._keep = False
        self._close_delimited = False

    async def _buffer_body(self, upstream: UpstreamStream, response: ResponseHead) -> BodyBuffer:
        """Read a small answer's body, to judge it. Raises UpstreamError when it breaks off."""
        buffered = BodyBuffer(BODY_LIMIT_BYTES)
        upstream.expect_body(response.framing)
        upstream.relay_to(buffered)
        while not (upstream.body_done or buffered.overflowed):
            if not await self._moving(upstream):
                raise errors.untrusted_response("it broke off halfway")
        return buffered

    def _relay(self, upstream: UpstreamStream, response: ResponseHead, buffered: BodyBuffer | None) -> bool:
        """Pass the answer on as far as it is here; `collector` holds what was read of its body already.

        True when that was all of it and both connections can go on. Raises UpstreamError for a body that is seen to be
        malformed before anything was written.
        """
        client, exchange = self._client, self._exchange
        if buffered is None:
            upstream.expect_body(response.framing)
            if upstream.failure is not None:
                raise upstream.failure  # what came of the body with the head
        is_http11, body = self._head.is_http11, response.framing.body
        # Where no reset can show that a close-delimited answer broke off, chunks can.
        chunk = body is BODY_UNTIL_CLOSE and is_http11 and not client.can_reset
        body = BODY_CHUNKED if chunk else BODY_UNTIL_CLOSE if body is BODY_CHUNKED and not is_http11 else body
        self._close_delimited = body is BODY_UNTIL_CLOSE
        # A client that still sends must not be told to go on when BioT will not listen.
        self._keep = (
            exchange.keep_alive
            and not (self._close_delimited or self._shared.draining)
            and (client.body_done or (response.keep_alive and not upstream.lost))
        )
        exchange.status = response.status
        exchange.response_headers = response.headers
        head = response_bytes(response, is_http11=is_http11, close=not self._keep, chunk=chunk)
        if buffered is None:
            whole = upstream.take_whole()
            if whole is not None or upstream.body_done:
                client.write(head + whole if whole else head)
                exchange.response_bytes = upstream.body_bytes
                if self._keep and client.body_done:
                    self._release(keep=response.keep_alive)
                    return True
                return False
        client.cork()
        client.write(head)
        client.frame_output(body)
        if buffered is not None and buffered.pieces:
            client.write_body(buffered.pieces)
        upstream.relay_to(client)
        client.uncork()
        return False

    async def _relay_on(self, upstream: UpstreamStream, response: ResponseHead) -> bool:
        """Pass on what is still to come of the answer, and of the upload that it overtook."""
        client, exchange = self._client, self._exchange
        if not (client.body_done or response.keep_alive):
            client.detach()
        whole = await self._finished(upstream, upstream)
        exchange.response_bytes = upstream.body_bytes
        if not whole:
            self._cut()
            return False
        # Little patience now: BioT has said all it had to say, and the client waits for nothing more.
        uploaded = client.body_done or (response.keep_alive and await self._finished(client, upstream, slices=1))
        self._release(keep=response.keep_alive and uploaded)
        return self._keep and uploaded

    async def _finished(self, sender: HttpStream, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Wait for the end of the sender's body; False when it will not come, or BioT does not want it any more."""
        while not sender.body_done:
            if self._client.failure is not None or not await self._moving(upstream, slices):
                return False
        return True

    async def _moving(self, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Wait for something to happen to the bodies; False when nothing good will."""
        wakeup = self._client.wakeup
        if upstream.failure is not None or upstream.lost:
            return False
        self._arm_stall_check()
        await wakeup.next()
        return not (wakeup.expired and self._has_stalled(upstream, slices))

    def _cut(self) -> None:
        """End the client's connection so that a half answer cannot look whole (RFC 9112, section 8)."""
        client = self._client
        self._exchange.cut = True
        if self._close_delimited or self._slices >= STALL_SLICES:
            client.abort()
        elif not client.unsent:  # else it ends when that is out
            client.close()

    # ---- stalls

    def _arm_stall_check(self) -> None:
        shared = self._shared
        shared.deadlines.arm(self._client.wakeup, shared.clock() + shared.stall / STALL_SLICES)

    def _has_stalled(self, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Asked once a slice: has nothing moved for so many of them?"""
        mark = (self._client.activity, upstream.activity, self._client.unsent, upstream.unsent)
        self._slices = self._slices + 1 if mark == self._last_activity else 0
        self._last_activity = mark
        return self._slices >= slices

    def _release(self, *, keep: bool) -> None:
        """Give the upstream connection back, if one is held."""
        upstream = self._upstream
        if upstream is None:
            return
        self._upstream = None
        self._exchange.upstream_seconds += self._shared.clock() - self._sent_at
        if not self._client.body_done:
            self._client.detach()
            keep = False
        self._shared.pool.release(upstream, keep=keep)
