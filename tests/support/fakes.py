"""A sidecar without sockets: real connections over transports in memory, and a fake of everything else around them."""

from __future__ import annotations

import asyncio
from collections import deque

from biot_sidecar.auth.incurable_routes import IncurableRoutes, RouteKey, fingerprint
from biot_sidecar.auth.token import Token
from biot_sidecar.errors import Failure
from biot_sidecar.http.admission import Admission
from biot_sidecar.http.deadlines import DeadlineTimer, Wakeup
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.interfaces import LocalResponse
from biot_sidecar.http.listener import ClientConnection, Listener
from biot_sidecar.http.proxy import Forwarder
from biot_sidecar.http.request_trace import RequestTracer
from biot_sidecar.http.server import ConnectionHandler, Limits
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.routing.loop_limiter import LoopLimiter
from biot_sidecar.routing.route import Operation, Route, Verdict
from biot_sidecar.settings import UpstreamUrl

from tests.support.form import UNDER_TEST

if UNDER_TEST:
    from fake_bases import SinkBase, SourceBase, TokensBase
else:
    from tests.support.fake_bases import SinkBase, SourceBase, TokensBase

__all__ = ["SinkBase", "SourceBase"]

ROUTE = Route(name="a rule", source="f:1")
QUIET_ROUNDS = 25
"""Rounds of the loop after which nothing that does not wait for a test has anything left to do."""


class Clock:
    """Set by hand; seconds."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeTransport(asyncio.Transport):
    """Keeps what is written; the test is the peer: `say`, `end` and `lose`."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._unread: deque[bytes] = deque()
        self.out = b""
        self.backlog = 0
        self.write_limit: int | None = None
        self.ended = False  # our side has said that it will send no more
        self.paused = False
        self.aborted = False
        self.closed = False
        protocol.connection_made(self)

    # the peer

    def say(self, data: bytes) -> None:
        if data:  # a loop never delivers nothing
            self._unread.append(data)
            self._pump()

    def end(self) -> None:
        """A clean end of the peer's side."""
        if not self.closed and not self._protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None = None) -> None:
        """The connection breaks."""
        if not self.closed:
            self.closed = True
            self._protocol.connection_lost(error)

    def _pump(self) -> None:
        while self._unread and not self.paused and not self.closed:
            self._protocol.data_received(self._unread.popleft())

    # asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        if not self.closed and not self.ended:
            self.out += data

    def writelines(self, parts) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self.backlog

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.write_limit = high

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        asyncio.get_running_loop().call_soon(self._pump)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


class FakePool:
    """Dials nobody: each dial gives a new connection in memory, or raises the next of `failures`."""

    via = ""

    def __init__(self) -> None:
        self.failures: list[Failure | None] = []
        self.dialled: list[FakeTransport] = []
        self.resting: list[UpstreamConnection] = []
        self.released: list[bool] = []
        self.unreachable = False  # dialling takes for ever
        self.on_dial = lambda transport: None
        self.active = 0
        address = UpstreamUrl(tls=False, host="api.example", port=80, authority=b"api.example", prefix=b"")
        # What a connection tells of its end, which needs none of this where it was never pooled.
        self._told = Pool(address, None, wall=lambda: 0.0, clock=lambda: 0.0, connected=lambda made: None)

    def take(self) -> UpstreamConnection | None:
        while self.resting and self.resting[-1].transport.is_closing():
            self.resting.pop()
        if not self.resting:
            return None
        self.active += 1
        return self.resting.pop()

    async def acquire(self, wakeup: Wakeup) -> UpstreamConnection:
        while self.unreachable:
            if wakeup.expired:
                raise TimeoutError
            await wakeup.next()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        connection = UpstreamConnection(wakeup, self._told)
        self.dialled.append(FakeTransport(connection))
        self.on_dial(self.dialled[-1])
        self.active += 1
        return connection

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        self.active -= 1
        kept = keep and connection.reusable
        self.released.append(kept)
        if kept:
            self.resting.append(connection)
        else:
            connection.detach()
            connection.abort()


