"""What is asked for and what is got: a token as BioT issued it, and the request for one. They go between processes.

Not compiled, unlike auth/token: the compiler drops the types of fields, by which msgspec reads a value.
"""

from __future__ import annotations

import math

import msgspec


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
    own will do. Whoever keeps a request waiting goes on with what `after` makes of it.
    """

    reason: str
    younger_than: float = math.inf
    last: bytes | None = None
    shareable: bool = True

    def after(self, seconds: float) -> TokenRequest:
        """The same request that long after it was made: what was young enough then, or issued since, still is."""
        return msgspec.structs.replace(self, younger_than=self.younger_than + seconds)

    def __repr__(self) -> str:
        last = "none" if self.last is None else "one"
        return f"TokenRequest(reason={self.reason!r}, younger_than={self.younger_than}, last={last})"
