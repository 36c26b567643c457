"""The one upstream: dialling and the pool of idle connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

from proxy.errors import Code, Failure, UpstreamFault
from proxy.message import Body
from proxy.net.connection import BODY, Connection
from proxy.net.sockets import readable
from proxy.net.tls import connect_tls
from proxy.pipeline.ports import Sink, Upstream
from proxy.pipeline.signal import Signal, timeout
from proxy.policy import framing
from proxy.policy.faults import broken_answer
from proxy.settings import Upstream as Address

CONNECT_TIMEOUT: Final = 5.0
IDLE_LIMIT: Final = 50.0
"""Seconds a pooled connection may rest: less than the 60 s after which BioT's load balancer drops it."""
PROBE_AFTER: Final = 1.0
"""Seconds of rest after which a pooled connection is asked for news before it is used: one system call."""
IDLE_MOST: Final = 256
"""Connections that may rest where nobody says how many requests may be in flight."""
SALVAGE_READS: Final = 8
CLOCK_SLACK: Final = 1.0
"""Seconds by which the wall clock may stray from the monotonic one while a connection rests."""


class UpstreamConnection(Connection, Upstream):
    """A connection to BioT. In the pool nothing may arrive on it; whatever does makes it unusable."""

    __slots__ = ("_farewell", "_pool", "idle_at", "idle_since", "pooled", "uses")

    def __init__(self, signal: Signal, pool: Pool) -> None:
        super().__init__(signal)
        self._pool = pool
        self._farewell = False  # the upstream has said that it will send no more
        self.pooled = False
        self.idle_since = 0.0  # monotonic
        self.idle_at = 0.0  # wall clock
        self.uses = 0

    def data_received(self, data: bytes) -> None:
        if self.pooled:
            self._pool.drop(self)
            return
        super().data_received(data)

    def eof_received(self) -> bool:
        if self.pooled:
            self._pool.drop(self)
            return False
        self._farewell = True  # TLS tells of close_notify alone (net.tls): anybody on the way can forge another end
        if self._mode == BODY:
            self._end_with_connection()
        return False

    def relay_to(self, sink: Sink) -> None:
        super().relay_to(sink)
        self._end_with_connection()  # the end may have come together with the head

    def _end_with_connection(self) -> None:
        if self._farewell and not self.body_done and self._framing.body is Body.UNTIL_CLOSE:
            self._finish_body([])

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not self.pooled:
            self._salvage()
        super().connection_lost(error)
        self._pool.lost(self)

    def _salvage(self) -> None:
        """Take what the kernel still holds for us.

        A server that refuses an upload may answer and hang up at once: our next write fails, and the transport ends
        before it has read the answer. Under TLS nothing can be read any more.
        """
        raw = self.transport.get_extra_info("socket")
        if raw is None or self.transport.get_extra_info("ssl_object") is not None:
            return
        with contextlib.suppress(OSError):
            for _ in range(SALVAGE_READS):
                data = os.read(raw.fileno(), 64 * 1024)
                if not data:
                    break
                self.data_received(data)

    def begin(self, signal: Signal) -> bool:
        """Belong to the exchange that waits on `signal`, from now on. True if it is not the connection's first."""
        self.signal = signal
        self.uses += 1
        self.body_done = False
        self.failure = None
        self._farewell = False
        if self.raw_head is None or self.uses > 1:
            self.expect_head()
        else:
            self._fail(broken_answer("it came before the request"))
        return self.uses > 1

    def readable(self) -> bool:
        """True when the kernel holds something for us: on a resting connection a farewell, or worse."""
        return readable(self.transport.get_extra_info("socket").fileno())

    @property
    def reusable(self) -> bool:
        """True when the exchange left nothing behind: no byte too many, none too few."""
        # A transport that is closing already takes writes and drops them.
        return self.body_done and not (self.lost or self._inbox or self.failure or self.transport.is_closing())

    def _partial_fault(self, partial: bytearray, before: int) -> Failure | None:
        if framing.hopeless(partial, before):
            return broken_answer("its head is malformed")
        if len(partial) > framing.HEAD_LIMIT:
            return broken_answer("its head is larger than 64 KiB")
        return None

    def _body_fault(self, reason: str) -> Failure:
        return broken_answer(reason)


