"""Forwards one request to BioT and its response back: token, tries, relay.

The request's way is ForwardedRequest.run, one coroutine, linear but for its loop over tries:

    token       current, or a login is waited for, no longer than the route's `timeout`
    connection  from the pool, or dialled
    send        head and body; a body that is not here yet follows as it comes, and what came is kept for a replay
    response    1xx go on to the client (RFC 9110, section 15.2), the final head is judged:
                  401 about the token   another token, the same request again, once: a replay, no retry
                  502, 503, 504         perhaps another try
                  anything else         relayed; from its first byte on nothing is tried again
    relay       both bodies move at once (http/relay)

Retries. What may be tried again is routing/retry's to say; here is what must be true besides: the whole body sent so
far is still kept (`replay_buffer`), no byte of a response has gone to the client, the pause ends before the route's
`timeout`, and the retry budget has one left. A connection lost before any byte left counts as not sent.
"""

from __future__ import annotations

from biot_sidecar.auth.incurable_routes import route_key
from biot_sidecar.auth.token import Token
from biot_sidecar.auth.token_rejection import is_about_another_token, token_rejected
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.body_buffer import BodyBuffer
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.framing import response_head, unasked_interim
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.header_rules import request_lines, request_start, response_bytes, sends_service_token
from biot_sidecar.http.interfaces import ClientStream, UpstreamStream
from biot_sidecar.http.messages import BODY_NONE, RequestHead, ResponseHead
from biot_sidecar.http.relay import ForwardingContext, Relay
from biot_sidecar.http.request_trace import RequestTrace
from biot_sidecar.http.retry_after import asked_pause
from biot_sidecar.routing.retry import RETRYABLE_STATUS, may_retry, pause
from biot_sidecar.routing.route import Route


class Forwarder(ForwardingContext):
    """Forwards to one upstream."""

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
        request = ForwardedRequest(self, client, head, route, exchange, traceparent)
        # OPTIONS * is about the whole server, wherever in it the base URL points.
        full = target if target == b"*" else self.prefix + target
        request.start = request_start(head, full, self.authority)
        request.field_lines = request_lines(head, route, self.user_agent, traceparent)
        self.budget.request(exchange.started)
        return request


class ForwardedRequest(Relay):
    """One request under way: its tries, and the upstream connection it holds at the moment."""

    __slots__ = (
        "_deadline",
        "_interims",
        "_reached",
        "_route",
        "_traceparent",
        "_uploading",
        "_withheld",
        "field_lines",
        "start",
    )

    def __init__(
        self,
        shared: Forwarder,
        client: ClientStream,
        head: RequestHead,
        route: Route,
        exchange: Exchange,
        traceparent: bytes,
    ) -> None:
        super().__init__(shared, client, head, exchange)
        self._traceparent = traceparent
        self._route = route
        self._deadline = exchange.started + route.timeout
        self._interims = 0
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
        now = began = tokens.call_started() if uses_service_token else 0.0  # by the tokens' clock
        try:
            while True:
                if failed is not None and not await self._try_again(failed.retryable, None):
                    failed.withheld, failed.sent = self._withheld, self._reached
                    raise failed
                failed = None
                if uses_service_token:
                    now, began = began or tokens.now(), 0.0  # a further try comes later
                    token = tokens.current(now) or await self._wait_for_token()
                if exchange.trace is not None:
                    self._begin_try(exchange.trace)
                try:
                    upstream = self._upstream = self._shared.pool.take() or await self._dial(token)
                    if upstream is None:
                        continue
                    self._send(upstream, token, now)
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
                        self._end_try("token_not_valid", status)
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
            ended = shared.clock()
            exchange.token_wait += ended - began
            if exchange.trace is not None:
                exchange.trace.token_awaited(began, ended)
        raise errors.login_timeout(self._route.timeout, via=shared.pool.via)

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
        self._end_try(reason, 0 if response is None else response.status)
        exchange.retries += (reason,)
        await shared.sleep(wait)
        exchange.paused += wait
        return True

    # ---- the try

    def _begin_try(self, trace: RequestTrace) -> None:
        """BioT sees each try as a span of its own: its id is random, so nothing else in the fields is like it."""
        traceparent = trace.try_began(self._shared.clock())
        self.field_lines = self.field_lines.replace(self._traceparent, traceparent, 1)
        self._traceparent = traceparent

    def _end_try(self, reason: str, status: int) -> None:
        trace = self._exchange.trace
        if trace is not None:
            trace.try_ended(self._shared.clock(), status, reason)

    async def _dial(self, token: Token | None) -> UpstreamStream | None:
        """A connection, most often a new one, or none if the token ran out meanwhile. Raises UpstreamError."""
        shared = self._shared
        began = shared.clock()
        shared.deadlines.arm(self._client.wakeup, self._deadline)
        try:
            if began >= self._deadline:
                raise TimeoutError
            upstream: UpstreamStream = await shared.pool.acquire(self._client.wakeup)
            if token is None or shared.tokens.is_usable(token):
                return upstream
            shared.pool.release(upstream, keep=True)
            return None
        except TimeoutError:
            pass
        finally:
            self._exchange.connect += shared.clock() - began
        raise self._late()

    def _late(self) -> UpstreamError:
        """Its time was up before this try was sent."""
        return errors.upstream_timeout(self._route.timeout, sent=self._reached, via=self._shared.pool.via)

    def _send(self, upstream: UpstreamStream, token: Token | None, now: float) -> None:
        """Write the request, and let its body follow as it comes; it asked for its token `now`. Raises Failure."""
        client, exchange = self._client, self._exchange
        client.check_body()  # more of it may have come while this waited for a token or a connection
        self._sent_at = self._shared.clock()
        if self._sent_at >= self._deadline:  # it waited for its turn or a connection, and nobody waits for it any more
            self._upstream = None
            self._shared.pool.release(upstream, keep=True)
            raise self._late()
        self._interims = 0
        exchange.reused = upstream.begin(client.wakeup)
        if upstream.lost:
            raise errors.lost_before_sending()
        exchange.tries += 1
        if token is None:
            request = b"%b%b\r\n\r\n" % (self.start, self.field_lines)
        else:
            exchange.token_result = exchange.token_result or ("stale" if self._shared.tokens.renewing else "hit")
            at_once = exchange.reused and exchange.token_result != "wait"
            exchange.token_age = now - token.obtained if at_once else self._shared.tokens.age(token)
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
                raise errors.upstream_timeout(self._route.timeout, via=shared.pool.via)
            shared.deadlines.arm(wakeup, self._deadline)
            return
        if wakeup.expired and self._has_stalled(upstream):
            raise errors.upstream_timeout(shared.stall) if upstream.unsent else errors.body_timeout(shared.stall)
        self._arm_stall_check()
