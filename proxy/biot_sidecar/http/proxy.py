"""Forwards one request to BioT and its response back: token, tries, relay.

The request's way is ForwardedRequest.run, one coroutine, linear but for its loop over tries:

    token       current, or a login is waited for, no longer than the route's `timeout`
    connection  from the pool, or dialled
    send        head and body; a body that is not here yet follows as it comes, and what came is kept for a replay
    response    1xx go on to the client (RFC 9110, section 15.2), the final head is judged:
                  401 about the token   another token, the same request again, once: a replay, no retry
                  502, 503, 504         perhaps another try
                  anything else         relayed; from its first byte on nothing is tried again
    relay       both bodies move at once, each side held back by the other's full buffer

Retries. What may be tried again is routing/retry's to say; here is what must be true besides: the whole body sent so
far is still kept (`replay_buffer`), no byte of a response has gone to the client, the pause ends before the route's
`timeout`, and the retry budget has one left. A connection lost before any byte left counts as not sent.

Stalls. While bodies move there is no deadline but the stall's: STALL_SLICES times in it one looks whether anything
moved on either side, and only when nothing did in all of them is it over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from biot_sidecar.auth.incurable_routes import route_key
from biot_sidecar.auth.token import Token
from biot_sidecar.auth.token_rejection import BODY_LIMIT_BYTES, is_about_another_token, token_rejected
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import DeadlineTimer, timeout
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.framing import response_head, unasked_interim
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.header_rules import request_lines, request_start, response_bytes, sends_service_token
from biot_sidecar.http.interfaces import ClientStream, HttpStream, Pool, Tokens, UpstreamStream
from biot_sidecar.http.messages import BODY_CHUNKED, BODY_NONE, BODY_UNTIL_CLOSE, RequestHead, ResponseHead
from biot_sidecar.http.retry_after import asked_pause
from biot_sidecar.routing.retry import RETRYABLE_STATUS, RetryBudget, may_retry, pause
from biot_sidecar.routing.route import Route

STALL_SLICES: Final = 12
"""Looks at the bodies in one stall time."""


class Forwarder:
    """Forwards to one upstream. `prefix` and `authority` are its base URL's; `stall` is in seconds."""

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

    def forward(
        self,
        client: ClientStream,
        head: RequestHead,
        target: bytes,
        route: Route,
        exchange: Exchange,
        traceparent: bytes,
    ) -> ForwardedRequest:
        """A request that may go, ready to run. `target` is in origin-form."""
        request = ForwardedRequest(self, client, head, route, exchange)
        # OPTIONS * is about the whole server, wherever in it the base URL points.
        full = target if target == b"*" else self.prefix + target
        request.start = request_start(head, full, self.authority)
        request.field_lines = request_lines(head, route, self.user_agent, traceparent)
        self.budget.request(exchange.started)
        return request


