"""The service user's token and its life: one token at a time, shared by all calls, obtained by one login at a time.

The token's states, as status() tells them:

    none      there is none, and no login is under way: the next call starts one
    waiting   there is none that may be sent, and a login is under way: calls wait for it
    valid     calls send it
    renewing  calls send it, while a login for the next one is under way
    blocked   there is none that may be sent, and BioT rejects the user: calls fail at once (auth/backoff)

A string of calls is a run of calls with no silence of SIDECAR_STRING_GAP between one's end and the next one's start. It
starts with a token no older than SIDECAR_FRESH_FOR; within it the token is reused. Freshness (auth/freshness):

    age    0 ............... 3/4 of its life ............ 10 % (at most 60 s) left ... expiry
           sent as it is     sent, renewed meanwhile      never sent: calls wait for a new one

A login comes before the next call when there is no token (reason `start`), when a new string must not start with the
old one (`string`), when BioT rejected it (`token_not_valid`), or when it is near its end (`expiring`, also in the
background). One that fails leaves the old token in use while that may be sent. A 401 drops the token, unless the route
is known for 401s that no token cures (auth/incurable_routes).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from biot_sidecar.auth.backoff import LoginBackoff
from biot_sidecar.auth.freshness import new_string, renewal_time, too_old_to_start, usable
from biot_sidecar.auth.incurable_routes import RouteKey, fingerprint
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, hint_while_blocked
from biot_sidecar.auth.secret_source import ReadableSecret
from biot_sidecar.auth.single_flight_login import LoginRecord, LoginResult, SingleFlightLogin
from biot_sidecar.auth.token import Token
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.errors import LoginError
from biot_sidecar.http import interfaces
from biot_sidecar.http.interfaces import LoginObserver, RejectionJudge

CLOCK_TOLERANCE_SECONDS: Final = 30.0
"""The offset between BioT's clock and ours above which it is warned about."""


