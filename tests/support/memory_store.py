"""A token store in memory, which may be away, full or lying."""

from __future__ import annotations

from collections.abc import Callable

from biot_sidecar.auth.redis_store import StoreUnavailable
from biot_sidecar.auth.token_cipher import StoredValue


class MemoryStore:
    """What a store does, in memory; `away`, `full` and `lies` are what may be wrong with it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.values: dict[str, tuple[bytes, float]] = {}
        self.away = False
        self.full = False
        self.lie: bytes | None = None
        self.closed = 0

    def _live(self, key: str) -> bytes | None:
        value, until = self.values.get(key, (None, 0.0))
        return value if self._clock() < until else None

    def _stored(self, key: str) -> StoredValue | None:
        value = self._live(key)
        if self.lie is not None:
            return StoredValue(self.lie, 1.0)
        return None if value is None else StoredValue(value, self.values[key][1] - self._clock())

    def _check(self, *, writes: bool = False) -> None:
        if self.away or (writes and self.full):
            raise StoreUnavailable

    async def get(self, *keys: str) -> list[StoredValue | None]:
        self._check()
        return [self._stored(key) for key in keys]

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        self._check(writes=True)
        self.values[key] = (value, self._clock() + ttl)

    async def acquire_lock(self, key: str, owner: bytes, ttl: float) -> bool:
        self._check(writes=True)
        if self._live(key) is not None:
            return False
        self.values[key] = (owner, self._clock() + ttl)
        return True

    async def delete_if(self, key: str, value: bytes) -> None:
        self._check()
        if self._live(key) == value:
            del self.values[key]

    async def delete(self, key: str) -> None:
        self._check()
        self.values.pop(key, None)

    async def close(self) -> None:
        self.closed += 1
