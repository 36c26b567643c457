"""One request to BioT and its answer back: token, tries, relay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from biot_sidecar.auth.incurable_routes import route_of
from biot_sidecar.auth.token import Token
from biot_sidecar.auth.token_rejection import BODY_LIMIT, is_about_another_token, token_rejected
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http import error_texts as faults
from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import DeadlineTimer, timeout
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.framing import response_head, unasked_interim
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.header_rules import request_lines, request_start, response_bytes, takes_own_token
from biot_sidecar.http.interfaces import ClientStream, HttpStream, Pool, Tokens, UpstreamStream
from biot_sidecar.http.messages import BODY_CHUNKED, BODY_NONE, BODY_UNTIL_CLOSE, RequestHead, ResponseHead
from biot_sidecar.http.retry_after import asked_pause
from biot_sidecar.routing.retry import RETRYABLE_STATUS, RetryBudget, may_retry, pause
from biot_sidecar.routing.route import Route

STALL_SLICES: Final = 12


class Forwarder:
    """Forwards to one upstream. `prefix` and `authority` are its base URL's; `stall` is in seconds."""

    def __init__(
        self,
        *,
        pool: Pool[Any],
        tokens: Tokens,
        sweep: DeadlineTimer,
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
        self.sweep = sweep
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
        rule: Route,
        exchange: Exchange,
        traceparent: bytes,
    ) -> ForwardedRequest:
        """A request that may go, ready to run. `target` is in origin-form."""
        request = ForwardedRequest(self, client, head, rule, exchange)
        # OPTIONS * is about the whole server, wherever in it the base URL points.
        full = target if target == b"*" else self.prefix + target
        request.start = request_start(head, full, self.authority)
        request.lines = request_lines(head, rule, self.user_agent, traceparent)
        self.budget.request(exchange.started)
        return request


