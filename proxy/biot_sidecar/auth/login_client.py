"""One login at BioT, over the same connections as every other request (BioT API, POST /ums/v2/services/accessToken)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, no_response
from biot_sidecar.auth.login_response import read_login_response
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.interfaces import Fetch, LoginObserver
from biot_sidecar.http.retry_after import asked_pause
from biot_sidecar.routing.local_paths import LOGIN_PATH
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import read_http_date

TIMEOUT_SECONDS: Final = 10.0
RESPONSE_LIMIT_BYTES: Final = 64 * 1024
SUSPENDED_SECONDS: Final = 5.0
"""What a login cannot take beyond its timeout, unless the process stood still."""


class LoginClient:
    """Logs the service user in; tells the observer of each login that BioT was asked for.

    `wall` tells seconds since the epoch, `clock` those that have passed (elapsed_clock).
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

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        """One login; another one at once where the process was suspended during the first."""
        began = self._clock()
        result = await self._log_in(secret, request)
        # A process that was suspended meanwhile wakes up to a connection long dead: no news of BioT.
        if _got_no_response(result) and self._clock() - began > TIMEOUT_SECONDS + SUSPENDED_SECONDS:
            result = await self._log_in(secret, request)
        return result

    async def _log_in(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        began = self._clock()
        result = await self._ask(secret)
        seconds = self._clock() - began
        if isinstance(result, IssuedToken):
            self._observer.login_finished("success", request.reason, seconds)
        else:
            self._observer.login_finished(result.outcome, request.reason, seconds, result.text)
        return result

    async def _ask(self, secret: Secret) -> IssuedToken | LoginFailure:
        try:
            response = await self._fetch(
                b"POST",
                LOGIN_PATH.encode(),
                [(b"Content-Type", b"application/json")],
                json.dumps({"id": self._user_id, "secretKey": secret.reveal()}).encode(),
                timeout=TIMEOUT_SECONDS,
                limit=RESPONSE_LIMIT_BYTES,
                repeatable=True,
            )
        except UpstreamError as error:
            return no_response(error)
        now = self._wall()
        date = next((read_http_date(value) for name, value in response.headers if name.lower() == b"date"), None)
        pause = asked_pause(response.headers, now if date is None else date)
        return read_login_response(response.status, response.body, now, date=date, retry_after=pause)


def _got_no_response(result: IssuedToken | LoginFailure) -> bool:
    return isinstance(result, LoginFailure) and result.outcome in {"timeout", "network"}
