"""The pool of connections to the one upstream: dials, keeps them while they rest, and trusts none that may be dead.

Who finds no connection at rest waits for a dial, or for one that is given back meanwhile, whichever comes first, and
before whoever comes later. Dials belong to nobody: who waits for longer than a turn of the loop is backed by one, and a
dial's connection goes to whoever has waited longest, or comes to rest. A failed dial is told to one who waits, unless
enough others are under way.

With SPARE connections in use more are dialled only while the sidecar has time to spare. Where it has not, it is the
sidecar that everybody waits for: another connection would cost a handshake, and answer nobody sooner.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from biot_sidecar.elapsed_clock import ElapsedClock
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.deadlines import NOBODY, Wakeup
from biot_sidecar.http.dialing import Dialer
from biot_sidecar.http.handshake_pacing import NotNeeded
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.http.tls_sessions import TlsSessions
from biot_sidecar.http.upstream_connection import ConnectionOwner, UpstreamConnection
from biot_sidecar.http.waiting_line import Waiter, WaitingLine
from biot_sidecar.platform import LOOP_READS_ALL
from biot_sidecar.settings import UpstreamProxy, UpstreamUrl

IDLE_LIMIT: Final = 50.0
"""Seconds a pooled connection may rest: less than the 60 s after which BioT's load balancer drops it."""
SPARE: Final = 32
"""Connections that may rest that long; what is beyond is a burst's, and over TLS each holds 50 KB."""
SURPLUS_REST: Final = 15.0
"""Seconds that the others may rest."""
DIALS_PER_TURN: Final = 2
"""Dials that begin in one turn of the loop: of a crowd that comes at once most are served by what is given back."""
DIALS_PER_LOOK: Final = 16
"""Dials that begin at once where there is time to spare; what they compute, handshakes, has a pace of its own."""
LOOK_EVERY: Final = 0.002
"""Seconds between two looks at whether there is time to spare for more than SPARE connections."""
BUSY: Final = 0.8
"""Part of these seconds in which a processor has worked for a sidecar that has not."""
WAIT_MOST: Final = 0.2
"""Seconds in which what is given back has to serve all who wait; where it does not, more are dialled, time or not."""
PROBE_AFTER: Final = 1.0 if LOOP_READS_ALL else 0.0
"""Seconds of rest after which a pooled connection is asked for news before it is used: one system call."""
IDLE_MOST: Final = 256
"""Connections that may rest where nobody says how many requests may be in flight."""
AGE_SPREAD: Final = 0.2
"""Part of the greatest age by which connections differ, so that those of one moment do not end in one."""
CLOCK_SLACK: Final = 1.0
"""Seconds by which the wall clock may stray from the monotonic one while a connection rests."""


