"""Which TLS session a new connection resumes: its handshake then carries and verifies no certificate (RFC 8446, 2.2).

One session is kept for a server, and offered by every connection until it ends. RFC 8446 (appendix C.4) would have each
ticket used once, so that nobody on the way can tell that two connections are one client's; ours all come from one
address, and to read a session costs a quarter of a handshake, and 6 KB for ever in Python 3.11 (CPython's #116810).

A session is as good as the handshake in which the server was verified, so only such a handshake's is kept, for
VERIFY_INTERVAL at most, not beyond the certificate's end, and never for other CAs: whoever changes those makes a new
TlsSessions. A server that does not know the session goes on with a whole handshake by itself. One that breaks off
instead is not offered it again.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from biot_sidecar.timestamps import read_certificate_time

VERIFY_INTERVAL: Final = 3600.0
"""Seconds after which a server is verified anew, however long its tickets last."""
READ_INTERVAL: Final = 300.0
"""Seconds between two readings of a session."""


class TlsSessions:
    """The session with one server. `clock` tells the seconds that have passed, `wall` those since the epoch."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._session: ssl.SSLSession | None = None
        self._ends = 0.0  # by the clock
        self._certificate_ends = 0.0  # by the wall clock
        self._read_again = float("-inf")

    def offered(self) -> ssl.SSLSession | None:
        """The session that a new connection offers."""
        if self._clock() >= self._ends or self._wall() >= self._certificate_ends:
            self._session = None
        return self._session

    def verified(self, tls: ssl.SSLObject) -> None:
        """A server that a whole handshake has verified sent its first data, and before that its tickets."""
        now = self._clock()
        certificate = tls.getpeercert()
        if now < self._read_again or not certificate:
            return
        self._read_again = now + READ_INTERVAL
        session = tls.session
        if session is None or not (session.has_ticket or session.id):
            return
        self._session = session
        self._ends = now + min(VERIFY_INTERVAL, session.ticket_lifetime_hint or VERIFY_INTERVAL)
        self._certificate_ends = read_certificate_time(str(certificate["notAfter"])) or 0.0

    def broken(self) -> None:
        """A connection that had offered the session was lost before the server's first data."""
        self._session = None
        self._read_again = self._clock() + READ_INTERVAL
