"""The interfaces that a request is served through: streams, pool, tokens, routes, observers. No sockets stand here.

What is asked for many times in a request is a trait and not a Protocol: compiled (deploy/README.md), a trait's members
are found at fixed places, a Protocol's by their names, which took a tenth of a request's instructions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol, TypeVar

from biot_sidecar.auth.incurable_routes import Judgement, RouteKey
from biot_sidecar.auth.token import Token
from biot_sidecar.errors import Failure
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.messages import BodyFraming, Framing, Headers, Response
from biot_sidecar.routing.route import Verdict
from biot_sidecar.traits import mypyc_attr, trait


class Routes(Protocol):
    """The table in force; a reload replaces it between requests, never within one."""

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        """Cheap enough for every request, never raises; `target` is the raw origin-form target, query included."""


LoopJudge = Callable[[str, bytes, bytes], Awaitable[bool]]
"""Counts an intercepted request by trace id, method and path; False when it is one too many."""


@trait
@mypyc_attr(allow_interpreted_subclasses=True)
class Tokens(ABC):
    """Where the service user's token comes from."""

    __slots__ = ()

    renewing: bool
    """The token that current() gave last is old: a newer one is being fetched, or cannot be had."""
    marked: Collection[RouteKey]
    """Routes that are known for their 401s: tell accepted() of their other answers."""

    @abstractmethod
    def now(self) -> float:
        """Seconds of the clock by which tokens are judged. It is dear: two clocks are read."""

    @abstractmethod
    def call_started(self) -> float:
        """A call begins, and with it perhaps a string of calls. Returns now()."""

    @abstractmethod
    def call_ended(self) -> None:
        """A call that entered has ended."""

    @abstractmethod
    def current(self, now: float) -> Token | None:
        """The token to use at once, or None if this call must wait for a login; `now` as now() tells it."""

    @abstractmethod
    def has_current(self) -> bool:
        """True if a call would not have to wait for a login."""

    @abstractmethod
    def is_usable(self, token: Token) -> bool:
        """True while this token may still be sent."""

    @abstractmethod
    def age(self, token: Token) -> float:
        """Seconds since BioT gave it."""

    @abstractmethod
    async def acquire(self) -> Token:
        """Wait for the login that is under way or start one; raises LoginError. Cancelling it hurts nobody else."""

    @abstractmethod
    async def rejected(self, token: Token, route: RouteKey, *, replayed: bool, replayable: bool) -> bool:
        """BioT refused this token on this route: drop it, if another may help. True: send the call again with that.

        `replayed`: this call had been refused before; `replayable`: all of it can be sent again.
        """

    @abstractmethod
    def accepted(self, route: RouteKey) -> None:
        """BioT answered a call with our token with something else than 401."""


class RejectionJudge(Protocol):
    """Judges 401s about the token for the whole program (auth.incurable_routes)."""

    marked: Collection[RouteKey]
    """Routes whose other answers matter; always the same object."""

    async def judge(self, route: RouteKey, token: bytes, age: float, *, replayed: bool, replayable: bool) -> Judgement:
        """`token` is its fingerprint, `age` in seconds; the rest as in Tokens.refused."""

    def accepted(self, route: RouteKey) -> None:
        """The route was answered with something else than 401."""


class LoginObserver(Protocol):
    """Whoever wants to know of logins; labels are those of `logins_total`."""

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        """BioT was asked for a token, or could not be for want of a secret; `why` there is none, in words."""

    def event(self, level: str, event: str, message: str) -> None:
        """Something about tokens that nobody counts."""

    def token_obtained(self, expires: float) -> None:
        """`expires` in wall-clock seconds."""

    def clock_compared(self, offset: float) -> None:
        """BioT's clock is ahead of ours by so many seconds."""

    def blocked_until(self, moment: float) -> None:
        """Logins are blocked until then, in wall-clock seconds; 0.0: they are not."""


class Fetch(Protocol):
    """One whole request of our own to the upstream, for logins. Raises UpstreamError."""

    async def __call__(
        self,
        method: bytes,
        path: bytes,
        headers: Headers,
        body: bytes,
        *,
        timeout: float,
        limit: int,
        repeatable: bool = False,
    ) -> Response:
        """`path` is relative to the base URL; `timeout` in seconds covers all; `limit` bounds the body in bytes.
        `repeatable`: BioT may carry it out twice, whatever its method.
        """


class Observer(Protocol):
    """Whoever wants to know of a finished exchange: metrics, the access log, the inspector."""

    def finished(self, exchange: Exchange) -> None:
        """Called once per request, after its last byte; must be quick and must not raise."""


