"""One login for many sidecars: take the token that another one stored, or log in for all; alone if the store fails."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from biot_sidecar.auth.login_response import IssuedToken, LoginFailure, TokenRequest
from biot_sidecar.auth.redis_store import StoreUnavailable
from biot_sidecar.auth.token_cipher import (
    NONCE,
    Box,
    Stored,
    after_shared_setback,
    gate_keeping,
    keeping,
    shared_setback,
    suits,
)
from biot_sidecar.auth.tokens import TokenProvider
from biot_sidecar.settings.secret import Secret

LOCK_LIFE: Final = 15.0
"""Seconds after which the lock of a sidecar that died goes away; longer than a login can take."""
PATIENCE: Final = 25.0
"""Seconds for which a sidecar waits for the login of another: for one that died, and for the next one's."""
FIRST_LOOK: Final = 0.05
LONGEST_LOOK: Final = 0.4


class Store(Protocol):
    """What of TokenStore is used; every method raises StoreAway."""

    async def get(self, *keys: str) -> list[Stored | None]: ...

    async def put(self, key: str, value: bytes, life: float) -> None: ...

    async def claim(self, key: str, owner: bytes, life: float) -> bool: ...

    async def drop(self, key: str, value: bytes) -> None: ...

    async def forget(self, key: str) -> None: ...

    async def close(self) -> None: ...


class SharedLogin:
    """Obtains tokens as Login does, and through `login`, for all sidecars with the same secret, user and base URL.

    `wall` tells seconds since the epoch, `clock` those that have passed (policy.elapsed); `jitter` gives numbers in
    [0, 1).
    """

    def __init__(
        self,
        login: TokenProvider,
        store: Store,
        *,
        user_id: str,
        base_url: str,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._login = login
        self._store = store
        self._user_id = user_id
        self._base_url = base_url
        self._wall = wall
        self._clock = clock
        self._jitter = jitter
        self._random_bytes = random_bytes
        self._sleep = sleep

    async def __call__(self, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        """One token or one failure, of this sidecar's login or of another's."""
        try:
            return await self._obtain(Box(secret, self._user_id, self._base_url), secret, wanted)
        finally:
            await self._store.close()  # logins are rare: until the next one no connection rests

    async def _obtain(self, box: Box, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        owner = self._random_bytes(16)
        deadline = self._clock() + PATIENCE
        pause = FIRST_LOOK
        with contextlib.suppress(StoreUnavailable):
            while self._clock() < deadline:
                if (found := await self._look(box, wanted)) is not None:
                    return found
                if not wanted.shareable:
                    break
                if await self._store.claim(box.lock, owner, LOCK_LIFE):
                    return await self._log_in_for_all(box, owner, secret, wanted)
                await self._sleep(pause * (1 + self._jitter()))
                pause = min(LONGEST_LOOK, pause * 2)
        return await self._log_in(box, secret, wanted)

    async def _look(self, box: Box, wanted: TokenRequest) -> IssuedToken | LoginFailure | None:
        """What the others have got: a token that will do, or a failure that holds for all."""
        sealed, closed = await self._store.get(box.token, box.gate)
        now = self._clock()
        grant = box.open_grant(sealed, self._wall())
        if grant is not None and suits(grant, wanted):
            return grant
        refused = wanted.last if wanted.reason == "token_not_valid" else None
        if grant is not None and sealed is not None and b"Bearer " + grant.jwt.encode() == refused:
            await self._store.drop(box.token, sealed.value)
        return shared_setback(box.open_gate(closed, now), now)

    async def _log_in_for_all(
        self, box: Box, owner: bytes, secret: Secret, wanted: TokenRequest
    ) -> IssuedToken | LoginFailure:
        try:
            # Whoever held the lock before may have ended between our look and our claim.
            with contextlib.suppress(StoreUnavailable):
                if (found := await self._look(box, wanted)) is not None:
                    return found
            return await self._log_in(box, secret, wanted)
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self._store.drop(box.lock, owner)

    async def _log_in(self, box: Box, secret: Secret, wanted: TokenRequest) -> IssuedToken | LoginFailure:
        result = await self._login(secret, wanted)
        with contextlib.suppress(StoreUnavailable):  # the result counts, stored or not
            await self._tell(box, result)
        return result

    async def _tell(self, box: Box, result: IssuedToken | LoginFailure) -> None:
        nonce, now = self._random_bytes(NONCE), self._clock()
        if isinstance(result, IssuedToken):
            await self._store.put(box.token, box.seal_grant(result, nonce), keeping(result))
            await self._store.forget(box.gate)
            return
        (closed,) = await self._store.get(box.gate)
        gate = after_shared_setback(box.open_gate(closed, now), result, now, self._jitter())
        await self._store.put(box.gate, box.seal_gate(gate, now, nonce), gate_keeping(gate, now))
