"""What a fake inherits from that stands where the compiled form asks for a trait.

A class that is not compiled cannot inherit from a trait, only from a compiled class that allows it: this module is
compiled along in build/compiled (hatch_build.py), and nowhere else. tests/support/fakes.py takes the right form of it.
"""

from __future__ import annotations

from collections.abc import Collection

from biot_sidecar.auth.incurable_routes import RouteKey
from biot_sidecar.auth.token import Token
from biot_sidecar.http.deadlines import Wakeup
from biot_sidecar.http.interfaces import Sink, Source, Tokens
from biot_sidecar.http.messages import Headers
from biot_sidecar.traits import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class TokensBase(Tokens):
    """Has what the fake gives it."""

    renewing: bool
    marked: Collection[RouteKey]

    def now(self) -> float:
        raise NotImplementedError

    def call_started(self) -> float:
        raise NotImplementedError

    def call_ended(self) -> None:
        raise NotImplementedError

    def current(self, now: float) -> Token | None:
        raise NotImplementedError

    def has_current(self) -> bool:
        raise NotImplementedError

    def is_usable(self, token: Token) -> bool:
        raise NotImplementedError

    def age(self, token: Token) -> float:
        raise NotImplementedError

    async def acquire(self) -> Token:
        raise NotImplementedError

    async def rejected(self, token: Token, route: RouteKey, *, replayed: bool, replayable: bool) -> bool:
        raise NotImplementedError

    def accepted(self, route: RouteKey) -> None:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class SourceBase(Source):
    """Has the wake-up that the fake gives it."""

    wakeup: Wakeup

    def pause_reading(self) -> None:
        raise NotImplementedError

    def resume_reading(self) -> None:
        raise NotImplementedError

    def detach(self) -> None:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class SinkBase(Sink):
    """Is full when the fake says so."""

    full: bool

    def write_body(self, pieces: list[bytes]) -> None:
        raise NotImplementedError

    def end_body(self, trailers: Headers) -> None:
        raise NotImplementedError

    def attach(self, source: Source | None) -> None:
        raise NotImplementedError