class Tokens(interfaces.Tokens):
    """Implements http.interfaces.Tokens. `clock` is an elapsed clock (elapsed_clock), by which everything is judged;
    `wall` tells seconds since the epoch, for people. Durations are seconds.
    """

    def __init__(
        self,
        provider: TokenProvider,
        secret: ReadableSecret,
        *,
        string_gap: float,
        fresh_for: float,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        observer: LoginObserver,
        rejections: RejectionJudge,
    ) -> None:
        self._secret = secret
        self._string_gap = string_gap
        self._fresh_for = fresh_for
        self._wall = wall
        self._clock = clock
        self._jitter = jitter
        self._observer = observer
        self._rejections = rejections
        self.marked = rejections.marked
        self._issued: IssuedToken | None = None  # what the current token was made of
        self._token: Token | None = None
        self._renew_from = 0.0
        self._login_reason: str = "start"  # why a login must come before the next call; empty: it need not
        self._rejected: Token | None = None
        self._last_call_ended: float | None = None
        self._calls = 0  # under way
        self._serial = 0
        self.renewing = False
        self.clock_offset: float | None = None  # seconds by which BioT's clock is ahead of ours; None: unknown
        self._login = SingleFlightLogin(
            provider,
            secret,
            wall=wall,
            clock=clock,
            jitter=jitter,
            observer=observer,
            ended=self._login_ended,
            backoff_changed=self._backoff_changed,
        )

    # ---- a call's way

    def now(self) -> float:
        """Seconds of the clock by which tokens are judged."""
        return self._clock()

    def call_started(self) -> float:
        """A call begins: it belongs to a string of calls, or begins one after a silence of the gap's length.

        Returns now().
        """
        now = self._clock()
        if not self._calls and new_string(self._last_call_ended, now, self._string_gap):
            token = self._token
            if token is not None and too_old_to_start(token, now, self._fresh_for):
                self._login_reason = self._login_reason or "string"
        self._calls += 1
        return now

    def call_ended(self) -> None:
        """A call has ended: a silence begins here at the earliest."""
        self._calls -= 1
        self._last_call_ended = self._clock()

    def current(self, now: float) -> Token | None:
        """The token to send now, or None if this call must wait for a login."""
        token = self._token
        if token is None or self._login_reason or not usable(token, now):
            return None
        self.renewing = now >= self._renew_from
        if self.renewing and self._login.under_way is None and self._login.failure_in_force() is None:
            self._start_login("expiring")
        self._count_call()
        return token

    def has_current(self) -> bool:
        """True if a call would not have to wait for a login."""
        return not self._login_reason and usable(self._token, self._clock())

    def is_usable(self, token: Token) -> bool:
        """True while it is neither rejected nor near its end."""
        return token is not self._rejected and usable(token, self._clock())

    def age(self, token: Token) -> float:
        """Seconds since BioT gave it."""
        return self._clock() - token.obtained

    async def acquire(self) -> Token:
        """Wait for the login that is under way, or start one. Raises LoginError; cancelling it hurts nobody else."""
        while True:
            failure = None if self._login.under_way is not None else self._login.failure_in_force()
            if failure is None:
                login = self._login.under_way or self._start_login(self._login_reason or "expiring")
                result = await asyncio.shield(login)
                failure = result if isinstance(result, LoginFailure) else None
            if failure is not None and not self._keep_old_token():
                raise LoginError(failure.code, failure.message, hint=self._hint(failure))
            # Between the login's end and this caller's turn others may have had the token rejected, or time passed.
            token = self._token
            if token is not None and self.is_usable(token):
                self._count_call()
                return token

    async def rejected(self, token: Token, route: RouteKey, *, replayed: bool, replayable: bool) -> bool:
        """BioT rejected this token on this route; True: send the call again with another."""
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
        """Send this token no more, if it is still the current one: a login comes before the next call."""
        if self._token is token:
            self._token = None
            self._login_reason = "token_not_valid"
            self._rejected = token

    def _hint(self, failure: LoginFailure) -> str:
        now = self._clock()
        if not self._login.backoff.blocked(now):
            return failure.hint
        return hint_while_blocked(failure.hint, self._on_wall(self._login.backoff.until, now), self._secret.remedy)

    def _count_call(self) -> None:
        self._login.history[-1].calls += 1  # the token is a login's, and that stands there before it

    def _keep_old_token(self) -> bool:
        """After a login that failed: True if the old token may still be sent. It serves this string then."""
        if not usable(self._token, self._clock()):
            return False
        self._login_reason = ""
        self.renewing = True
        return True

    # ---- logging in

    def _start_login(self, reason: str) -> asyncio.Task[LoginResult]:
        return self._login.start(self._request(reason))

    def _request(self, reason: str) -> TokenRequest:
        """What others share must be younger than what this process has, and young enough for a string's start."""
        last = self._token or self._rejected
        begins = reason in {"start", "string"}
        return TokenRequest(
            reason,
            min(math.inf if last is None else self.age(last), self._fresh_for if begins else math.inf),
            None if last is None else last.authorization,
            shareable=self._fresh_for > 0 or not begins,
        )

    def _login_ended(self, result: LoginResult) -> None:
        if isinstance(result, IssuedToken):
            self._take(result)

    def _take(self, issued: IssuedToken) -> None:
        self._serial += 1
        obtained = self._clock() - issued.age
        token = self._token = Token(issued.jwt, obtained, obtained + issued.life, self._serial)
        self._issued = issued
        self._renew_from = renewal_time(token, self._jitter())
        self._login_reason = ""
        self._rejected = None
        self._observer.token_obtained(issued.expires)
        if issued.date is not None:
            self._compare_clocks(issued.date + issued.age - self._wall())

    def _compare_clocks(self, offset: float) -> None:
        if abs(offset) > CLOCK_TOLERANCE_SECONDS >= abs(self.clock_offset or 0.0):
            self._observer.event(
                "warning",
                "clock",
                f"this machine's clock is {abs(offset):.0f}s {'behind' if offset > 0 else 'ahead of'} BioT's; "
                "tokens are judged by BioT's, but the times that are shown are this machine's",
            )
        self.clock_offset = offset
        self._observer.clock_compared(offset)

    def _backoff_changed(self, backoff: LoginBackoff) -> None:
        now = self._clock()
        self._observer.blocked_until(self._on_wall(backoff.until, now) if backoff.blocked(now) else 0.0)

    def _on_wall(self, moment: float, now: float) -> float:
        """A moment of the elapsed clock, which says `now`, in wall-clock seconds."""
        return self._wall() + moment - now

    # ---- the program's life

    def start(self) -> None:
        """Log in at once, so that the first call need not wait; vain if every string has a login of its own."""
        if self._login.under_way is None and self._fresh_for > 0:
            self._start_login("start")

    async def close(self) -> None:
        """Give up the login that is under way."""
        await self._login.close()

    # ---- what can be told

    @property
    def logged_in(self) -> asyncio.Event:
        """Set once a login has succeeded."""
        return self._login.succeeded

    def in_hand(self) -> bytes | None:
        """The Authorization value that may be sent now, for what is no call: it counts nowhere and renews nothing."""
        token = self._token
        return token.authorization if token is not None and usable(token, self._clock()) else None

    @property
    def history(self) -> deque[LoginRecord]:
        """The latest tokens and failed logins, the oldest first."""
        return self._login.history

    def unready(self) -> str | None:
        """Why calls could not get a token now; None when they can, or may."""
        now, backoff = self._clock(), self._login.backoff
        if usable(self._token, now) or not backoff.blocked(now) or self._secret.changed():
            return None
        message = backoff.failure.message if backoff.failure is not None else ""
        return f"logins are blocked for {backoff.until - now:.0f}s more. {message}"

    def state(self) -> dict[str, str | None]:
        """`state` as at the head of this module; `last_error` of the logins since one succeeded."""
        now, backoff = self._clock(), self._login.backoff
        if usable(self._token, now):
            state = "renewing" if self._login.under_way is not None else "valid"
        elif self._login.under_way is not None:
            state = "waiting"
        else:
            state = "blocked" if backoff.blocked(now) else "none"
        return {"state": state, "last_error": None if backoff.failure is None else backoff.failure.text}

    def status(self) -> dict[str, Any]:
        """`state` as in state(); times are wall-clock seconds or None, `clock_offset` is BioT's clock less ours."""
        now, backoff = self._clock(), self._login.backoff
        issued = self._issued if usable(self._token, now) else None
        return {
            "state": self.state()["state"],
            "obtained": None if issued is None else issued.obtained,
            "expires": None if issued is None else issued.expires,
            "clock_offset": self.clock_offset,
            "blocked_until": self._on_wall(backoff.until, now) if backoff.blocked(now) else None,
        }