@trait
@mypyc_attr(allow_interpreted_subclasses=True)
class Source(ABC):
    """Where a body comes from."""

    __slots__ = ()

    wakeup: Wakeup

    @abstractmethod
    def pause_reading(self) -> None: ...

    @abstractmethod
    def resume_reading(self) -> None: ...

    @abstractmethod
    def detach(self) -> None:
        """Stop relaying; what comes next is held."""


@trait
@mypyc_attr(allow_interpreted_subclasses=True)
class Sink(ABC):
    """Where a body goes."""

    __slots__ = ()

    write_paused: bool
    """More waits to be sent than one would like to hold."""

    @abstractmethod
    def write_body(self, pieces: list[bytes]) -> None: ...

    @abstractmethod
    def end_body(self, trailers: Headers) -> None: ...

    @abstractmethod
    def attach(self, source: Source | None) -> None:
        """`source` is to be paused while this sink is full; None: nobody feeds it any more."""


@trait
class HttpStream(Source, Sink):
    """One connection, as far as both sides are alike."""

    __slots__ = ()

    raw_head: bytes | None
    """The head that arrived, its closing empty line included; None while it is still to come."""
    failure: Failure | None
    """What arrived cannot be trusted."""
    lost: bool
    """No more bytes will come or go."""
    body_done: bool
    """The current message's body has been read to its end."""
    body_bytes: int
    """Body bytes read of the current message."""
    activity: int
    """Grows with everything that arrives or drains."""

    @property
    @abstractmethod
    def leftover(self) -> bytes:
        """Bytes that arrived behind the current message."""

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""

    @abstractmethod
    def expect_head(self) -> None: ...

    @abstractmethod
    def expect_body(self, framing: Framing) -> None: ...

    @abstractmethod
    def take_whole(self) -> bytes | None:
        """The body, if all of it is here already and unread; None: relay it."""

    @abstractmethod
    def relay_to(self, sink: Sink) -> None: ...

    @abstractmethod
    def discard(self) -> None: ...

    @abstractmethod
    def cork(self) -> None:
        """Hold what is written until uncork()."""

    @abstractmethod
    def uncork(self) -> None: ...

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def frame_output(self, body: BodyFraming) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def abort(self) -> None: ...


@trait
class ClientStream(HttpStream):
    """The plugin's side."""

    __slots__ = ()

    replay_buffer: list[bytes] | None
    """The body so far, for a replay; None once it outgrew its limit."""
    caller_uid: int
    """Whose process it is, if that was asked (http/peer_credentials)."""
    can_reset: bool
    """abort() shows as a reset; a unix socket knows none, it ends as if all were well."""
    half_closed: bool
    """It has said that it will say no more."""

    @property
    @abstractmethod
    def head_begun(self) -> bool:
        """True while part of a head has arrived."""

    @property
    @abstractmethod
    def write_closed(self) -> bool:
        """True when nothing more can be said: the connection is lost, closed or cut."""

    @abstractmethod
    def check_body(self) -> None:
        """Raises ClientError if the body, as far as it is here, is malformed, or ended before its end."""

    @abstractmethod
    def finish_writing(self) -> None:
        """Send what was written and then the end, and go on reading."""


@trait
class UpstreamStream(HttpStream):
    """BioT's side."""

    __slots__ = ()

    nothing_sent: bool
    """The connection was lost, and the kernel knows that no byte of the request had left."""

    @abstractmethod
    def begin(self, wakeup: Wakeup) -> bool:
        """Belong to the exchange that waits on `signal`, from now on. True if it is not the connection's first."""


ConnectionT = TypeVar("ConnectionT", bound=UpstreamStream)


class Pool(Protocol[ConnectionT]):
    """Connections to the one upstream; it takes back those that it gave."""

    via: str
    """Host and port of the proxy on the way; empty without one."""

    def take(self) -> ConnectionT | None: ...

    async def acquire(self, wakeup: Wakeup) -> ConnectionT:
        """A new connection, or one that is given back meanwhile. Raises UpstreamError, and TimeoutError when `wakeup`
        has expired.
        """

    def release(self, connection: ConnectionT, *, keep: bool) -> None: ...


class LocalResponse:
    """An answer of the sidecar's own; `body` is complete."""

    def __init__(self, status: int, content_type: str, body: bytes) -> None:
        self.status: Final = status
        self.content_type: Final = content_type
        self.body: Final = body


class Endpoints(Protocol):
    """What the listener serves itself: /metrics, /healthz, /readyz and everything under /_sidecar."""

    def has(self, path: bytes) -> bool:
        """True when there is such a page."""

    async def get(self, path: bytes, query: bytes, accept: bytes) -> LocalResponse:
        """The page, which must be there. Raises Failure."""
