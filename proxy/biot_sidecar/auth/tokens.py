"""The service user's token: one at a time, shared by all calls, obtained by one login at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from biot_sidecar.auth.freshness import new_string, renewal_time, too_old_to_start, usable
from biot_sidecar.auth.incurable_routes import RouteKey, fingerprint
from biot_sidecar.auth.login_response import (
    OPEN_GATE,
    IssuedToken,
    LoginBackoff,
    LoginFailure,
    TokenRequest,
    after_new_secret,
    after_setback,
    in_words,
    paused_hint,
    unreadable_secret,
)
from biot_sidecar.auth.secret_source import SecretSource, UnreadableSecret
from biot_sidecar.auth.token import Token
from biot_sidecar.errors import LoginError
from biot_sidecar.http import interfaces as ports
from biot_sidecar.http.interfaces import LoginObserver, RejectionJudge
from biot_sidecar.settings.secret import Secret

TokenProvider = Callable[[Secret, TokenRequest], Awaitable[IssuedToken | LoginFailure]]
"""Gets a token by logging in, or from others that share it."""
HISTORY: Final = 20


class TokenRecord(msgspec.Struct):
    """One token or failed login, for the status page; `calls` counts the calls that the token served.

    `at` is when it was wanted, `obtained` when BioT gave the token, 0 if it did not; wall-clock seconds.
    `outcome` is as in `logins_total`; or `shared`, another sidecar's token; or `unread`, no login for want of a secret.
    """

    at: float
    reason: str
    outcome: str
    seconds: float
    obtained: float = 0.0
    calls: int = 0


class Tokens(ports.Tokens):
    """Implements pipeline.ports.Tokens. `clock` is an elapsed clock (policy.elapsed), by which everything is judged;
    `wall` tells seconds since the epoch, for people. Durations are seconds.
    """

    def __init__(
        self,
        obtain: TokenProvider,
        secret: SecretSource,
        *,
        string_gap: float,
        fresh_for: float,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        observer: LoginObserver,
        rejections: RejectionJudge,
    ) -> None:
        self._obtain = obtain
        self._secret = secret
        self._string_gap = string_gap
        self._fresh_for = fresh_for
        self._wall = wall
        self._clock = clock
        self._grant: IssuedToken | None = None  # what the current token was made of
        self._jitter = jitter
        self._observer = observer
        self._rejections = rejections
        self.marked = rejections.marked
        self._token: Token | None = None
        self._renew_from = 0.0
        self._want: str = "start"  # why a login must come before the next call; empty: it need not
        self._refused: Token | None = None
        self._last_call: float | None = None
        self._calls = 0  # under way
        self._serial = 0
        self._gate = OPEN_GATE
        self._login: asyncio.Task[Token | LoginError] | None = None
        self.renewing = False
        self.history: deque[TokenRecord] = deque(maxlen=HISTORY)

    # ---- a call's way

    def call_started(self) -> None:
        """A call begins: it belongs to a string of calls, or begins one after a silence of the gap's length."""
        now = self._clock()
        if not self._calls and new_string(self._last_call, now, self._string_gap):
            token = self._token
            if token is not None and too_old_to_start(token, now, self._fresh_for):
                self._want = self._want or "string"
        self._calls += 1

    def call_ended(self) -> None:
        """A call has ended: a silence begins here at the earliest."""
        self._calls -= 1
        self._last_call = self._clock()

    def current(self) -> Token | None:
        """The token to send now, or None if this call must wait for a login."""
        token = self._token
        now = self._clock()
        if token is None or self._want or not usable(token, now):
            return None
        self.renewing = now >= self._renew_from
        if self.renewing and self._login is None and self._may_log_in(now):
            self._start("expiring")
        self._count()
        return token

    def has_current(self) -> bool:
        """True if a call would not have to wait for a login."""
        return not self._want and usable(self._token, self._clock())

    def is_usable(self, token: Token) -> bool:
        """True while it is neither refused nor near its end."""
        return token is not self._refused and usable(token, self._clock())

    def age(self, token: Token) -> float:
        """Seconds since BioT gave it."""
        return self._clock() - token.obtained

    async def acquire(self) -> Token:
        """Wait for the login that is under way, or start one. Raises LoginError; cancelling it hurts nobody else."""
        while True:
            login = self._login or self._begin()
            result = await asyncio.shield(login) if isinstance(login, asyncio.Task) else login
            if isinstance(result, Token):
                token = result
            elif (old := self._still_good()) is not None:
                token = old
            else:
                raise LoginError(result.code, result.message, outcome=result.outcome, hint=self._hint(result))
            # Between the login's end and this caller's turn others may have had the token refused, or time passed.
            if self.is_usable(token):
                self._count()
                return token

    async def rejected(self, token: Token, route: RouteKey, *, replayed: bool, replayable: bool) -> bool:
        """BioT refused this token on this route; True: send the call again with another."""
        judgement = await self._rejections.judge(
            route, fingerprint(token), self.age(token), replayed=replayed, replayable=replayable
        )
        if judgement != "pass":
            self.invalidate(token)
        return judgement == "replay"

    def accepted(self, route: RouteKey) -> None:
        """BioT answered the route with something else than 401."""
        self._rejections.accepted(route)

    def invalidate(self, token: Token) -> None:
        """BioT refused this token: drop it, if it is still the current one."""
        if self._token is token:
            self._token = None
            self._want = "token_not_valid"
            self._refused = token

    def _hint(self, fault: LoginError) -> str:
        now = self._clock()
        if not self._gate.blocked(now):
            return fault.hint
        return paused_hint(fault.hint, self._on_wall(self._gate.until, now), self._secret.remedy)

    def _count(self) -> None:
        if self.history:
            self.history[-1].calls += 1

    def _still_good(self) -> Token | None:
        """After a login that failed: the old token, if it may still be sent. It serves this string then."""
        if not usable(self._token, self._clock()):
            return None
        self._want = ""
        self.renewing = True
        return self._token

    # ---- logging in

    def _begin(self) -> asyncio.Task[Token | LoginError] | LoginError:
        """Start a login, if one may be tried now; else the fault of the last one."""
        setback = self._gate.setback
        if setback is not None and not self._may_log_in(self._clock()):
            return setback.fault
        return self._start(self._want or "expiring")

    def _may_log_in(self, now: float) -> bool:
        """False while the last failure forbids it; another secret is another matter."""
        if self._gate.setback is not None and self._secret.changed():
            self._turn_gate(after_new_secret(self._gate))
        return not self._gate.closed(now)

    def _start(self, reason: str) -> asyncio.Task[Token | LoginError]:
        self._login = asyncio.ensure_future(self._log_in(reason))
        return self._login

    async def _log_in(self, reason: str) -> Token | LoginError:
        at, began = self._wall(), self._clock()
        try:
            result = await self._try(reason, began)
        finally:
            self._login = None
        now = self._clock()
        seconds = now - began
        if isinstance(result, LoginFailure):
            self._turn_gate(after_setback(self._gate, result, now, self._jitter()))
            self.history.append(TokenRecord(at, reason, result.fault.outcome, seconds))
            return result.fault
        self.history.append(TokenRecord(at, reason, "shared" if result.shared else "success", seconds, result.obtained))
        return self._take(result)

    async def _try(self, reason: str, now: float) -> IssuedToken | LoginFailure:
        try:
            secret = self._secret.read()
        except UnreadableSecret as error:
            unread = unreadable_secret(str(error))
            self._observer.event("warning", "secret", in_words(unread.fault))
            return unread
        last = self._token or self._refused
        begins = reason in {"start", "string"}
        wanted = TokenRequest(
            reason,
            min(math.inf if last is None else now - last.obtained, self._fresh_for if begins else math.inf),
            None if last is None else last.authorization,
            shareable=self._fresh_for > 0 or not begins,
        )
        return await self._obtain(secret, wanted)

    def _take(self, grant: IssuedToken) -> Token:
        self._serial += 1
        obtained = self._clock() - grant.age
        token = self._token = Token(grant.jwt, obtained, obtained + grant.life, self._serial)
        self._grant = grant
        self._renew_from = renewal_time(token, self._jitter())
        self._want = ""
        self._refused = None
        self._turn_gate(OPEN_GATE)
        self._observer.token_obtained(grant.expires)
        return token

    def _turn_gate(self, gate: LoginBackoff) -> None:
        if gate != self._gate:
            self._gate = gate
            now = self._clock()
            self._observer.blocked_until(self._on_wall(gate.until, now) if gate.blocked(now) else 0.0)

    def _on_wall(self, moment: float, now: float) -> float:
        """A moment of the elapsed clock, which says `now`, in wall-clock seconds."""
        return self._wall() + moment - now

    # ---- the program's life

    def start(self) -> None:
        """Log in at once, so that the first call need not wait; vain if every string has a login of its own."""
        if self._login is None and self._fresh_for > 0:
            self._start("start")

    async def close(self) -> None:
        """Give up the login that is under way."""
        if self._login is not None:
            self._login.cancel()
            await asyncio.gather(self._login, return_exceptions=True)

    # ---- what can be told

    def unready(self) -> str | None:
        """Why calls could not get a token now; None when they can, or may."""
        now = self._clock()
        if usable(self._token, now) or not self._gate.blocked(now) or self._secret.changed():
            return None
        setback = self._gate.setback
        message = setback.fault.message if setback is not None else ""
        return f"logins are blocked for {self._gate.until - now:.0f}s more. {message}"

    def state(self) -> dict[str, str | None]:
        """`state` is valid, renewing, waiting, blocked or none; `last_error` of the logins since one went well."""
        now = self._clock()
        if usable(self._token, now):
            state = "renewing" if self._login is not None else "valid"
        elif self._login is not None:
            state = "waiting"
        else:
            state = "blocked" if self._gate.blocked(now) else "none"
        setback = self._gate.setback
        return {"state": state, "last_error": None if setback is None else in_words(setback.fault)}

    def status(self) -> dict[str, Any]:
        """`state` as in state(); times are wall-clock seconds or None."""
        now = self._clock()
        grant = self._grant if usable(self._token, now) else None
        return {
            "state": self.state()["state"],
            "obtained": None if grant is None else grant.obtained,
            "expires": None if grant is None else grant.expires,
            "blocked_until": self._on_wall(self._gate.until, now) if self._gate.blocked(now) else None,
        }
