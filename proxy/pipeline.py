"""The story of one request, and the Protocols it awaits. No sockets here: net/ implements what is named below."""

from __future__ import annotations

from typing import Protocol

from proxy.exchange import Exchange
from proxy.message import Answer, Headers, Token
from proxy.policy.rules import Verdict


class Rules(Protocol):
    """The table in force; a reload replaces it between requests, never within one."""

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        """Cheap enough for every request, never raises; `target` is the raw origin-form target, query included."""


class Tokens(Protocol):
    """Where the service user's token comes from (contract, section 4)."""

    def ready(self) -> Token | None:
        """The token to use at once, or None if this call must wait for a login. Counts the call into its string."""

    async def get(self) -> Token:
        """Wait for the login that is under way or start one; raises LoginFault. Cancelling it hurts nobody else."""

    def reject(self, token: Token) -> None:
        """BioT refused this token: drop it if it is still the current one."""


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
