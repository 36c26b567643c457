"""What the story of a request awaits and tells. No sockets here: net/ and telemetry/ implement these Protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

from proxy.errors import Failure
from proxy.exchange import Exchange
from proxy.message import Answer, Body, Framing, Headers, Token
from proxy.pipeline.signal import Signal
from proxy.policy.rules import Verdict


class Rules(Protocol):
    """The table in force; a reload replaces it between requests, never within one."""

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        """Cheap enough for every request, never raises; `target` is the raw origin-form target, query included."""


LoopJudge = Callable[[str, bytes, bytes], Awaitable[bool]]
"""Counts an intercepted request by trace id, method and path; False when it is one too many."""


class Tokens(Protocol):
    """Where the service user's token comes from."""

    renewing: bool
    """The token that ready() gave last is old: a newer one is being fetched, or cannot be had."""

    def enter(self) -> None:
        """A call begins, and with it perhaps a string of calls."""

    def leave(self) -> None:
        """A call that entered has ended."""

    def ready(self) -> Token | None:
        """The token to use at once, or None if this call must wait for a login."""

    def good(self, token: Token) -> bool:
        """True while this token may still be sent."""

    async def get(self) -> Token:
        """Wait for the login that is under way or start one; raises LoginFault. Cancelling it hurts nobody else."""

    def reject(self, token: Token) -> None:
        """BioT refused this token: drop it if it is still the current one."""


class LoginObserver(Protocol):
    """Whoever wants to know of logins; labels are those of `logins_total`."""

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        """BioT was asked for a token; `why` it gave none, in words for the operator."""

    def event(self, level: str, event: str, message: str) -> None:
        """Something about tokens that nobody counts."""

    def token_obtained(self, expires: float) -> None:
        """`expires` in wall-clock seconds."""

    def blocked_until(self, moment: float) -> None:
        """Logins are blocked until then, in wall-clock seconds; 0.0: they are not."""


class Fetch(Protocol):
    """One whole request of our own to the upstream, for logins. Raises UpstreamFault."""

    async def __call__(
        self, method: bytes, path: bytes, headers: Headers, body: bytes, *, timeout: float, limit: int
    ) -> Answer:
        """`path` is relative to the base URL; `timeout` in seconds covers all; `limit` bounds the body in bytes."""


class Observer(Protocol):
    """Whoever wants to know of a finished exchange: metrics, the access log, the inspector."""

    def finished(self, exchange: Exchange) -> None:
        """Called once per request, after its last byte; must be quick and must not raise."""


class Source(Protocol):
    """Where a body comes from."""

    signal: Signal

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def detach(self) -> None:
        """Stop relaying; what comes next is held."""


class Sink(Protocol):
    """Where a body goes."""

    full: bool
    """More waits to be sent than one would like to hold."""

    def write_body(self, pieces: list[bytes]) -> None: ...

    def end_body(self, trailers: Headers) -> None: ...

    def attach(self, source: Source | None) -> None:
        """`source` is to be paused while this sink is full; None: nobody feeds it any more."""


class Peer(Source, Sink, Protocol):
    """One connection, as far as both sides are alike."""

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
    progress: int
    """Grows with everything that arrives or drains."""

    @property
    def held(self) -> bytes:
        """Bytes that arrived behind the current message."""

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""

    def expect_head(self) -> None: ...

    def expect_body(self, framing: Framing) -> None: ...

    def take_whole(self) -> bytes | None:
        """The body, if all of it is here already and unread; None: relay it."""

    def relay_to(self, sink: Sink) -> None: ...

    def discard(self) -> None: ...

    def cork(self) -> None:
        """Hold what is written until uncork()."""

    def uncork(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def frame_output(self, body: Body) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Client(Peer, Protocol):
    """The plugin's side."""

    kept: list[bytes] | None
    """The body so far, for a replay; None once it outgrew its limit."""
    resets: bool
    """abort() shows as a reset; a unix socket knows none, it ends as if all were well."""
    silent: bool
    """It has said that it will say no more."""

    @property
    def head_begun(self) -> bool:
        """True while part of a head has arrived."""

    @property
    def ended(self) -> bool:
        """True when nothing more can be said: the connection is lost, closed or cut."""

    def finish_writing(self) -> None:
        """Send what was written and then the end, and go on reading."""


class Upstream(Peer, Protocol):
    """BioT's side."""

    def begin(self, signal: Signal) -> bool:
        """Belong to the exchange that waits on `signal`, from now on. True if it is not the connection's first."""


Held = TypeVar("Held", bound=Upstream)


class Pool(Protocol[Held]):
    """Connections to the one upstream; it takes back those that it gave."""

    def take(self) -> Held | None: ...

    async def dial(self, signal: Signal) -> Held: ...

    def release(self, connection: Held, *, keep: bool) -> None: ...


class Page(NamedTuple):
    """An answer of the sidecar's own; `body` is complete."""

    status: int
    content_type: str
    body: bytes


class Pages(Protocol):
    """What the listener serves itself: /metrics, /healthz, /readyz and everything under /_sidecar."""

    def has(self, path: bytes) -> bool:
        """True when there is such a page."""

    async def get(self, path: bytes, query: bytes, accept: bytes) -> Page:
        """The page, which must be there. Raises Failure."""
