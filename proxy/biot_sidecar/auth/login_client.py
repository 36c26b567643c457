"""One login at BioT, over the same connections as every other request (BioT API, POST /ums/v2/services/accessToken)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from biot_sidecar.auth.login_response import (
    IssuedToken,
    LoginFailure,
    TokenRequest,
    in_words,
    login_body,
    read_answer,
    read_fault,
)
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.interfaces import Fetch, LoginObserver
from biot_sidecar.routing.local_paths import LOGIN_PATH
from biot_sidecar.settings.secret import Secret

TIMEOUT: Final = 10.0
ANSWER_LIMIT: Final = 64 * 1024
SUSPENDED: Final = 5.0
"""Seconds that a login cannot take beyond its timeout, unless the process stood still."""


class Login:
    """Logs the service user in; tells the observer of each login that BioT was asked for.

    `wall` tells seconds since the epoch, `clock` those that have passed (policy.elapsed).
    """

    def __init__(
        self,
        fetch: Fetch,
        user_id: str,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        observer: LoginObserver,
    ) -> None:
        self._fetch = fetch
        self._user_id = user_id
        self._wall = wall
        self._clock = clock
        self._observer = observer

    async def __call__(self, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        """One outcome; failures are values here, so that no traceback ever holds the secret."""
        began = self._clock()
        result = await self._once(secret, wanted)
        # A process that was suspended meanwhile wakes up to a connection long dead: no news of BioT.
        if _got_no_answer(result) and self._clock() - began > TIMEOUT + SUSPENDED:
            result = await self._once(secret, wanted)
        return result

    async def _once(self, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        began = self._clock()
        result = await self._ask(secret)
        seconds = self._clock() - began
        if isinstance(result, IssuedToken):
            self._observer.login_finished("success", wanted.reason, seconds)
        else:
            self._observer.login_finished(result.fault.outcome, wanted.reason, seconds, in_words(result.fault))
        return result

    async def _ask(self, secret: Secret) -> IssuedToken | LoginFailure:
        try:
            answer = await self._fetch(
                b"POST",
                LOGIN_PATH.encode(),
                [(b"Content-Type", b"application/json")],
                login_body(self._user_id, secret.reveal()),
                timeout=TIMEOUT,
                limit=ANSWER_LIMIT,
                repeatable=True,
            )
        except UpstreamError as fault:
            return read_fault(fault)
        return read_answer(answer, self._wall())


def _got_no_answer(result: IssuedToken | LoginFailure) -> bool:
    return isinstance(result, LoginFailure) and result.fault.outcome in {"timeout", "network"}