class FakeTokens(TokensBase):
    """Tokens numbered from 1; `failure` is what the next login raises."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.renewing = False
        self.failure: Failure | None = None
        self.hangs = False
        self.invalidated: list[int] = []
        self.ran_out: set[Token] = set()
        self.ages: dict[int, float] = {}  # by serial; the first is old, those of logins are new
        self.rejections = IncurableRoutes(clock)
        self.marked = self.rejections.cases
        self.logins = 0
        self.calls = 0
        self.asked: list[float] = []  # when for the current token
        self.token: Token | None = Token("jwt-0", 0.0, 1e12, 0)

    def now(self) -> float:
        return self.clock()

    def call_started(self) -> float:
        self.calls += 1
        return self.clock()

    def call_ended(self) -> None:
        self.calls -= 1

    def current(self, now: float) -> Token | None:
        self.asked.append(now)
        return self.token

    def has_current(self) -> bool:
        return self.token is not None

    def is_usable(self, token: Token) -> bool:
        return token not in self.ran_out

    def age(self, token: Token) -> float:
        return self.ages.get(token.serial, 0.0 if token.serial else 100.0)

    async def acquire(self) -> Token:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.failure is not None:
            raise self.failure
        self.logins += 1
        self.token = Token(f"jwt-{self.logins}", 0.0, 1e12, self.logins)
        return self.token

    async def rejected(self, token: Token, route: RouteKey, *, replayed: bool, replayable: bool) -> bool:
        judgement = self.rejections.judge(
            route, fingerprint(token), self.age(token), replayed=replayed, replayable=replayable
        )
        if judgement != "pass":
            self.invalidate(token)
        return judgement == "replay"

    def accepted(self, route: RouteKey) -> None:
        self.rejections.accepted(route)

    def invalidate(self, token: Token) -> None:
        self.invalidated.append(token.serial)
        if self.token is token:
            self.token = None


class FakeEndpoints:
    """/healthz and nothing else."""

    def has(self, path: bytes) -> bool:
        return path == b"/healthz"

    async def get(self, path: bytes, query: bytes, accept: bytes) -> LocalResponse:
        return LocalResponse(200, "text/plain", b"ok\n")


class FakeRoutes:
    """One verdict for everything."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.operation: Operation | None = None
        self.deny: str | None = None
        self.path_refused: str | None = None
        self.asked: list[bytes] = []

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        self.asked.append(target)
        return Verdict(self.route, "/template", self.operation, self.deny, self.path_refused)


class Watch:
    """Remembers finished exchanges."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def finished(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class Plugin:
    """A client's connection, seen from the plugin."""

    def __init__(self, sidecar: FakeSidecar) -> None:
        self._sidecar = sidecar
        self.connection = ClientConnection(sidecar.listener, asyncio.get_running_loop())
        self.transport = FakeTransport(self.connection)

    @property
    def got(self) -> bytes:
        return self.transport.out

    async def say(self, data: bytes) -> None:
        """Send, and let the sidecar do all it can."""
        self.transport.say(data)
        await self._sidecar.settle()


class FakeSidecar:
    """The forwarding path, put together as process does, over fakes and a clock set by hand.

    Where it does not forward, it is the admin listener's.
    """

    def __init__(
        self,
        route: Route = ROUTE,
        *,
        limits: Limits | None = None,
        plugin_login: str = "local",
        forwards: bool = True,
        tracer: RequestTracer | None = None,
    ) -> None:
        self.clock = Clock(1000.0)
        self.wall = Clock(1_763_549_574.0)
        self.pool = FakePool()
        self.tokens = FakeTokens(self.clock)
        self.routes = FakeRoutes(route)
        self.watch = Watch()
        self.slept: list[float] = []
        self.bugs: list[BaseException] = []
        self.deadlines = DeadlineTimer(asyncio.get_running_loop(), self.clock)
        self.forwarder = Forwarder(
            pool=self.pool,
            tokens=self.tokens,
            deadlines=self.deadlines,
            prefix=b"/base",
            authority=b"api.example",
            user_agent=b"agent/1",
            stall=60.0,
            clock=self.clock,
            wall=self.wall,
            jitter=lambda: 0.0,
            sleep=self._sleep,
        )
        self._loops = LoopLimiter(self.clock, (limits or Limits()).loop_requests)
        self.handler = ConnectionHandler(
            routes=self.routes,
            admission=Admission(frozenset({b"localhost"}), frozenset()),
            forwarder=self.forwarder if forwards else None,
            endpoints=FakeEndpoints(),
            observer=self.watch,
            deadlines=self.deadlines,
            limits=limits or Limits(),
            plugin_login=plugin_login,
            wall=self.wall,
            clock=self.clock,
            random_bits=lambda bits: 0x1235 << 64 | 1,
            loops=self._admits,
            tracer=tracer,
        )
        self.listener = Listener(self.handler.serve_connection, self.bugs.append)

    async def _admits(self, trace_id: str, method: bytes, path: bytes) -> bool:
        return self._loops.admits(trace_id, method, path)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds

    async def settle(self) -> None:
        """Let everything happen that waits for nobody."""
        for _ in range(QUIET_ROUNDS):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass, deadlines included."""
        self.clock.now += seconds
        self.wall.now += seconds
        self.deadlines._expire_due()
        await self.settle()

    def plugin(self) -> Plugin:
        return Plugin(self)

    async def ask(self, raw: bytes) -> Plugin:
        """A new connection that has sent `raw`."""
        plugin = self.plugin()
        await self.settle()
        await plugin.say(raw)
        return plugin

    @property
    def upstream(self) -> FakeTransport:
        """The connection to BioT that was dialled last."""
        return self.pool.dialled[-1]

    async def answer(self, raw: bytes) -> None:
        """BioT says `raw` on the connection dialled last."""
        self.upstream.say(raw)
        await self.settle()

    @property
    def exchange(self) -> Exchange:
        """The exchange that finished last."""
        return self.watch.exchanges[-1]

    async def close(self) -> None:
        """End everything; nothing may be left behind."""
        self.listener.abort_all()
        await self.settle()
        self.deadlines.close()
        assert not self.bugs, self.bugs
        assert self.listener.open == 0
        assert (self.handler.in_flight, self.handler._slots.taken, self.tokens.calls, self.pool.active) == (0, 0, 0, 0)
        assert not self.deadlines._watched
