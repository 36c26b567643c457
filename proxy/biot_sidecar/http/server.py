"""Serves one client connection: reads a request's head, admits it, and responds here or forwards it; then the next.

The request's way, each step in its own method, top to bottom:

    _next_head        wait for a whole head: `head` seconds from its first byte, `idle` before it   408, close
    _respond          parse it, know its body's end (RFC 9112, section 6), admit Host, browser, target
    _serve_local      /metrics, /healthz, /readyz, /_sidecar/...: respond here
    _forward          ask the routes file for the verdict; a login of the plugin's gets a placeholder;
                      count loops; take a slot; run proxy.ForwardedRequest
    _fail             any error on the way becomes a response, if none has begun
    _linger           at the end of the connection read on for a moment (RFC 9112, section 9.6)

Every step returns, or raises an error of the catalogue; True at the end keeps the connection (RFC 9112, section 9.3).
Stopping: `draining` rejects new requests with 503 and ends connections after their response; `drain_idle` closes those
that rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from biot_sidecar.auth.placeholder import logs_in, might_log_in, placeholder_answer
from biot_sidecar.errors import ClientError, Failure
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.admission import Admission, asks_for_icon
from biot_sidecar.http.allowed_callers import AllowedCallers
from biot_sidecar.http.body_buffer import BodyBuffer, DiscardSink
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.error_catalogue import status_of
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.framing import request_head
from biot_sidecar.http.header_fields import Kind
from biot_sidecar.http.header_rules import interception_action, sends_service_token
from biot_sidecar.http.in_flight_slots import Slots
from biot_sidecar.http.interfaces import ClientStream, Endpoints, LoopJudge, Observer, Routes
from biot_sidecar.http.local_responses import error_response_bytes, local_response_bytes
from biot_sidecar.http.messages import RequestHead
from biot_sidecar.http.proxy import Forwarder
from biot_sidecar.http.request_limits import ASKS, within_request
from biot_sidecar.http.request_trace import RequestTracer
from biot_sidecar.http.time_limit import TimeLimit
from biot_sidecar.http.trace_context import TraceContexts
from biot_sidecar.routing.local_paths import LOCAL_PREFIX, local_path
from biot_sidecar.routing.route import Authorization, Retry, Route, Verdict

LOGIN_BODY_LIMIT: Final = 64 * 1024
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LOCAL_METHODS: Final = frozenset({b"GET", b"HEAD"})
_INTERCEPTED: Final = frozenset({"set", "passed"})
INSPECTOR_ROUTE: Final = Route(name="inspector", source="", authorization=Authorization.NONE, retry=Retry.NONE)


class Limits(msgspec.Struct, frozen=True):
    """Seconds, unless their names say otherwise."""

    head: float = 10.0  # from a head's first byte to its last
    idle: float = 3600.0  # a client's connection between requests; Envoy's default
    stall: float = 60.0  # a body of which nothing moves
    linger: float = 2.0  # reading on after the last answer, so that it is not lost to a reset: this long in silence
    longest_linger: float = 30.0  # and this long in all
    in_flight_requests: int = 256
    loop_requests: int = 8


class ConnectionHandler:
    """Everything the conversations of one kind of listener share.

    Without a forwarder it serves the sidecar's own pages and nothing else: the admin listener. `inspector` forwards to
    the inspector's own server. `numbering` is where the requests' numbers begin and by how much they grow.
    """

    def __init__(
        self,
        *,
        routes: Routes,
        admission: Admission,
        forwarder: Forwarder | None,
        endpoints: Endpoints,
        observer: Observer,
        deadlines: DeadlineTimer,
        limits: Limits,
        plugin_login: str,
        wall: Callable[[], float],
        clock: Callable[[], float],
        random_bits: Callable[[int], int],
        loops: LoopJudge,
        callers: AllowedCallers | None = None,
        inspector: Forwarder | None = None,
        time_limit: TimeLimit | None = None,
        tracer: RequestTracer | None = None,
        numbering: tuple[int, int] = (0, 1),
    ) -> None:
        self._inspector = inspector
        self._time_limit = time_limit
        self._callers = callers
        self._routes = routes
        self._admission = admission
        self._forwarder = forwarder
        self._endpoints = endpoints
        self._observer = observer
        self._deadlines = deadlines
        self._limits = limits
        self._plugin_login = plugin_login
        self._wall = wall
        self._clock = clock
        self._trace_contexts = TraceContexts(random_bits, tracer)
        self._loops = loops
        self._slots = Slots(limits.in_flight_requests, _always if forwarder is None else forwarder.tokens.has_current)
        self._number, self._step = numbering
        self.in_flight = 0
        self.draining = False
        self.drain_idle = False

    # ---- one connection

    async def serve_connection(self, client: ClientStream) -> None:
        """Serve one client connection until it ends. Being cancelled means that the client has gone."""
        self._deadlines.register(client.wakeup)
        try:
            # A new connection has come to say something: only between requests may it rest.
            rest = self._limits.head
            while await self._exchange(client, rest):
                rest = self._limits.idle
                if client.write_paused and not await self._made_room(client):
                    break
                if client.leftover:
                    await asyncio.sleep(0)  # others have their turn before one who sent many requests at once
            await self._linger(client)
        finally:
            self._deadlines.unregister(client.wakeup)
            client.close()

    async def _exchange(self, client: ClientStream, rest: float) -> bool:
        """One request, awaited for `rest` seconds; False when the connection ends with it."""
        failure: Failure | None = None
        raw: bytes | None = b""
        client.expect_head()
        client.wakeup.expired = False  # a deadline that passed just as the last request ended
        try:
            while (raw := self._next_head(client, rest)) is None:
                await client.wakeup.next()
        except Failure as error:
            failure = error
        if not raw and failure is None:
            return False
        self._number += self._step
        exchange = Exchange(self._number, self._wall(), self._clock())
        try:
            if failure is not None:
                raise failure
            return await self._respond(client, raw or b"", exchange)
        except Failure as error:
            return self._fail(client, exchange, error)
        except asyncio.CancelledError:
            exchange.client_gone = client.lost
            exchange.cut = not client.lost  # by a stop whose time was up
            raise
        finally:
            exchange.finished = self._clock()
            if not exchange.local:
                self._observer.finished(exchange)

    def _next_head(self, client: ClientStream, rest: float) -> bytes | None:
        """The next request's head; empty when none will come, None while it may. Raises ClientError."""
        if client.raw_head is not None:
            return client.raw_head
        if client.failure is not None:
            raise client.failure
        begun = client.head_begun
        if client.half_closed and begun:
            raise errors.incomplete_request()
        if client.lost or client.half_closed:
            return b""
        if self.drain_idle and not begun:
            client.close()  # at once: there is no answer that this could cut short
            return b""
        wakeup, limits = client.wakeup, self._limits
        if wakeup.expired:
            if begun:
                raise errors.head_timeout(limits.head)
            return b""
        self._deadlines.arm(wakeup, self._clock() + (limits.head if begun else rest))
        return None

    # ---- one request

    async def _respond(self, client: ClientStream, raw: bytes, exchange: Exchange) -> bool:
        head = request_head(raw)
        exchange.method = head.method
        exchange.keep_alive = head.keep_alive
        exchange.request_headers = head.headers
        client.expect_body(head.framing)
        traceparent = self._trace_contexts.of(head, exchange)
        if self._callers is not None:
            self._callers.admit(client.caller_uid, local_path(head.target))
        client.check_body()
        target = self._admission.admit(head, unix=not client.can_reset)
        local = local_path(target)
        if local is not None:
            return await self._serve_local(client, head, local, target, exchange, traceparent)
        if self._forwarder is None:
            raise errors.not_on_admin_listener()
        if asks_for_icon(head, target):
            raise errors.no_icon()
        if self.draining:
            raise errors.draining()
        self.in_flight += 1
        try:
            if self._time_limit is None:
                return await self._forward(self._forwarder, client, head, target, exchange, traceparent)
            forwarding = self._forward(self._forwarder, client, head, target, exchange, traceparent)
            return await self._time_limit.forward(forwarding, client, exchange)
        finally:
            self.in_flight -= 1

    async def _forward(
        self,
        forwarder: Forwarder,
        client: ClientStream,
        head: RequestHead,
        target: bytes,
        exchange: Exchange,
        traceparent: bytes,
    ) -> bool:
        """Ask the rules, then forward; or answer the plugin's own login here."""
        exchange.query = target.partition(b"?")[2]
        verdict = exchange.verdict = self._routes.verdict(head.method, target)
        exchange.interception = interception_action(verdict.route, head.known_fields.get(Kind.INTERCEPTION))
        _check(verdict)
        route = within_request(verdict.route, head.known_fields) if head.kinds & ASKS else verdict.route
        if self._plugin_login == "local":
            if logs_in(head.method, verdict):
                return await self._log_plugin_in(client, head, exchange)
        elif might_log_in(head.method, target):
            if self._plugin_login == "deny":
                raise errors.login_denied()
            route = route.but(authorization=Authorization.NONE)
        if exchange.interception in _INTERCEPTED and Kind.TRACEPARENT in head.known_fields:
            await self._guard_against_loops(head, target, exchange)
        slots = self._slots
        if slots.taken < slots.uncontended:
            slots.taken += 1
        else:
            await slots.take(sends_service_token(route, head.known_fields.get(Kind.AUTHORIZATION)), route.timeout)
        try:
            return await forwarder.forward(client, head, target, route, exchange, traceparent).run()
        finally:
            slots.leave()

    async def _guard_against_loops(self, head: RequestHead, target: bytes, exchange: Exchange) -> None:
        if not await self._loops(exchange.trace_id, head.method, target.partition(b"?")[0]):
            template = exchange.verdict.template if exchange.verdict is not None else ""
            raise errors.loop_detected(self._limits.loop_requests, head.method.decode("ascii"), template)

    # ---- answers of our own

    async def _serve_local(
        self,
        client: ClientStream,
        head: RequestHead,
        path: bytes,
        target: bytes,
        exchange: Exchange,
        traceparent: bytes,
    ) -> bool:
        inspector = self._inspector if path.startswith(LOCAL_PREFIX) else None
        known = self._endpoints.has(path)
        if not known and inspector is None:
            raise errors.not_found() if self._forwarder is not None else errors.not_on_admin_listener()
        if head.method not in LOCAL_METHODS:
            raise errors.local_method_rejected()
        exchange.local = True
        if inspector is not None and not known:
            return await inspector.forward(client, head, target, INSPECTOR_ROUTE, exchange, traceparent).run()
        accept = b",".join(value for name, value in head.headers if name.lower() == b"accept")
        response = await self._endpoints.get(path, target.partition(b"?")[2], accept)
        keep = self._body_is_here(client) and head.keep_alive and not self.draining
        exchange.status = response.status
        head_only = head.method == b"HEAD"
        client.write(
            local_response_bytes(
                response.status,
                response.content_type,
                response.body,
                now=self._wall(),
                head_only=head_only,
                close=not keep,
            )
        )
        return keep

    async def _log_plugin_in(self, client: ClientStream, head: RequestHead, exchange: Exchange) -> bool:
        """Answer a plugin's own login with a placeholder, so that it needs no secret."""
        buffered = BodyBuffer(LOGIN_BODY_LIMIT)
        client.relay_to(buffered)
        if head.is_http11 and Kind.EXPECT in head.known_fields and not (client.body_done or client.body_bytes):
            client.write(CONTINUE)  # it waits for this before it sends its body (RFC 9110, section 10.1.1)
        self._deadlines.arm(client.wakeup, self._clock() + self._limits.head)
        while not (client.body_done or buffered.overflowed or client.failure):
            if client.wakeup.expired:
                raise errors.body_timeout(self._limits.head)
            self._deadlines.arm(client.wakeup, self._clock() + self._limits.head)
            await client.wakeup.next()
        if client.failure is not None:
            raise client.failure
        exchange.status = 200
        exchange.request_bytes = client.body_bytes
        keep = client.body_done and head.keep_alive and not self.draining
        now = self._wall()
        answer = local_response_bytes(200, "application/json", placeholder_answer(now), now=now, close=not keep)
        _write_counted(client, exchange, answer)
        return keep

    def _fail(self, client: ClientStream, exchange: Exchange, failure: Failure) -> bool:
        """Turn a failure into its answer; False when the connection ends with it."""
        exchange.code = failure.code
        if isinstance(failure, ClientError):
            exchange.refused, exchange.reason = failure.reason, failure.logged
        if client.lost:
            return False
        self._trace_contexts.ensure(exchange)
        keep = exchange.keep_alive and client.failure is None and not self.draining and self._body_is_here(client)
        exchange.status = status_of(failure)
        exchange.request_bytes = client.body_bytes
        route = exchange.verdict.route.name if exchange.verdict is not None else ""
        method, trace_id, now = exchange.method, exchange.trace_id, self._wall()
        answer = error_response_bytes(failure, method=method, trace_id=trace_id, route=route, now=now, close=not keep)
        _write_counted(client, exchange, answer)
        return keep

    def _body_is_here(self, client: ClientStream) -> bool:
        """True when nothing of the request's body is still to come; what has come is dropped."""
        if not client.body_done:
            client.detach()
            client.relay_to(DiscardSink())
        return client.body_done

    async def _linger(self, client: ClientStream) -> None:
        """End our side and read on for a moment: closing over unread bytes would reset the answer (RFC 9112, 9.6)."""
        if client.write_closed:
            return
        client.discard()
        client.finish_writing()
        limits, began = self._limits, self._clock()
        moved, mark = began, (client.activity, client.unsent)
        while not client.lost and (client.unsent or not client.half_closed):
            self._deadlines.arm(client.wakeup, self._clock() + limits.linger)
            await client.wakeup.next()
            now, seen = self._clock(), (client.activity, client.unsent)
            if seen != mark:
                moved, mark = now, seen
            end = moved + limits.stall
            if not client.unsent:
                end = min(moved + limits.linger, began + (limits.linger if self.drain_idle else limits.longest_linger))
            if now >= end:
                break
        if client.unsent:
            client.abort()

    async def _made_room(self, client: ClientStream) -> bool:
        """Wait for a client to read what it got before it gets more; False when it reads nothing any more."""
        unsent = -1
        while client.write_paused and not client.lost:
            if client.wakeup.expired and client.unsent == unsent:
                return False
            unsent = client.unsent
            self._deadlines.arm(client.wakeup, self._clock() + self._limits.stall)
            await client.wakeup.next()
        return True

    # ---- stopping

    def drain(self) -> None:
        """Take no new requests; those under way go on."""
        self.draining = True
        if self._forwarder is not None:
            self._forwarder.draining = True


def _write_counted(client: ClientStream, exchange: Exchange, answer: bytes) -> None:
    """A whole response of our own, whose body counts as those of BioT do."""
    client.write(answer)
    exchange.response_bytes = len(answer.partition(b"\r\n\r\n")[2])


def _always() -> bool:  # pragma: no cover - the admin listener forwards nothing, so nobody takes a slot there
    return True


def _check(verdict: Verdict) -> None:
    if verdict.path_refused is not None:
        raise errors.path_rejected(verdict.path_refused)
    if verdict.deny is not None:
        raise errors.route_denied(verdict.deny)
