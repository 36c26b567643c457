"""When the secret key ends, asked by one of many sidecars that share a token, and told to the others by the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from biot_sidecar.auth.redis_store import StoreUnavailable
from biot_sidecar.auth.secret_key_life import DAY_SECONDS, KeyLife, Look, Unknown
from biot_sidecar.auth.token_cipher import StoredValue

CLAIM_SECONDS: Final = DAY_SECONDS - 600.0
"""For how long one sidecar has asked for all: less than a day, so that the next one is not a step too early."""
_ASKING: Final = b"asking"
_NOT_TOLD: Final = b"not told"


class Store(Protocol):
    """What of auth.redis_store.TokenStore is used; every method raises StoreUnavailable."""

    async def get(self, *keys: str) -> list[StoredValue | None]: ...
    async def put(self, key: str, value: bytes, ttl: float) -> None: ...
    async def acquire_lock(self, key: str, owner: bytes, ttl: float) -> bool: ...
    async def close(self) -> None: ...


class FleetKeyLife:
    """A Look for sidecars that share a token: the first of a day asks, the others read its answer under `key`.

    What the store says is not trusted beyond a warning: it holds a moment and a number, no secret.
    """

    def __init__(self, look: Look, has_token: Callable[[], bool], store: Store, key: str) -> None:
        self._look = look
        self._has_token = has_token
        self._store = store
        self._key = key

    async def __call__(self, *, anew: bool = False) -> KeyLife | Unknown | None:
        if not self._has_token():
            return None
        try:
            if not anew and not await self._store.acquire_lock(self._key, _ASKING, CLAIM_SECONDS):
                return _stored_answer(*await self._store.get(self._key))
        except StoreUnavailable:
            return await self._look()  # this sidecar goes on alone
        finally:
            await self._store.close()
        result = await self._look()
        try:
            answer = msgspec.json.encode(result) if isinstance(result, KeyLife) else _NOT_TOLD
            await self._store.put(self._key, answer, CLAIM_SECONDS)
        except StoreUnavailable:
            pass
        finally:
            await self._store.close()
        return result


def _stored_answer(stored: StoredValue | None) -> KeyLife | Unknown | None:
    """What another sidecar was told; None while it is asking."""
    if stored is None or stored.value == _ASKING:
        return None
    try:
        life = msgspec.json.decode(stored.value, type=KeyLife)
    except msgspec.MsgspecError:
        return Unknown("another sidecar has asked today, and was not told")
    return life if life.keys > 0 else None