class ForwardedRequest:
    """One request under way: its tries, and the upstream connection it holds at the moment."""

    __slots__ = (
        "_client", "_deadline", "_exchange", "_head", "_interims", "_keep", "_mark", "_reached", "_rule", "_sent_at",
        "_shared", "_slices", "_until_close", "_uploading", "_upstream", "_withheld", "lines", "start",
    )  # fmt: skip

    def __init__(
        self, shared: Forwarder, client: ClientStream, head: RequestHead, rule: Route, exchange: Exchange
    ) -> None:
        self._shared = shared
        self._client = client
        self._head = head
        self._rule = rule
        self._exchange = exchange
        self._deadline = exchange.started + rule.timeout
        self._upstream: UpstreamStream | None = None
        self._sent_at = 0.0
        self._interims = 0
        self._mark: tuple[int, ...] = ()
        self._slices = 0
        self._keep = False
        self._until_close = False
        self._uploading = False
        self._reached = False  # a try that failed may have been carried out
        self._withheld = False  # the budget allowed no further one
        self.start = b""
        self.lines = b""

    async def run(self) -> bool:
        """Try until there is an answer, and pass it on. True when the client's connection can go on. Raises Failure
        before any byte of an answer was written, never after.
        """
        tokens, exchange, replayed = self._shared.tokens, self._exchange, False
        own = takes_own_token(self._rule, self._head.special.get(Kind.AUTHORIZATION))
        token: Token | None = None
        failed: UpstreamError | None = None
        if own:
            tokens.call_started()
        try:
            while True:
                if failed is not None and not await self._try_again(failed.retryable, None):
                    failed.withheld, failed.sent = self._withheld, self._reached
                    raise failed
                failed = None
                if own:
                    token = tokens.current() or await self._wait_for_token()
                try:
                    upstream = self._upstream = self._shared.pool.take() or await self._dial(token)
                    if upstream is None:
                        continue
                    self._send(upstream, token)
                    while (answer := self._final_answer(upstream)) is None:
                        await self._client.signal.next()
                except UpstreamError as fault:
                    self._reached = self._reached or fault.sent
                    failed = fault  # no await here: compiled, it would leave the exception to whatever runs meanwhile
                    continue
                status = exchange.upstream_status = answer.status
                collector: BodyBuffer | None = None
                if status == 401 and token is not None and not is_about_another_token(exchange.verdict):
                    collector = await self._collect(upstream, answer)
                    refused = token_rejected(answer.headers, b"".join(collector.pieces))
                    route, kept = route_of(self._head, exchange.verdict), self._client.kept is not None
                    if refused and await tokens.rejected(token, route, replayed=replayed, replayable=kept):
                        replayed = True
                        exchange.retries += ("token_not_valid",)
                        self._release(keep=answer.keep_alive)
                        continue
                elif status != 401 and token is not None and tokens.marked:
                    tokens.accepted(route_of(self._head, exchange.verdict))
                if status in RETRYABLE_STATUS and await self._try_again("status", answer):
                    continue
                return self._relay(upstream, answer, collector) or await self._relay_on(upstream, answer)
        finally:
            if own:
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
        raise faults.login_timed_out(self._rule.timeout)

    async def _try_again(self, reason: str, answer: ResponseHead | None) -> bool:
        """Whether another try follows; if so the pause before it, which `answer` may ask for, is over."""
        shared, exchange = self._shared, self._exchange
        done = sum(1 for one in exchange.retries if one != "token_not_valid")
        if self._client.kept is None or not may_retry(self._rule, self._head.method, reason, done):
            return False
        now = shared.clock()
        asked = 0.0 if answer is None else asked_pause(answer.headers, shared.wall())
        wait = max(asked, pause(done, shared.jitter()))
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
        """A new connection, or none if the token ran out meanwhile. Raises UpstreamFault."""
        shared = self._shared
        began = shared.clock()
        try:
            with timeout(self._deadline - began):
                upstream: UpstreamStream = await shared.pool.dial(self._client.signal)
            if token is None or shared.tokens.is_usable(token):
                return upstream
            shared.pool.release(upstream, keep=True)
            return None
        except TimeoutError:
            pass
        finally:
            self._exchange.connect += shared.clock() - began
        raise faults.timed_out(self._rule.timeout, sent=self._reached)

    def _send(self, upstream: UpstreamStream, token: Token | None) -> None:
        """Write the request, and let its body follow as it comes. Raises Failure."""
        client, exchange = self._client, self._exchange
        client.check_body()  # more of it may have come while this waited for a token or a connection
        self._sent_at = self._shared.clock()
        self._interims = 0
        exchange.reused = upstream.begin(client.signal)
        if upstream.lost:
            raise faults.lost_before_answer(sent=False)
        exchange.tries += 1
        if token is None:
            request = b"%b%b\r\n\r\n" % (self.start, self.lines)
        else:
            exchange.token_result = exchange.token_result or ("stale" if self._shared.tokens.renewing else "hit")
            exchange.token_age = self._shared.tokens.age(token)
            request = b"%bAuthorization: %b\r\n%b\r\n\r\n" % (self.start, token.authorization, self.lines)
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
        if client.kept:
            upstream.write_body(client.kept)
        client.relay_to(upstream)
        self._uploading = not client.body_done
        upstream.uncork()

    def _final_answer(self, upstream: UpstreamStream) -> ResponseHead | None:
        """The final answer's head, None while it is to come; interim ones (RFC 9110, 15.2) go on to the client."""
        while (raw := upstream.raw_head) is not None:
            answer = response_head(raw, self._head.method)
            if answer.status >= 200:
                self._exchange.first_byte = self._shared.clock() - self._sent_at
                return answer
            self._interims += 1
            if unasked_interim(answer.status, self._interims):
                raise faults.broken_answer("an interim answer that was not asked for")
            if self._head.modern:
                self._client.write(response_bytes(answer, modern=True, close=False))
            upstream.expect_head()
        self._check_waiting(upstream)
        return None

    def _check_waiting(self, upstream: UpstreamStream) -> None:
        """Before waiting for the answer's head: raise what makes it vain, and set the time it may take."""
        shared, client, signal = self._shared, self._client, self._client.signal
        failure = upstream.failure or client.failure
        if failure is not None:
            raise failure
        if upstream.lost:
            raise faults.lost_before_answer(sent=not upstream.unsent_request)
        if self._uploading:
            # The route's time runs from the request's end: an upload that moves may take longer.
            self._deadline = max(self._deadline, shared.clock() + self._rule.timeout)
            self._uploading = not client.body_done
        if not self._uploading:
            if signal.expired and shared.clock() >= self._deadline:
                raise faults.timed_out(self._rule.timeout)
            shared.sweep.arm(signal, self._deadline)
            return
        if signal.expired and self._stalled(upstream):
            raise faults.timed_out(shared.stall) if upstream.unsent else faults.stalled_upload(shared.stall)
        self._arm_slice()

    # ---- the answer

    async def _collect(self, upstream: UpstreamStream, answer: ResponseHead) -> BodyBuffer:
        """Read a small answer's body, to judge it. Raises UpstreamFault when it breaks off."""
        collector = BodyBuffer(BODY_LIMIT)
        upstream.expect_body(answer.framing)
        upstream.relay_to(collector)
        while not (upstream.body_done or collector.overflowed):
            if not await self._moving(upstream):
                raise faults.broken_answer("it broke off halfway")
        return collector

    def _relay(self, upstream: UpstreamStream, answer: ResponseHead, collector: BodyBuffer | None) -> bool:
        """Pass the answer on as far as it is here; `collector` holds what was read of its body already.

        True when that was all of it and both connections can go on. Raises UpstreamFault for a body that is seen to be
        malformed before anything was written.
        """
        client, exchange = self._client, self._exchange
        if collector is None:
            upstream.expect_body(answer.framing)
            if upstream.failure is not None:
                raise upstream.failure  # what came of the body with the head
        modern, body = self._head.modern, answer.framing.body
        # Where no reset can show that a close-delimited answer broke off, chunks can.
        chunk = body is BODY_UNTIL_CLOSE and modern and not client.resets
        body = BODY_CHUNKED if chunk else BODY_UNTIL_CLOSE if body is BODY_CHUNKED and not modern else body
        self._until_close = body is BODY_UNTIL_CLOSE
        # A client that still sends must not be told to go on when BioT will not listen.
        self._keep = (
            exchange.keep_alive
            and not (self._until_close or self._shared.draining)
            and (client.body_done or (answer.keep_alive and not upstream.lost))
        )
        exchange.status = answer.status
        exchange.response_headers = answer.headers
        head = response_bytes(answer, modern=modern, close=not self._keep, chunk=chunk)
        if collector is None:
            whole = upstream.take_whole()
            if whole is not None or upstream.body_done:
                client.write(head + whole if whole else head)
                exchange.response_bytes = upstream.body_bytes
                if self._keep and client.body_done:
                    self._release(keep=answer.keep_alive)
                    return True
                return False
        client.cork()
        client.write(head)
        client.frame_output(body)
        if collector is not None and collector.pieces:
            client.write_body(collector.pieces)
        upstream.relay_to(client)
        client.uncork()
        return False

    async def _relay_on(self, upstream: UpstreamStream, answer: ResponseHead) -> bool:
        """Pass on what is still to come of the answer, and of the upload that it overtook."""
        client, exchange = self._client, self._exchange
        if not (client.body_done or answer.keep_alive):
            client.detach()
        whole = await self._finished(upstream, upstream)
        exchange.response_bytes = upstream.body_bytes
        if not whole:
            self._cut()
            return False
        # Little patience now: BioT has said all it had to say, and the client waits for nothing more.
        uploaded = client.body_done or (answer.keep_alive and await self._finished(client, upstream, slices=1))
        self._release(keep=answer.keep_alive and uploaded)
        return self._keep and uploaded

    async def _finished(self, sender: HttpStream, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Wait for the end of the sender's body; False when it will not come, or BioT does not want it any more."""
        while not sender.body_done:
            if self._client.failure is not None or not await self._moving(upstream, slices):
                return False
        return True

    async def _moving(self, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Wait for something to happen to the bodies; False when nothing good will."""
        signal = self._client.signal
        if upstream.failure is not None or upstream.lost:
            return False
        self._arm_slice()
        await signal.next()
        return not (signal.expired and self._stalled(upstream, slices))

    def _cut(self) -> None:
        """End the client's connection so that a half answer cannot look whole (RFC 9112, section 8)."""
        client = self._client
        self._exchange.cut = True
        if self._until_close or self._slices >= STALL_SLICES:
            client.abort()
        elif not client.unsent:  # else it ends when that is out
            client.close()

    # ---- stalls

    def _arm_slice(self) -> None:
        shared = self._shared
        shared.sweep.arm(self._client.signal, shared.clock() + shared.stall / STALL_SLICES)

    def _stalled(self, upstream: UpstreamStream, slices: int = STALL_SLICES) -> bool:
        """Asked once a slice: has nothing moved for so many of them?"""
        mark = (self._client.progress, upstream.progress, self._client.unsent, upstream.unsent)
        self._slices = self._slices + 1 if mark == self._mark else 0
        self._mark = mark
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
