"""A small world in which everything about tokens goes wrong, and the laws that hold in it all the same.

Real connections, pool, login, tokens and pipeline; in memory, on a simulated loop, driven by one random seed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from biot_sidecar.auth.backoff import (
    FIRST_BLOCK_SECONDS,
    FIRST_PAUSE_SECONDS,
    LONGEST_BLOCK_SECONDS,
    LONGEST_PAUSE_SECONDS,
)
from biot_sidecar.auth.fleet_login import LOCK_SECONDS, FleetLogin
from biot_sidecar.auth.login_client import LoginClient
from biot_sidecar.auth.redis_store import StoreUnavailable
from biot_sidecar.auth.secret_source import SecretSource
from biot_sidecar.auth.tokens import Tokens
from biot_sidecar.elapsed_clock import ElapsedClock
from biot_sidecar.http.admission import Admission
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.listener import ClientConnection, Listener
from biot_sidecar.http.proxy import Forwarder
from biot_sidecar.http.server import ConnectionHandler, Limits
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.process.process_context import LocalRejections
from biot_sidecar.routing.route import Route
from biot_sidecar.settings import UpstreamUrl

from tests.support.fakes import FakeEndpoints, FakeRoutes, FakeTransport, Watch
from tests.support.memory_store import MemoryStore

USER = "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"
TIMEOUT = 20.0
SLACK = 0.1
LOGIN_TIME = 10.0
LOGIN_PATH = b"POST /ums/v2/services/accessToken "
ADDRESS = UpstreamUrl(tls=False, host="192.0.2.1", port=80, authority=b"api.example", prefix=b"")
NOT_VALID = b'{"code": "TOKEN_NOT_VALID"}'

TROUBLES = (
    "locked", "error", "busy", "gateway", "not_json", "no_token", "no_expiry", "absurd", "expired", "huge", "endless",
    "silent", "cut", "reset", "interim",
)  # fmt: skip
"""Ways of a login to fail, each a method of World's, besides a wrong secret."""