class Pool:
    """Connections to the one upstream; the one used last is taken first, so that the others may age out.

    `wall` tells seconds since the epoch, `clock` monotonic ones: a machine that slept, or was set, finds the
    two apart, and trusts no connection of before. `connected` is told of every dial: True for success.
    `path` names a unix socket to dial instead. `idle_most` connections may rest: as many as may be in flight, for fewer
    would have a steady load dial anew (700 us of CPU per request over TLS where 110 do).
    """

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        connected: Callable[[bool], None],
        path: str = "",
        idle_most: int = IDLE_MOST,
    ) -> None:
        self._idle_most = idle_most
        self._path = path
        self._address = address
        self._tls = tls
        self._wall = wall
        self._clock = clock
        self._connected = connected
        self._idle: list[UpstreamConnection] = []
        self.active = 0
        self._closed = False

    @property
    def idle(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An idle connection that looks sound, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            rest = self._rest(connection)
            connection.pooled = False
            fresh = rest <= IDLE_LIMIT and not connection.lost
            if fresh and (rest < PROBE_AFTER or not connection.readable()):
                self.active += 1
                return connection
            connection.abort()
        return None

    async def dial(self, signal: Signal) -> UpstreamConnection:
        """A new connection. Raises UpstreamFault."""
        loop = asyncio.get_running_loop()
        address = self._address
        connection = UpstreamConnection(signal, self)
        protocol = cast(asyncio.Protocol, connection)
        try:
            with timeout(CONNECT_TIMEOUT):
                if self._path:
                    await loop.create_unix_connection(lambda: protocol, self._path)
                elif self._tls is not None:
                    await connect_tls(lambda: protocol, address.host, address.port, self._tls)
                else:
                    await loop.create_connection(lambda: protocol, address.host, address.port)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._connected(False)
            fault = unreachable(error)
        else:
            self._connected(True)
            self.active += 1
            return connection
        raise fault

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        """Give a connection back after its exchange; what cannot be trusted again is closed."""
        self.active -= 1
        if not (keep and connection.reusable) or self._closed or len(self._idle) >= self._idle_most:
            connection.detach()
            if connection.body_done:
                connection.close()
            else:
                connection.abort()
            return
        connection.pooled = True
        connection.idle_since = self._clock()
        connection.idle_at = self._wall()
        connection.signal = _NOBODY
        self._idle.append(connection)
        connection.resume_reading()

    def drop(self, connection: UpstreamConnection) -> None:
        """Something arrived on a resting connection: never use it again."""
        connection.pooled = False
        self._idle.remove(connection)
        connection.abort()

    def lost(self, connection: UpstreamConnection) -> None:
        if connection.pooled:
            connection.pooled = False
            self._idle.remove(connection)

    def expire_idle(self) -> None:
        """Close the connections that rested too long."""
        for connection in [one for one in self._idle if self._rest(one) > IDLE_LIMIT]:
            self.drop(connection)

    def _rest(self, connection: UpstreamConnection) -> float:
        """Seconds that a connection has rested; no end of them if the two clocks disagree."""
        rest = self._clock() - connection.idle_since
        return rest if abs(self._wall() - connection.idle_at - rest) < CLOCK_SLACK else float("inf")

    def close(self) -> None:
        self._closed = True
        for connection in list(self._idle):
            self.drop(connection)


class _Nobody(Signal):
    """The signal of connections at rest."""

    def __init__(self) -> None:
        self.deadline = float("inf")
        self.expired = False
        self._future = None


_NOBODY: Final = _Nobody()


def unreachable(error: OSError | TimeoutError) -> UpstreamFault:
    """Name a failed dial; nothing of a request was sent."""
    hint = "Check BIOT_BASE_URL and the network between here and BioT."
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted ({error.verify_message})"
        hint = "Check BIOT_BASE_URL; an authority of your own goes into SIDECAR_CA_FILE."
    elif isinstance(error, ssl.SSLError):
        reason = f"the TLS handshake failed ({error.reason or 'no reason given'})"
    elif isinstance(error, TimeoutError):
        reason = "connecting timed out"
    elif isinstance(error, socket.gaierror):
        reason = "its name could not be resolved"
    elif isinstance(error, ConnectionRefusedError):
        reason = "it refused the connection"
    else:
        reason = f"the connection failed ({error.strerror or type(error).__name__})"
    return UpstreamFault(
        Code.UPSTREAM_UNREACHABLE,
        f"BioT cannot be reached: {reason}.",
        hint=hint,
        retryable="connect",
    )
