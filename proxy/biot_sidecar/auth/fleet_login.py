"""One login for many sidecars: take the token that another one stored, or log in for all; alone if the store fails."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from biot_sidecar.auth.freshness import satisfies
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.redis_store import StoreUnavailable
from biot_sidecar.auth.token import bearer
from biot_sidecar.auth.token_cipher import NONCE_BYTES, StoredValue, TokenCipher, backoff_ttl, token_ttl
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.settings.secret import Secret

LOCK_SECONDS: Final = 15.0
"""After this the lock of a sidecar that died goes away; longer than a login can take."""
PATIENCE_SECONDS: Final = 25.0
"""For how long a sidecar waits for the login of another: for one that died, and for the next one's."""
FIRST_POLL_SECONDS: Final = 0.05
LONGEST_POLL_SECONDS: Final = 0.4


class Store(Protocol):
    """What of TokenStore is used; every method raises StoreUnavailable."""

    async def get(self, *keys: str) -> list[StoredValue | None]: ...

    async def put(self, key: str, value: bytes, ttl: float) -> None: ...

    async def acquire_lock(self, key: str, owner: bytes, ttl: float) -> bool: ...

    async def delete_if(self, key: str, value: bytes) -> None: ...

    async def delete(self, key: str) -> None: ...

    async def close(self) -> None: ...


class FleetLogin:
    """Obtains tokens through `login` for all sidecars with the same secret, user and base URL.

    `wall` tells seconds since the epoch, `clock` those that have passed (elapsed_clock); `jitter` gives numbers in
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

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        """One token or one failure, of this sidecar's login or of another's."""
        try:
            return await self._obtain(TokenCipher(secret, self._user_id, self._base_url), secret, request)
        finally:
            await self._store.close()  # logins are rare: until the next one no connection rests

    async def _obtain(self, cipher: TokenCipher, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        owner = self._random_bytes(16)
        began = self._clock()
        pause = FIRST_POLL_SECONDS
        with contextlib.suppress(StoreUnavailable):
            while self._clock() < began + PATIENCE_SECONDS:
                if (found := await self._look_up(cipher, request, began)) is not None:
                    return found
                if not request.shareable:
                    break
                if await self._store.acquire_lock(cipher.lock, owner, LOCK_SECONDS):
                    return await self._log_in_for_all(cipher, owner, secret, request, began)
                await self._sleep(pause * (1 + self._jitter()))
                pause = min(LONGEST_POLL_SECONDS, pause * 2)
        return await self._log_in(cipher, secret, request)

    async def _look_up(
        self, cipher: TokenCipher, request: TokenRequest, began: float
    ) -> IssuedToken | LoginFailure | None:
        """What the others have got: a token that will do for a request made at `began`, or a failure of all."""
        sealed_token, sealed_backoff = await self._store.get(cipher.token, cipher.backoff)
        now = self._clock()
        issued = cipher.open_token(sealed_token, self._wall())
        if issued is not None and satisfies(issued, request.after(now - began)):
            return issued
        rejected = request.last if request.reason == "token_not_valid" else None
        if issued is not None and sealed_token is not None and bearer(issued.jwt) == rejected:
            await self._store.delete_if(cipher.token, sealed_token.value)
        return cipher.open_backoff(sealed_backoff, now).failure_to_follow(now)

    async def _log_in_for_all(
        self, cipher: TokenCipher, owner: bytes, secret: Secret, request: TokenRequest, began: float
    ) -> IssuedToken | LoginFailure:
        try:
            # Whoever held the lock before may have ended between our look and our lock.
            with contextlib.suppress(StoreUnavailable):
                if (found := await self._look_up(cipher, request, began)) is not None:
                    return found
            return await self._log_in(cipher, secret, request)
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self._store.delete_if(cipher.lock, owner)

    async def _log_in(self, cipher: TokenCipher, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        result = await self._login.obtain(secret, request)
        with contextlib.suppress(StoreUnavailable):  # the result counts, stored or not
            if isinstance(result, LoginFailure):
                return await self._share_failure(cipher, result)
            await self._store.put(cipher.token, cipher.seal_token(result, self._nonce()), token_ttl(result))
            await self._store.delete(cipher.backoff)
        return result

    async def _share_failure(self, cipher: TokenCipher, failure: LoginFailure) -> LoginFailure:
        """The failure; where BioT rejects the user the fleet's pause is the least: a store may have forgotten."""
        (sealed,) = await self._store.get(cipher.backoff)
        now = self._clock()
        backoff = cipher.open_backoff(sealed, now).after_failure_in_fleet(failure, now, self._jitter())
        await self._store.put(
            cipher.backoff, cipher.seal_backoff(backoff, now, self._nonce()), backoff_ttl(backoff, now)
        )
        if not failure.blocks:
            return failure
        return msgspec.structs.replace(failure, retry_after=max(failure.retry_after, backoff.until - now))

    def _nonce(self) -> bytes:
        return self._random_bytes(NONCE_BYTES)