def answer(status: int, body: bytes = b"", *fields: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, *fields, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(head) + body


class Line(FakeTransport):
    """A connection between a sidecar and BioT."""

    house: House  # whose it is, known with the protocol that takes it over

    def __init__(self, protocol: asyncio.Protocol, world: World) -> None:
        self.world = world
        self.read = 0
        self.jumps = world.jumps
        self.idle = True
        self.given_up = 0.0  # when the sidecar ended it, by the wall clock
        super().__init__(protocol)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        super().set_protocol(protocol)
        (self.house,) = [one for one in self.world.houses if one.pool is protocol._pool]

    def write(self, data: bytes) -> None:
        super().write(data)
        self.world.loop.call_soon(self.world.hear, self)

    def close(self) -> None:
        if not self.closed:
            self.given_up = self.world.wall()
        super().close()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.world.dummy if name == "socket" else default


class Issued:
    """A token as BioT knows it; `obtained` is when its sidecar had it in hand."""

    def __init__(self, obtained: float, expires: float) -> None:
        self.obtained = obtained
        self.expires = expires
        self.revoked = False


class House:
    """A sidecar, and the laws that its logins keep to."""

    def __init__(self, world: World, store: MemoryStore | None) -> None:
        loop, wall, jitter = world.loop, world.wall, world.random.random
        self.laws = Laws()
        self.finished: list[tuple[str, str]] = []  # outcome and reason of each login
        self.deadlines = DeadlineTimer(loop, loop.time)
        clock = ElapsedClock(loop.time, wall)
        self.pool = Pool(ADDRESS, None, wall=wall, clock=loop.time, connected=lambda success: None)
        fetch = Fetcher(self.pool, ADDRESS, self.deadlines, b"agent/1")
        login = LoginClient(fetch, USER, wall=wall, clock=clock, observer=self)
        obtain = login if store is None else FleetLogin(
            login, store, user_id=USER, base_url="http://api.example", wall=wall, clock=clock, jitter=jitter,
            random_bytes=world.random.randbytes, sleep=asyncio.sleep,
        )  # fmt: skip
        self.tokens = Tokens(
            obtain, SecretSource(Settings(world.file)), string_gap=30.0, fresh_for=300.0, wall=wall, clock=clock,
            jitter=jitter, observer=self, rejections=LocalRejections(clock),
        )  # fmt: skip
        forwarder = Forwarder(
            pool=self.pool, tokens=self.tokens, deadlines=self.deadlines, prefix=b"", authority=b"api.example",
            user_agent=b"agent/1", stall=60.0, clock=loop.time, wall=wall, jitter=jitter, sleep=asyncio.sleep,
        )  # fmt: skip
        handler = ConnectionHandler(
            routes=FakeRoutes(Route(name="a rule", source="f:1", timeout=TIMEOUT)),
            admission=Admission(frozenset({b"localhost"}), frozenset()), forwarder=forwarder, endpoints=FakeEndpoints(),
            observer=Watch(), deadlines=self.deadlines, limits=Limits(), loops=_never_a_loop, plugin_login="local",
            wall=wall, clock=loop.time, random_bits=world.random.getrandbits,
        )  # fmt: skip
        self.listener = Listener(handler.serve_connection, world.bugs.append)

    # the observer of its logins

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        self.finished.append((outcome, reason))

    def event(self, level: str, event: str, message: str) -> None: ...

    def token_obtained(self, expires: float) -> None:
        self.laws.success()  # perhaps another one's

    def clock_compared(self, offset: float) -> None: ...

    def blocked_until(self, moment: float) -> None: ...

    async def close(self) -> None:
        self.listener.abort_all()
        await self.tokens.close()
        self.pool.close()
        self.deadlines.close()


class Laws:
    """When the next login may come at the earliest: of one sidecar, or of all that share a secret."""

    def __init__(self) -> None:
        self.line: Line | None = None  # on which BioT is asked now
        self.until = 0.0
        self.sort = ""
        self.secret = ""
        self.rejections = self.troubles = 0
        self.lost = -math.inf  # when a login's first connection was lost before its answer

    def success(self) -> None:
        self.until, self.sort = 0.0, ""
        self.rejections = self.troubles = 0

    def first_loss(self, now: float) -> bool:
        """True if a login's first connection is lost now: it may come again over a second one, once."""
        first = now - self.lost > LOGIN_TIME
        self.lost = now if first else -math.inf
        return first

    def failure(self, now: float, sort: str, asked: float, secret: str) -> None:
        if self.secret != secret:
            self.rejections = 0
        if sort == "block":
            self.troubles = 0
            self.rejections += 1
            wait = min(LONGEST_BLOCK_SECONDS, FIRST_BLOCK_SECONDS * 2 ** (self.rejections - 1))
        else:
            self.troubles += 1
            wait = max(asked, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self.troubles - 1)))
        self.until, self.sort, self.secret = now + wait, sort, secret

    def broken_by(self, now: float, secret: str) -> str:
        """What a login that begins now breaks; nothing if it may."""
        if self.line is not None and not self.line.closed:
            return "two logins at a time"
        if now < self.until - 0.001 and (self.sort == "pause" or self.secret == secret):
            return f"a login {self.until - now:.1f}s too early after a {self.sort}"
        return ""


