"""One token for several workers: the parent logs in, once, for whichever of them asks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from biot_sidecar.auth.login_response import (
    OPEN_GATE,
    IssuedToken,
    LoginFailure,
    TokenRequest,
    after_new_secret,
    after_setback,
    unreadable_secret,
)
from biot_sidecar.auth.secret_source import UnreadableSecret
from biot_sidecar.auth.token_cipher import suits
from biot_sidecar.auth.tokens import HISTORY, TokenProvider, TokenRecord
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.process.worker_channel import ChannelClosed, WorkerChannel
from biot_sidecar.settings.secret import Secret


class TokenBroker:
    """The parent's side. It holds the last token and gives it to every worker that it is good enough for.

    `clock` is an elapsed clock (policy.elapsed); `wall` tells seconds since the epoch, for people.
    """

    def __init__(
        self,
        obtain: TokenProvider,
        secret: Callable[[], Secret],
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._obtain = obtain
        self._secret = secret
        self._wall = wall
        self._clock = clock
        self._taken = 0.0  # when the grant's age was what it says
        self._jitter = jitter
        self._grant: IssuedToken | None = None
        self._gate = OPEN_GATE
        self._gate_secret: Secret | None = None
        self._login: asyncio.Task[IssuedToken | LoginFailure] | None = None
        self._history: deque[TokenRecord] = deque(maxlen=HISTORY)

    async def answer(self, content: Any) -> Any:
        """The handler of the channel's `token` calls."""
        result = await self.get(msgspec.convert(content, TokenRequest))
        if isinstance(result, IssuedToken):
            return {"grant": msgspec.to_builtins(result)}
        fault = result.fault
        words = [fault.code.value, fault.message, fault.outcome, fault.hint]
        return {"fault": words, "blocks": result.blocks, "asked": max(0.0, self._gate.until - self._clock())}

    async def get(self, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        grant = self._aged()
        if grant is not None and suits(grant, wanted):
            return grant
        try:
            secret = self._secret()
        except UnreadableSecret as error:
            return unreadable_secret(str(error))
        setback = self._gate.setback
        another = self._gate.about_secret and secret != self._gate_secret
        if setback is not None and self._gate.closed(self._clock()) and not another:
            return setback
        if self._login is not None:
            result = await asyncio.shield(self._login)
            # It began for another worker, who may content itself with what this one had refused.
            good = isinstance(result, LoginFailure) or suits(result, wanted)
            return result if good else await self.get(wanted)
        self._login = asyncio.ensure_future(self._log_in(secret, wanted))
        return await asyncio.shield(self._login)

    def _aged(self) -> IssuedToken | None:
        """The last token, with the age that it has now."""
        grant = self._grant
        if grant is None:
            return None
        return msgspec.structs.replace(grant, age=grant.age + self._clock() - self._taken)

    async def _log_in(self, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        at, began = self._wall(), self._clock()
        try:
            result = await self._obtain(secret, wanted)
        finally:
            self._login = None
        now = self._clock()
        record = TokenRecord(at, wanted.reason, "", now - began)
        if isinstance(result, IssuedToken):
            self._grant, self._gate, self._taken = result, OPEN_GATE, now
            record.outcome = "shared" if result.shared else "success"
            record.obtained = result.obtained
        else:
            gate = self._gate if secret == self._gate_secret else after_new_secret(self._gate)
            self._gate = after_setback(gate, result, now, self._jitter())
            self._gate_secret = secret
            record.outcome = result.fault.outcome
        self._history.append(record)
        return result

    def logins(self, counted: Iterable[TokenRecord]) -> list[TokenRecord]:
        """The latest tokens and failed logins, with the calls that the workers have `counted`."""
        calls: dict[float, int] = {}
        for record in counted:
            calls[record.obtained] = calls.get(record.obtained, 0) + record.calls
        return [
            msgspec.structs.replace(record, calls=calls.get(record.obtained, 0) if record.obtained else 0)
            for record in self._history
        ]

    async def close(self) -> None:
        """Give up the login that is under way."""
        if self._login is not None:
            self._login.cancel()
            await asyncio.gather(self._login, return_exceptions=True)


class TokenBrokerClient:
    """A worker's side: asks the parent instead of BioT."""

    def __init__(self, channel: WorkerChannel) -> None:
        self._channel = channel

    async def __call__(self, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        try:
            answer = await self._channel.request("token", msgspec.to_builtins(wanted))
        except ChannelClosed:
            words = [Code.LOGIN_UNAVAILABLE.value, "The sidecar's parent process has gone.", "network", ""]
            answer = {"fault": words, "blocks": False, "asked": 0.0}
        if "grant" in answer:
            return msgspec.convert(answer["grant"], IssuedToken)
        code, message, outcome, hint = answer["fault"]
        fault = LoginError(Code(code), message, outcome=outcome, hint=hint)
        return LoginFailure(fault, blocks=answer["blocks"], asked=answer["asked"])
