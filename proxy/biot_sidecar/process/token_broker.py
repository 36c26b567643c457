"""One token for several workers: the supervisor logs in for whichever of them asks, and owns the back-off of all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from biot_sidecar.auth.freshness import least_left, satisfies
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, parent_gone
from biot_sidecar.auth.secret_source import ReadableSecret, SecretSource, UnreadableSecret
from biot_sidecar.auth.single_flight_login import LoginRecord, LoginResult, SingleFlightLogin
from biot_sidecar.auth.token import bearer
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.http.interfaces import LoginObserver
from biot_sidecar.process.worker_channel import ChannelClosed, WorkerChannel
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret


class TokenBroker:
    """The supervisor's side. It holds the last token and gives it to every worker that it is good enough for.

    `clock` is an elapsed clock (elapsed_clock); `wall` tells seconds since the epoch, for people.
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
    ) -> None:
        self._clock = clock
        self._issued: IssuedToken | None = None
        self._issued_at = 0.0  # when the token's age was what it says
        self._login = SingleFlightLogin(
            provider, secret, wall=wall, clock=clock, jitter=jitter, observer=observer, ended=self._login_ended
        )

    async def answer(self, content: Any) -> Any:
        """The handler of the channel's `token` requests."""
        result = await self.obtain(msgspec.convert(content, TokenRequest))
        if isinstance(result, IssuedToken):
            return {"token": msgspec.to_builtins(result)}
        # The back-off is ours: the worker follows it.
        pause = max(0.0, self._login.backoff.until - self._clock())
        return {"failure": msgspec.to_builtins(msgspec.structs.replace(result, pause=pause))}

    async def obtain(self, request: TokenRequest) -> LoginResult:
        """The token that is there if it will do, the failure that is in force, or what a login gives."""
        began, asked = self._clock(), request
        while True:
            request = asked.after(self._clock() - began)
            issued = self._aged()
            if issued is not None and satisfies(issued, request):
                return issued
            login = self._login.under_way
            if login is None:
                if (failure := self._login.failure_in_force()) is not None:
                    return failure
                return await asyncio.shield(self._login.start(request))
            result = await asyncio.shield(login)
            # It began for another worker, who may content itself with what this one's token was rejected for.
            if isinstance(result, LoginFailure) or satisfies(result, asked.after(self._clock() - began)):
                return result

    @property
    def logged_in(self) -> asyncio.Event:
        """Set once a login has succeeded."""
        return self._login.succeeded

    def in_hand(self) -> bytes | None:
        """The Authorization value that may be sent now."""
        issued = self._aged()
        return bearer(issued.jwt) if issued is not None and issued.age < issued.life - least_left(issued.life) else None

    def _aged(self) -> IssuedToken | None:
        """The last token, with the age that it has now."""
        issued = self._issued
        if issued is None:
            return None
        return msgspec.structs.replace(issued, age=issued.age + self._clock() - self._issued_at)

    def _login_ended(self, result: LoginResult) -> None:
        if isinstance(result, IssuedToken):
            self._issued, self._issued_at = result, self._clock()

    def logins(self, counted: Iterable[LoginRecord]) -> list[LoginRecord]:
        """The latest tokens and failed logins, with the calls that the workers have `counted`."""
        calls: dict[float, int] = {}
        for record in counted:
            calls[record.obtained] = calls.get(record.obtained, 0) + record.calls
        return [
            msgspec.structs.replace(record, calls=calls.get(record.obtained, 0) if record.obtained else 0)
            for record in self._login.history
        ]

    async def close(self) -> None:
        """Give up the login that is under way."""
        await self._login.close()


class WorkerSecret(ReadableSecret):
    """The secret as a worker sees it: its parent reads it for all, and says so if it cannot."""

    def __init__(self, source: ReadableSecret) -> None:
        self._source = source

    @property
    def remedy(self) -> str:
        return self._source.remedy

    def read(self) -> Secret:
        """An empty one if it cannot be read: the parent is asked all the same."""
        with contextlib.suppress(UnreadableSecret):
            read = self._source.read()
            return read if isinstance(read, Secret) else Secret("")
        return Secret("")

    def changed(self) -> bool:
        """True when there may be reason to ask the parent again, though it said that logins are paused."""
        return self._source.changed()

    def recovered(self) -> bool:
        return self._source.recovered()


def make_worker_secret(settings: Settings) -> ReadableSecret:
    """The secret as a worker needs it, whose supervisor logs in."""
    if settings.secret_command is None:
        return WorkerSecret(SecretSource(settings))
    from biot_sidecar.auth.secret_command import SupervisedSecretCommand  # for those who have a command only

    return SupervisedSecretCommand()


class TokenBrokerClient:
    """A worker's side: asks the supervisor instead of BioT."""

    def __init__(self, channel: WorkerChannel) -> None:
        self._channel = channel

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        """What the supervisor's broker gives; the supervisor reads the secret itself."""
        try:
            answer = await self._channel.request("token", msgspec.to_builtins(request))
        except ChannelClosed:
            return parent_gone()
        if "token" in answer:
            return msgspec.convert(answer["token"], IssuedToken)
        return msgspec.convert(answer["failure"], LoginFailure)