class ForwardedRequest:
    """One request under way: its tries, and the upstream connection it holds at the moment."""

    __slots__ = (
        "_client", "_close_delimited", "_deadline", "_exchange", "_head", "_interims", "_keep", "_last_activity",
        "_reached", "_route", "_sent_at", "_shared", "_slices", "_uploading", "_upstream", "_withheld", "field_lines",
        "start",
    )  # fmt: skip

    def __init__(
        self, shared: Forwarder, client: ClientStream, head: RequestHead, route: Route, exchange: Exchange
    ) -> None:
        self._shared = shared
        self._client = client
        self._head = head
        self._route = route
        self._exchange = exchange
        self._deadline = exchange.started + route.timeout
        self._upstream: UpstreamStream | None = None
        self._sent_at = 0.0
        self._interims = 0
        self._last_activity: tuple[int, ...] = ()
        self._slices = 0
        self._keep = False
        self._close_delimited = False
        self._uploading = False
        self._reached = False  # a try that failed may have been carried out
        self._withheld = False  # the budget allowed no further one
        self.start = b""
        self.field_lines = b""

    async def run(self) -> bool:
        """Try until there is an answer, and pass it on. True when the client's connection can go on. Raises Failure
        before any byte of an answer was written, never after.
        """
        tokens, exchange, replayed = self._shared.tokens, self._exchange, False
        uses_service_token = sends_service_token(self._route, self._head.known_fields.get(Kind.AUTHORIZATION))
        token: Token | None = None
        failed: UpstreamError | None = None
        if uses_service_token:
            tokens.call_started()
        try:
            while True:
                if failed is not None and not await self._try_again(failed.retryable, None):
                    failed.withheld, failed.sent = self._withheld, self._reached
                    raise failed
                failed = None
                if uses_service_token:
                    token = tokens.current() or await self._wait_for_token()
                try:
                    upstream = self._upstream = self._shared.pool.take() or await self._dial(token)
                    if upstream is None:
                        continue
                    self._send(upstream, token)
                    while (response := self._final_response(upstream)) is None:
                        await self._client.wakeup.next()
                except UpstreamError as failure:
                    self._reached = self._reached or failure.sent
                    failed = failure  # no await here: compiled, it would leave the exception to whatever runs meanwhile
                    continue
                status = exchange.upstream_status = response.status
                buffered: BodyBuffer | None = None
                if status == 401 and token is not None and not is_about_another_token(exchange.verdict):
                    buffered = await self._buffer_body(upstream, response)
                    if token_rejected(response.headers, b"".join(buffered.pieces)) and await tokens.rejected(
                        token,
                        route_key(self._head.method, self._head.target, exchange.verdict),
                        replayed=replayed,
                        replayable=self._client.replay_buffer is not None,
                    ):
                        replayed = True
                        exchange.retries += ("token_not_valid",)
                        self._release(keep=response.keep_alive)
                        continue
                elif status != 401 and token is not None and tokens.marked:
                    tokens.accepted(route_key(self._head.method, self._head.target, exchange.verdict))
                if status in RETRYABLE_STATUS and await self._try_again("status", response):
                    continue
                return self._relay(upstream, response, buffered) or await self._relay_on(upstream, response)
        finally:
            if uses_service_token:
                tokens.call_ended()
            self._release(keep=False)
            exchange.request_bytes = self._client.body_bytes

    # ---- before the try

    async def _wait_for_token(self) -> Token:
        """Wait for a login, no longer than the route allows. Raises LoginError, or a Failure when time is up."""
        shared, exchange = self._shared, self._exchange
        exchange.token_result = "fail"
        began = shared.clock()
        try:
            with timeout(self._deadline - began):
                token = await shared.tokens.acquire()
            exchange.token_result = "wait"
            return token
        except TimeoutError:
            pass
        finally:
            exchange.token_wait += shared.clock() - began
        raise errors.login_timeout(self._route.timeout)

    async def _try_again(self, reason: str, response: ResponseHead | None) -> bool:
        """Whether another try follows; if so the pause before it, which `response` may ask for, is over."""
        shared, exchange = self._shared, self._exchange
        done = sum(1 for one in exchange.retries if one != "token_not_valid")
        if self._client.replay_buffer is None or not may_retry(self._route, self._head.method, reason, done):
            return False
        now = shared.clock()
        wait = pause(done, shared.jitter())
        if response is not None:
            wait = max(wait, asked_pause(response.headers, shared.wall()))
        if now + wait >= self._deadline:
            return False
        if not shared.budget.spend(now):
            self._withheld = True
            return False
        self._release(keep=False)
        exchange.retries += (reason,)
        await shared.sleep(wait)
        exchange.paused += wait
        return True

    # ---- the try

    async def _dial(self, token: Token | None) -> UpstreamStream | None:
        """A new connection, or none if the token ran out meanwhile. Raises UpstreamError."""
        shared = self._shared
        began = shared.clock()
        try:
            with timeout(self._deadline - began):
                upstream: UpstreamStream = await shared.pool.dial(self._client.wakeup)
            if token is None or shared.tokens.is_usable(token):
                return upstream
            shared.pool.release(upstream, keep=True)
            return None
        except TimeoutError:
            pass
        finally:
            self._exchange.connect += shared.clock() - began
        raise errors.upstream_timeout(self._route.timeout, sent=self._reached)

    def _send(self, upstream: UpstreamStream, token: Token | None) -> None:
        """Write the request, and let its body follow as it comes. Raises Failure."""
        client, exchange = self._client, self._exchange
        client.check_body()  # more of it may have come while this waited for a token or a connection
        self._sent_at = self._shared.clock()
        self._interims = 0
        exchange.reused = upstream.begin(client.wakeup)
        if upstream.lost:
            raise errors.lost_before_sending()
        exchange.tries += 1
        if token is None:
            request = b"%b%b\r\n\r\n" % (self.start, self.field_lines)
        else:
            exchange.token_result = exchange.token_result or ("stale" if self._shared.tokens.renewing else "hit")
            exchange.token_age = self._shared.tokens.age(token)
            request = b"%bAuthorization: %b\r\n%b\r\n\r\n" % (self.start, token.authorization, self.field_lines)
        if self._head.framing.body is BODY_NONE:
            upstream.write(request)
        elif client.body_bytes == 0 and (body := client.take_whole()) is not None:
            upstream.write(request + body)
        else:
            self._send_streamed(upstream, request)

    def _send_streamed(self, upstream: UpstreamStream, request: bytes) -> None:
        client = self._client
        upstream.cork()
        upstream.write(request)
        upstream.frame_output(self._head.framing.body)
        if client.replay_buffer:
            upstream.write_body(client.replay_buffer)
        client.relay_to(upstream)
        self._uploading = not client.body_done
        upstream.uncork()

    def _final_response(self, upstream: UpstreamStream) -> ResponseHead | None:
        """The final answer's head, None while it is to come; interim ones (RFC 9110, 15.2) go on to the client."""
        while (raw := upstream.raw_head) is not None:
            response = response_head(raw, self._head.method)
            if response.status >= 200:
                self._exchange.first_byte = self._shared.clock() - self._sent_at
                return response
            self._interims += 1
            if unasked_interim(response.status, self._interims):
                raise errors.untrusted_response("an interim answer that was not asked for")
            if self._head.is_http11:
                self._client.write(response_bytes(response, is_http11=True, close=False))
            upstream.expect_head()
        self._check_waiting(upstream)
        return None

    def _check_waiting(self, upstream: UpstreamStream) -> None:
        """Before waiting for the answer's head: raise what makes it vain, and set the time it may take."""
        shared, client, wakeup = self._shared, self._client, self._client.wakeup
        failure = upstream.failure or client.failure
        if failure is not None:
            raise failure
        if upstream.lost:
            raise errors.lost_before_sending() if upstream.nothing_sent else errors.lost_before_response()
        if self._uploading:
            # The route's time runs from the request's end: an upload that moves may take longer.
            self._deadline = max(self._deadline, shared.clock() + self._route.timeout)
            self._uploading = not client.body_done
        if not self._uploading:
            if wakeup.expired and shared.clock() >= self._deadline:
                raise errors.upstream_timeout(self._route.timeout)
            shared.deadlines.arm(wakeup, self._deadline)
            return
        if wakeup.expired and self._has_stalled(upstream):
            raise errors.upstream_timeout(shared.stall) if upstream.unsent else errors.body_timeout(shared.stall)
        self._arm_stall_check()

    # ---- the answer

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