class World:
    """BioT, its service user's secret, the wall clock, the sidecars and their callers.

    `store` is what the sidecars share: `none`, a `sound` one or a `chaotic` one.
    """

    def __init__(self, seed: int, folder: Path, *, sidecars: int, store: str) -> None:
        self.random = Random(seed)
        self.loop = asyncio.get_running_loop()
        self.loop.dial = self.dial  # type: ignore[attr-defined]
        self.dummy, self._other = socket.socketpair()  # what connections say is their socket
        self.dummy.setblocking(False)
        self.ahead = 1_763_549_574.0
        self.jumps = 0
        self.jumped = -math.inf  # when, by the loop's time
        self.broken: list[str] = []  # the laws that did not hold
        self.bugs: list[BaseException] = []
        self.secret = "secret-0"
        self.file = folder / "secret"
        self.write_secret(self.secret)
        self.issued: dict[bytes, Issued] = {}
        self.calm = False
        self.logins = 0
        self.outcomes: dict[str, int] = {}
        self.answered = 0
        self._serving: set[asyncio.Task[None]] = set()
        stores = {"none": None, "sound": MemoryStore(self.wall), "chaotic": ChaoticStore(self)}
        self.houses = [House(self, stores[store]) for _ in range(sidecars)]
        self.fleet: dict[str, Laws] | None = {} if store == "sound" else None  # by secret

    def wall(self) -> float:
        return self.ahead + self.loop.time()

    def write_secret(self, text: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.file)

    # ---- the network

    async def dial(self, factory):
        chance = self.random.random()
        if not self.calm and chance < 0.1:
            await asyncio.sleep(self.random.choice([0, 1, 4]))
            raise self.random.choice([
                ConnectionRefusedError(111, "refused"), socket.gaierror(-2, "no such name"),
                _tls_error(), OSError(101, "unreachable"),
            ])  # fmt: skip
        if not self.calm and chance < 0.2:
            await asyncio.sleep(self.random.choice([0.1, 2.0, 4.9, 60.0]))
        protocol = factory()
        return Line(protocol, self), protocol

    def hear(self, line: Line) -> None:
        """Take a request off the wire, if all of one has come."""
        head, end, rest = line.out[line.read :].partition(b"\r\n\r\n")
        fields = dict(one.split(b": ", 1) for one in head.split(b"\r\n")[1:])
        length = int(fields.get(b"Content-Length", b"0"))
        if not end or len(rest) < length:
            return
        line.read += len(head) + 4 + length
        if line.jumps != self.jumps and line.idle and line.read > len(head) + 4 + length:
            self.broken.append("a connection from before a jump of the clock was used")
        line.idle = False
        serve = self._serve_login(line, rest) if head.startswith(LOGIN_PATH) else self._serve_call(line, head, fields)
        task = self.loop.create_task(self._serve(line, serve))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, line: Line, serve) -> None:
        await serve
        line.idle = True
        line.jumps = self.jumps

    # ---- BioT's login

    async def _serve_login(self, line: Line, body: bytes) -> None:
        self.logins += 1
        given = json.loads(body)["secretKey"]
        laws = [line.house.laws]
        if self.fleet is not None:
            laws.append(self.fleet.setdefault(given, Laws()))
        self._begin_login(laws, line, given)
        kind = self._pick(given)
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
        await asyncio.sleep(self.random.choice([0.0, 0.05, 0.5, 7.7] if not self.calm else [0.05]))
        raw, sort, asked = getattr(self, "_" + kind)()
        if line.closed:
            sort, asked = "pause", 0.0
        elif raw:
            line.say(raw)
        if kind in {"endless", "silent"}:
            await self._drag_on(line, kind)
        elif kind in {"cut", "reset"}:
            line.lose(ConnectionResetError() if kind == "reset" else None)
        since = line.given_up or self.wall()
        lost = kind == "reset" and not line.given_up and laws[0].first_loss(since)
        for one in laws:
            one.line = None
            if lost:
                continue
            if not sort:
                one.success()
            elif sort == "block" or not self.slept():  # whoever slept through it may try again at once
                one.failure(since, sort, asked, given)

    async def _drag_on(self, line: Line, kind: str) -> None:
        while not line.closed:
            await asyncio.sleep(0.5)
            if kind == "endless":
                line.say(b"3\r\nxxx\r\n")

    def _begin_login(self, laws: list[Laws], line: Line, given: str) -> None:
        own, *others = laws
        self.broken += filter(None, [own.broken_by(self.wall(), given)])
        for fleet in others:
            # Others' trouble on the way to BioT is no law for this one; a lock ends while its holder sleeps.
            if self.wall() > fleet.until + LONGEST_BLOCK_SECONDS:
                fleet.rejections = 0
            broken = fleet.broken_by(self.wall(), given)
            if broken and not (self.slept() or (fleet.line is None and fleet.sort == "pause")):
                self.broken.append("in the fleet: " + broken)
        for one in laws:
            one.line = line

    def _pick(self, given: str) -> str:
        if given != self.secret:
            return "rejected"
        if self.calm or self.random.random() < 0.5:
            return "good"
        return self.random.choice(TROUBLES)

    def _good(self):
        life = self.random.choice([1.0, 5.0, 60.0, 600.0, 1800.0])
        jwt = f"header.{len(self.issued)}.signature"
        now = self.wall()
        self.issued[b"Bearer " + jwt.encode()] = Issued(now, now + life)
        body = {"accessToken": jwt, "accessTokenExpiration": _iso(now + life)}
        return answer(200, json.dumps(body).encode()), "", 0.0

    def _rejected(self):
        return answer(403, b'{"code": "LOGIN_FAILED"}'), "block", 0.0

    def _locked(self):
        return answer(401, b'{"code": "SERVICE_LOCKED"}'), "block", 0.0

    def _error(self):
        return answer(500, b"{}"), "pause", 0.0

    def _busy(self):
        return answer(503, b"", b"Retry-After: 90"), "pause", 90.0

    def _gateway(self):
        return answer(504, b"<html>"), "pause", 0.0

    def _not_json(self):
        return answer(200, b'{"accessToken": "a.b.c", "acc'), "pause", 0.0

    def _no_token(self):
        return answer(200, b"{}"), "pause", 0.0

    def _no_expiry(self):
        return answer(200, b'{"accessToken": "a.b.c"}'), "pause", 0.0

    def _absurd(self):
        return answer(200, b'{"accessToken": ["a"], "accessTokenExpiration": NaN}'), "pause", 0.0

    def _expired(self):
        body = {"accessToken": "a.b.c", "accessTokenExpiration": _iso(self.wall() - 1)}
        return answer(200, json.dumps(body).encode()), "pause", 0.0

    def _huge(self):
        return answer(200, b"x" * 70_000), "pause", 0.0

    def _endless(self):
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "pause", 0.0

    def _silent(self):
        return b"", "pause", 0.0

    def _cut(self):
        return answer(200, b"{}")[:-1], "pause", 0.0

    def _reset(self):
        return b"", "pause", 0.0

    def _interim(self):
        return b"HTTP/1.1 103 X\r\n\r\n", "pause", 0.0

    # ---- BioT's other operations

    async def _serve_call(self, line: Line, head: bytes, fields: dict[bytes, bytes]) -> None:
        self._judge_token(head, fields)
        token = self.issued.get(fields.get(b"Authorization", b""))
        if not self.calm:
            await asyncio.sleep(self.random.choice([0.0, 0.02, 0.3, 3.0]))
        chance = 1.0 if self.calm else self.random.random()
        if token is None or token.revoked or chance < 0.02:
            line.say(answer(401, self.random.choice([NOT_VALID, b"", b"<html>"])))
        elif chance < 0.04:
            line.say(answer(self.random.choice([401, 403, 500, 503]), b'{"code": "OTHER"}'))
        elif chance < 0.06:
            line.lose()
        else:
            line.say(answer(200, b"fine"))

    def _judge_token(self, head: bytes, fields: dict[bytes, bytes]) -> None:
        if head.lower().count(b"\r\nauthorization:") != 1:
            self.broken.append("a request without one token")
        token = self.issued.get(fields.get(b"Authorization", b""))
        if token is None:
            self.broken.append("a request left with an unknown token")
            return
        least = min(60.0, 0.1 * (token.expires - token.obtained))
        if self.wall() >= token.expires - least + 0.001:
            self.broken.append(f"a token with {token.expires - self.wall():.2f}s left was sent")

    # ---- callers

    async def call(self) -> None:
        """One request on a connection of its own; some leave before the answer comes."""
        connection = ClientConnection(self.random.choice(self.houses).listener, self.loop)
        transport = Plugin(connection)
        began = self.loop.time()
        body = self.random.choice([b"", b"x" * 100])
        transport.say(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        leaves = not self.calm and self.random.random() < 0.2
        patience = self.random.choice([0.0, 0.1, 2.0, 9.0]) if leaves else TIMEOUT + SLACK
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await transport.answered.wait()
        if transport.answered.is_set():
            self.answered += 1
            if self.calm and not transport.out.startswith(b"HTTP/1.1 200"):
                self.broken.append(f"when all is well again: {transport.out[:400]!r}")
        elif not leaves:
            self.broken.append(f"no answer after {self.loop.time() - began:.1f}s")
        transport.lose()

    # ---- what happens to it

    async def misfortune(self) -> None:
        """One thing that goes wrong in the world, or a while in which nothing does."""
        pick = self.random.choice(["rest", "long rest", "revoke", "rotate", "renew file", "lose file", "jump"])
        if pick == "rest":
            await asyncio.sleep(self.random.uniform(0, 20))
        elif pick == "long rest":
            await asyncio.sleep(self.random.choice([29, 31, 65, 130, 301, 500]))
        elif pick == "revoke":
            for token in self.issued.values():
                token.revoked = True
        elif pick == "rotate":
            self.secret = f"secret-{self.random.randrange(1000)}"
        elif pick == "lose file":
            self.file.unlink(missing_ok=True)
        elif pick == "renew file":
            self.write_secret(self.secret)
        else:
            self.jump(self.random.choice([2.0, 50.0, 400.0, 3000.0]))

    def jump(self, seconds: float) -> None:
        """The machine slept: the wall clock has gone on, the loop's has not."""
        self.ahead += seconds
        self.jumps += 1
        self.jumped = self.loop.time()

    def slept(self) -> bool:
        """True if the machine slept while any login that is under way was."""
        return self.loop.time() - self.jumped < 2 * LOCK_SECONDS

    async def recover(self) -> None:
        """All is well again, and after the longest block everything works."""
        self.calm = True
        self.write_secret(self.secret)
        for task in list(self._serving):
            await task
        await asyncio.sleep(1000)
        self.jump(4000.0)
        for _ in range(3 * len(self.houses)):
            await self.call()

    async def close(self) -> None:
        for house in self.houses:
            await house.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.sleep(0.1)
        self.dummy.close()
        self._other.close()


class Plugin(FakeTransport):
    """A caller's end; `answered` when the whole of a short answer is there."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.answered = asyncio.Event()
        super().__init__(protocol)

    def write(self, data: bytes) -> None:
        super().write(data)
        head, end, rest = self.out.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if end and len(rest) >= int(length or 0):
            self.answered.set()


class ChaoticStore(MemoryStore):
    """Fails, or lies, every now and then."""

    def __init__(self, world: World) -> None:
        super().__init__(world.wall)
        self._world = world

    def _check(self, *, writes: bool = False) -> None:
        self.lie = None
        chance = 1.0 if self._world.calm else self._world.random.random()
        if chance < 0.1:
            raise StoreUnavailable
        if chance < 0.2:
            self.lie = b"\x01 garbage"


class Settings:
    """What SecretSource reads of the settings."""

    secret = None

    def __init__(self, file: Path) -> None:
        self.secret_file = str(file)


def _tls_error() -> ssl.SSLError:
    error = ssl.SSLError(1, "bad")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


async def _never_a_loop(trace_id: str, method: bytes, path: bytes) -> bool:
    return True


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