class Pool(ConnectionOwner):
    """Connections to the one upstream; the one used last is taken first, so that the others may age out.

    `wall` tells seconds since the epoch, `clock` monotonic ones: a machine that slept, or was set, finds the
    two apart, and trusts no connection of before. `cpu` tells those that a processor has worked for us.
    `connected` is told of every dial: True for success; `ended` of every connection's end, by why: idle, upstream,
    error, surplus.
    `path` names a unix socket to dial instead, `proxy` whom to go through, which `proxy_tls` verifies.
    `idle_most` connections may rest: as many as may be in flight, for fewer
    would have a steady load dial anew (700 us of CPU per request over TLS where 110 do).
    """

    def __init__(
        self,
        address: UpstreamUrl,
        tls: ssl.SSLContext | None,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        connected: Callable[[bool], None],
        ended: Callable[[str], None] = lambda reason: None,
        path: str = "",
        idle_most: int = IDLE_MOST,
        proxy: UpstreamProxy | None = None,
        proxy_tls: ssl.SSLContext | None = None,
        user_agent: bytes = b"",
        max_age: float = 0.0,
        jitter: Callable[[], float] = lambda: 0.5,
        cpu: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._max_age = max_age
        self._jitter = jitter
        self._generation = 0  # connections of an earlier one are used no more
        self._waiting = WaitingLine()
        self._dials: set[asyncio.Task[UpstreamConnection]] = set()
        self._dials_due = False
        self._cpu = cpu
        self._cpu_seconds = self._planned_at = 0.0  # by its clocks when dials became due
        self._given_back = 0  # to those who wait, since then
        self._idle_most = idle_most
        self._dialer = Dialer(
            address,
            tls,
            Resolver(clock),
            proxy=proxy,
            proxy_tls=proxy_tls,
            user_agent=user_agent,
            path=path,
            address_failed=self._drop_address,
            make_sessions=partial(TlsSessions, ElapsedClock(clock, wall), wall),
        )
        self.server = self._dialer.server  # host and port, as errors name them
        self.via = self._dialer.via  # the proxy's; empty without one
        self._wall = wall
        self._clock = clock
        self._connected = connected
        self._ended = ended
        self._idle: list[UpstreamConnection] = []
        self.active = 0
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An idle connection that looks sound, or None."""
        idle = self._idle
        if not idle:
            return None
        now = self._clock()
        while idle:
            connection = idle.pop()
            rest = self._rest(connection, now)
            connection.pooled = False
            outdated = self._outdated(connection, now)
            fresh = rest <= IDLE_LIMIT and connection.sound and not outdated
            if fresh and (rest < PROBE_AFTER or not connection.has_input()):
                self.active += 1
                return connection
            connection.abort()
            self._ended(outdated or ("idle" if rest > IDLE_LIMIT else "upstream"))
        return None

    async def acquire(self, wakeup: Wakeup) -> UpstreamConnection:
        """A new connection, or one that is given back before that is there. Raises UpstreamError, and TimeoutError when
        `wakeup` has expired.
        """
        waiter = Waiter(wakeup)
        self._waiting.join(waiter)
        self._plan_dials()
        try:
            while True:
                connection = waiter.connection
                if connection is None:
                    if waiter.failure is not None:
                        raise waiter.failure
                    if wakeup.expired:
                        raise TimeoutError
                    await wakeup.next()
                elif connection.uses and not self._is_quiet(connection):
                    self._hang_up(connection)
                    # Another may have come to rest since: nobody else stood in the line.
                    waiter.connection = self.take()
                    if waiter.connection is None:
                        self._waiting.rejoin(waiter)
                        self._plan_dials()
                else:
                    waiter.connection = None
                    return connection
        finally:
            if waiter.waiting:
                self._waiting.leave(waiter)
            elif waiter.connection is not None:
                self.release(waiter.connection, keep=True)

    def _is_quiet(self, connection: UpstreamConnection) -> bool:
        """Nothing has come since it was given back, read or not: where many wait, a turn of the loop takes long."""
        return connection.reusable and not connection.has_input()

    def _hang_up(self, connection: UpstreamConnection) -> None:
        """It has ended since it was given back."""
        self.active -= 1
        connection.abort()
        self._ended("upstream")

    def _plan_dials(self) -> None:
        """Look in the next turn of the loop who waits without a dial: what ends in this one may serve them all. With
        many connections in use look a moment later.
        """
        if self._dials_due or len(self._dials) >= len(self._waiting):
            return
        self._dials_due = True
        loop = asyncio.get_running_loop()
        if self.active < SPARE:
            loop.call_soon(self._start_dials)
        else:
            self._planned_at, self._cpu_seconds, self._given_back = self._clock(), self._cpu(), 0
            loop.call_later(LOOK_EVERY, self._start_dials)

    def _start_dials(self) -> None:
        self._dials_due = False
        if self._closed:
            return
        few = self.active < SPARE
        if few or not self._should_wait():
            most = DIALS_PER_TURN if few else DIALS_PER_LOOK
            for _ in range(min(most, len(self._waiting) - len(self._dials))):
                self._start_dial()
        self._plan_dials()

    def _should_wait(self) -> bool:
        """True where there is no time to spare, and what is given back serves all who wait soon: long downloads keep
        both the processor and their connections.
        """
        seconds = self._clock() - self._planned_at
        is_busy = self._cpu() - self._cpu_seconds > BUSY * seconds
        return is_busy and self._given_back * WAIT_MOST >= len(self._waiting) * seconds

    def _start_dial(self) -> None:
        dial = asyncio.ensure_future(self.dial(NOBODY, self._needs_all_dials))
        self._dials.add(dial)
        dial.add_done_callback(self._dialled)

    def _needs_all_dials(self) -> bool:
        return len(self._dials) <= len(self._waiting)

    def _dialled(self, dial: asyncio.Task[UpstreamConnection]) -> None:
        """Give a new connection to whoever has waited longest, or to the pool; tell a failure to one who waits."""
        self._dials.discard(dial)
        if dial.cancelled():
            return
        error = dial.exception()
        if isinstance(error, NotNeeded):
            self._plan_dials()  # somebody may have come since
        elif error is None:
            connection = dial.result()
            waiter = None if self._outdated(connection, self._clock()) else self._waiting.next()
            if waiter is None:
                self.release(connection, keep=True)
                self._plan_dials()  # where a reload has outdated it, somebody waits still
            else:
                waiter.give(connection)
        elif len(self._dials) < len(self._waiting):
            waiter = self._waiting.next()
            if waiter is not None:  # pragma: no branch - for the types: more wait than are dialled for
                waiter.fail(error)

    async def dial(self, wakeup: Wakeup, needed: Callable[[], bool] | None = None) -> UpstreamConnection:
        """A new connection. Raises UpstreamError; NotNeeded if it may wait for others and is not `needed` then."""
        connection = UpstreamConnection(wakeup, self)
        try:
            connection.generation = self._generation
            connection.address = await self._dialer.connect(cast(asyncio.Protocol, connection), needed)
        except UpstreamError:
            self._connected(False)
            raise
        self._connected(True)
        if self._max_age:
            connection.retire_at = self._clock() + self._max_age * (1 - AGE_SPREAD + 2 * AGE_SPREAD * self._jitter())
        self.active += 1
        return connection

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        """Give a connection back after its exchange; what cannot be trusted again is closed."""
        self.active -= 1
        now = self._clock()
        outdated = self._outdated(connection, now)
        if not (keep and connection.reusable) or self._closed or outdated or len(self._idle) >= self._idle_most:
            self._ended(outdated if outdated and keep and connection.reusable else _end_reason(connection, keep=keep))
            if connection.uses > 1 and connection.unheard:
                self._drop_address(connection.address)  # it died at rest: so may all that rest beside it
            connection.detach()
            if connection.body_done:
                connection.close()
            else:
                connection.abort()
            return
        if connection.uses:
            connection.raw_head = None  # with the cookies in it; one that came before any request is an error still
        connection.wakeup = NOBODY
        waiter = self._waiting.next()
        if waiter is not None:
            self.active += 1
            self._given_back += 1
            waiter.give(connection)
            return
        if not connection.uses:
            connection.end_handshake()
        connection.pooled = True
        connection.idle_since = now
        connection.idle_at = self._wall()
        self._idle.append(connection)
        connection.resume_reading()

    def drop(self, connection: UpstreamConnection, reason: str) -> None:
        """Never use a resting connection again, as when something arrived on it."""
        connection.pooled = False
        self._idle.remove(connection)
        connection.abort()
        self._ended(reason)

    def lost(self, connection: UpstreamConnection) -> None:
        if connection.pooled:
            connection.pooled = False
            self._idle.remove(connection)
            self._ended("upstream")

    def expire_idle(self) -> None:
        """Close the connections that rested too long; of those that a burst left, all but a few much earlier."""
        now = self._clock()
        for connection in [one for one in self._idle if self._outdated(one, now)]:
            self.drop(connection, "age")
        surplus = self._idle[: max(0, len(self._idle) - SPARE)]  # the one used last stands last
        for connection in [one for one in self._idle if self._rest(one, now) > IDLE_LIMIT]:
            self.drop(connection, "idle")
        for connection in surplus:
            if connection.pooled and self._rest(connection, now) > SURPLUS_REST:
                self.drop(connection, "surplus")

    def _drop_address(self, address: str) -> None:
        """An address is dead: do not try the connections that rest there one after the other."""
        for connection in [one for one in self._idle if one.address == address]:
            self.drop(connection, "error")

    def _outdated(self, connection: UpstreamConnection, now: float) -> str:
        """Why a connection is to be used no more, though nothing is wrong with it; empty if it may be."""
        if connection.generation != self._generation:
            return "reload"
        return "age" if now >= connection.retire_at else ""

    def trust(self, context: ssl.SSLContext) -> None:
        """Verify BioT, and a proxy that is spoken to by TLS, by this from now on; connections of before go."""
        self._dialer.trust(context)
        self.retire()

    def retire(self) -> None:
        """Use no connection of before any more; those that are in use go when they are given back."""
        self._generation += 1
        self._dialer.forget()
        for connection in list(self._idle):
            self.drop(connection, "reload")

    def _rest(self, connection: UpstreamConnection, now: float) -> float:
        """Seconds that a connection has rested; no end of them if the two clocks disagree."""
        rest = now - connection.idle_since
        return rest if abs(self._wall() - connection.idle_at - rest) < CLOCK_SLACK else float("inf")

    def close(self) -> None:
        self._closed = True
        for dial in self._dials:
            dial.cancel()
        for connection in list(self._idle):
            self.drop(connection, "surplus")


def _end_reason(connection: UpstreamConnection, *, keep: bool) -> str:
    """Why a connection is not kept after its exchange: a failure, the upstream's will, or because there are enough."""
    if connection.reusable:
        return "surplus" if keep else "upstream"  # its answer said so
    if connection.failure is None and (connection.lost or connection.body_done):
        return "upstream"
    return "error"
