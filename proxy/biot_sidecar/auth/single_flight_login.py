"""One login at a time, when the back-off allows one, shared by whoever waits; and what came of the latest ones.

Tokens logs in through it, and so does the parent of several workers (process/token_broker).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from biot_sidecar.auth.backoff import NO_BACKOFF, LoginBackoff
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, secret_unreadable
from biot_sidecar.auth.secret_source import ReadableSecret, UnreadableSecret
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.http.interfaces import LoginObserver
from biot_sidecar.settings.secret import Secret

HISTORY_LENGTH: Final = 20
LoginResult = IssuedToken | LoginFailure


class LoginRecord(msgspec.Struct):
    """One token or failed login, for the status page; `calls` counts the calls that the token served.

    `at` is when it was wanted, `obtained` when BioT gave the token, 0 if it did not; wall-clock seconds.
    `outcome` is as in `logins_total`; or `shared`, another sidecar's token.
    """

    at: float
    reason: str
    outcome: str
    seconds: float
    obtained: float = 0.0
    calls: int = 0


class SingleFlightLogin:
    """Obtains tokens from `provider`. `ended` hears each result before those who wait for it.

    `clock` is an elapsed clock (elapsed_clock); `wall` tells seconds since the epoch, for people. `backoff_changed` is
    told the back-off whenever it becomes another one, `observer` of a secret that cannot be read.
    """

    def __init__(
        self,
        provider: TokenProvider,
        secret: ReadableSecret,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        observer: LoginObserver,
        ended: Callable[[LoginResult], None],
        backoff_changed: Callable[[LoginBackoff], None] = lambda backoff: None,
    ) -> None:
        self._provider = provider
        self._secret = secret
        self._wall = wall
        self._clock = clock
        self._jitter = jitter
        self._observer = observer
        self._ended = ended
        self._backoff_changed = backoff_changed
        self.backoff = NO_BACKOFF
        self.under_way: asyncio.Task[LoginResult] | None = None
        self.succeeded = asyncio.Event()  # once a login has
        self.history: deque[LoginRecord] = deque(maxlen=HISTORY_LENGTH)

    def failure_in_force(self) -> LoginFailure | None:
        """The failure because of which no login may start now; None when one may. Another secret is another matter."""
        if self.backoff.failure is not None and self._secret.changed():
            self._set_backoff(self.backoff.after_new_secret())
        elif self.backoff.lacks_secret and self._secret.recovered():
            self._set_backoff(self.backoff.after_secret_came_back())
        return self.backoff.failure if self.backoff.paused(self._clock()) else None

    def start(self, request: TokenRequest) -> asyncio.Task[LoginResult]:
        """Log in. Whoever waits for the task shields it, so that a caller who goes away does not take it along."""
        self.under_way = asyncio.ensure_future(self._log_in(request))
        return self.under_way

    async def close(self) -> None:
        """Give up the login that is under way."""
        if self.under_way is not None:
            self.under_way.cancel()
            await asyncio.gather(self.under_way, return_exceptions=True)
        await self._secret.close()

    async def _log_in(self, request: TokenRequest) -> LoginResult:
        at, began = self._wall(), self._clock()
        try:
            result = await self._obtain(request)
            if _is_rejected(result) and self._secret.changed():
                # It was rotated while BioT was asked: those who wait need not hear of the one that is no more.
                result = await self._obtain(request)
        finally:
            self.under_way = None
        now = self._clock()
        record = LoginRecord(at, request.reason, "success", now - began)
        if isinstance(result, LoginFailure):
            record.outcome = result.outcome
            self._set_backoff(self.backoff.after_failure(result, now, self._jitter()))
        else:
            record.outcome, record.obtained = "shared" if result.shared else "success", result.obtained
            self._set_backoff(NO_BACKOFF)
            self.succeeded.set()
        self._secret.login_ended(rejected=isinstance(result, LoginFailure) and result.blocks)
        self.history.append(record)
        self._ended(result)
        return result

    async def _obtain(self, request: TokenRequest) -> LoginResult:
        try:
            read = self._secret.read()
            secret = read if isinstance(read, Secret) else await read
        except UnreadableSecret as error:
            failure = secret_unreadable(str(error), error.setting)
            self._observer.login_finished(failure.outcome, request.reason, 0.0, failure.text)
            return failure
        return await self._provider.obtain(secret, request)

    def _set_backoff(self, backoff: LoginBackoff) -> None:
        if backoff != self.backoff:
            self.backoff = backoff
            self._backoff_changed(backoff)


def _is_rejected(result: LoginResult) -> bool:
    """True where BioT says that the secret, or the user, is wrong; a locked user is locked whatever the secret."""
    return isinstance(result, LoginFailure) and result.blocks and result.outcome == "rejected"
