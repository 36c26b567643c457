"""The service user's access token: as a call sends it, as BioT issued it, as it is asked for."""

from __future__ import annotations

import math

import msgspec


class Token:
    """A token as calls of this process send it.

    `obtained` and `expires` are seconds of the elapsed clock (elapsed_clock), which nobody can set. `serial` tells
    tokens of one process apart without naming their text. `authorization` is the ready field value, ``Bearer <jwt>``.
    """

    __slots__ = ("authorization", "expires", "obtained", "serial")

    def __init__(self, jwt: str, obtained: float, expires: float, serial: int) -> None:
        self.authorization = bearer(jwt)
        self.obtained = obtained
        self.expires = expires
        self.serial = serial

    def __repr__(self) -> str:
        return f"Token(serial={self.serial}, obtained={self.obtained}, expires={self.expires})"


class IssuedToken(msgspec.Struct, frozen=True):
    """A token as BioT issued it; another sidecar logged in for it if `shared`. Times are our wall clock's.

    `age` is in seconds, when it was handed over; with it and `life` whoever takes it needs no wall clock. `date` is
    what BioT's clock said when it issued the token, in seconds since the epoch; None: not known.
    """

    jwt: str
    obtained: float
    expires: float
    shared: bool = False
    age: float = 0.0
    date: float | None = None

    @property
    def life(self) -> float:
        """Seconds from its beginning to its end."""
        return self.expires - self.obtained

    def __repr__(self) -> str:
        return f"IssuedToken(obtained={self.obtained}, expires={self.expires})"


class TokenRequest(msgspec.Struct, frozen=True):
    """Which token would do: one younger than `younger_than` seconds, and not the `last` one (a field value).

    `reason` is why one is wanted: start, string, expiring or token_not_valid. Unless `shareable`, only a token of one's
    own will do.
    """

    reason: str
    younger_than: float = math.inf
    last: bytes | None = None
    shareable: bool = True

    def __repr__(self) -> str:
        last = "none" if self.last is None else "one"
        return f"TokenRequest(reason={self.reason!r}, younger_than={self.younger_than}, last={last})"


def bearer(jwt: str) -> bytes:
    """The value of the Authorization field (RFC 6750, section 2.1)."""
    return b"Bearer " + jwt.encode("ascii")
