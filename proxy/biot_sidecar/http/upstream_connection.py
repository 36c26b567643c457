"""One connection to BioT: what its end means for the request, and whether another request may use it."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod

from biot_sidecar.errors import Failure
from biot_sidecar.http import framing
from biot_sidecar.http.connect_errors import tls_broken
from biot_sidecar.http.connection import Connection
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.error_catalogue import untrusted_response
from biot_sidecar.http.interfaces import Sink, UpstreamStream
from biot_sidecar.http.messages import BodyFraming
from biot_sidecar.http.sockets import rest_of
from biot_sidecar.http.tls_transport import TlsTransport
from biot_sidecar.platform import bytes_sent, has_input, unacknowledged
from biot_sidecar.traits import mypyc_attr, trait


@trait
@mypyc_attr(allow_interpreted_subclasses=True)
class ConnectionOwner(ABC):
    """The pool that a connection belongs to."""

    __slots__ = ()

    server: str
    """BioT's host and port, as errors name them."""

    @abstractmethod
    def drop(self, connection: UpstreamConnection, reason: str) -> None:
        """Never use a resting connection again."""

    @abstractmethod
    def lost(self, connection: UpstreamConnection) -> None:
        """The connection has ended."""


class UpstreamConnection(Connection, UpstreamStream):
    """A connection to BioT. In the pool nothing may arrive on it; whatever does makes it unusable."""

    __slots__ = (
        "_before",
        "_half_closed",
        "_pool",
        "_tls",
        "address",
        "generation",
        "idle_at",
        "idle_since",
        "nothing_sent",
        "pooled",
        "retire_at",
        "uses",
    )

    def __init__(self, wakeup: Wakeup, pool: ConnectionOwner) -> None:
        super().__init__(wakeup)
        self._pool = pool
        self._half_closed = False  # the upstream has said that it will send no more
        self._tls: TlsTransport | None = None
        self._before = 0  # bytes that had been written when the exchange began
        self.nothing_sent = False
        self.pooled = False
        self.idle_since = 0.0  # monotonic
        self.idle_at = 0.0  # wall clock
        self.uses = 0
        self.address = ""  # what was dialled
        self.generation = 0
        self.retire_at = float("inf")  # monotonic; from then on it is used no more

    def data_received(self, data: bytes) -> None:
        if self.pooled:
            self._pool.drop(self, "upstream")
            return
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        below: object = transport  # no type says that a transport may be ours, and the compiler believes types
        self._tls = below if isinstance(below, TlsTransport) else None

    def eof_received(self) -> bool:
        if self.pooled:
            self._pool.drop(self, "upstream")
            return False
        self._half_closed = True  # TLS tells of close_notify alone (http.tls_transport): anybody can forge another end
        if self.relaying:
            self._end_with_connection()
        if self.unsent:
            self.transport.abort()  # who says no more answers no more: it need not be sent
        return False

    def relay_to(self, sink: Sink) -> None:
        super().relay_to(sink)
        self._end_with_connection()  # the end may have come together with the head

    def _end_with_connection(self) -> None:
        if self._half_closed and not self.body_done and self._framing.body is BodyFraming.UNTIL_CLOSE:
            self._finish_body([])

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not self.pooled and self._tls is None:
            for data in rest_of(self.transport):
                self.data_received(data)
        if self.raw_head is None and not self.pooled:
            self._judge_loss(error)
        super().connection_lost(error)
        self._pool.lost(self)

    def _judge_loss(self, error: Exception | None) -> None:
        """Find out what the loss of a connection without an answer means for the request."""
        sock = self.transport.get_extra_info("socket")
        sent = None if sock is None else bytes_sent(sock)
        self.nothing_sent = sent is not None and sent <= self._before
        if isinstance(error, ssl.SSLError) and self.failure is None:
            self._fail(tls_broken(error, self._pool.server))

    def end_handshake(self) -> None:
        """Nothing is to be written soon that the last part of the TLS handshake could go with."""
        if self._tls is not None:
            self._tls.end_handshake()

    @property
    def _handed(self) -> int:
        """Bytes handed to the TCP transport so far."""
        return self.written if self._tls is None else self._tls.handed

    def begin(self, wakeup: Wakeup) -> bool:
        """Belong to the exchange that waits on `signal`, from now on. True if it is not the connection's first."""
        self.wakeup = wakeup
        self.uses += 1
        self.body_done = False
        self.failure = None
        self._half_closed = False
        self.nothing_sent = False
        self._before = self._handed
        if self.uses > 1 or self.awaits_head:
            self.expect_head()
        else:
            self._fail(untrusted_response("it came before the request"))
        return self.uses > 1

    def has_input(self) -> bool:
        """True when the kernel holds something for us: at rest: its end, or bytes nobody asked for."""
        return has_input(self.transport.get_extra_info("socket").fileno())

    @property
    def sound(self) -> bool:
        """True when nothing has arrived that does not belong to an answer, not even half a TLS record."""
        return not (self.lost or self._inbox or self.failure or (self._tls is not None and self._tls.mid_record))

    @property
    def reusable(self) -> bool:
        """True when the exchange left nothing behind: no byte too many, none too few."""
        # A transport that is closing already takes writes and drops them.
        return self.body_done and self.sound and not self.transport.is_closing()

    @property
    def unheard(self) -> bool:
        """True when nothing came of what was sent, not even the other machine's word that it has arrived.

        Of a call that is given up within a round trip nobody knows.
        """
        if self.raw_head is not None or self.lost:
            return self.raw_head is None
        sock = self.transport.get_extra_info("socket")
        return sock is not None and unacknowledged(sock)

    def _partial_failure(self, partial: bytearray, before: int) -> Failure | None:
        if framing.is_not_http(partial):
            return untrusted_response("it is not HTTP/1.1, nor 1.0")
        if framing.hopeless(partial, before):
            return untrusted_response("its head is malformed")
        if len(partial) > framing.HEAD_LIMIT:
            return untrusted_response("its head is larger than 64 KiB")
        return None

    def _body_failure(self, reason: str) -> Failure:
        return untrusted_response(reason)
