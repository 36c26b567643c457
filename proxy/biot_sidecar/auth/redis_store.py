"""Redis as sidecars use it to share a token: a few small commands, bounded in time; silence after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, NoReturn

from biot_sidecar.auth.token_cipher import Stored
from biot_sidecar.errors import BadSettings
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.settings.secret import Secret

LIMIT: Final = 3.0
"""Seconds that the store may cost one login: all commands together, connecting included."""
FAREWELL: Final = 0.5
PAUSE: Final = 5.0
"""Seconds in which a store that failed is not asked again, so that logins do not wait for it."""
VALUE_MOST: Final = 32 * 1024
"""Bytes of the largest value that is read; a token has at most half of that."""
_GET: Final = """
local values = {}
for i, key in ipairs(KEYS) do
  local size = redis.pcall('strlen', key)
  values[i] = false
  if type(size) == 'number' and 0 < size and size <= tonumber(ARGV[1]) then
    values[i] = {redis.call('get', key), redis.call('pttl', key)}
  end
end
return values
"""
_DROP: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

Event = Callable[[str, str, str], None]
"""Level, kind and message of something to log."""


class StoreUnavailable(Exception):
    """The store does not answer, or not sensibly."""


class TokenStore:
    """Keys with values that expire. Every method raises StoreAway; `clock` tells monotonic seconds."""

    def __init__(self, url: Secret, *, clock: Callable[[], float], event: Event, limit: float = LIMIT) -> None:
        self._client = _connect(url)
        self._limit = limit
        self._clock = clock
        self._event = event
        self._silent_until = 0.0
        self._left = limit
        self._away = False

    async def get(self, *keys: str) -> list[Stored | None]:
        """The keys' values, None for those that do not exist or cannot be ours."""
        answer = await self._ask("EVAL", _GET, len(keys), *keys, VALUE_MOST)
        if not isinstance(answer, list) or len(answer) != len(keys):
            self._fail("it answers something else")
        return [_stored(one) for one in answer]

    async def put(self, key: str, value: bytes, life: float) -> None:
        """`life` in seconds."""
        await self._ask("SET", key, value, "PX", _milliseconds(life))

    async def claim(self, key: str, owner: bytes, life: float) -> bool:
        """Take a lock that nobody holds; it ends by itself after `life` seconds."""
        if await self._ask("SET", key, owner, "PX", _milliseconds(life), "NX"):
            return True
        left = await self._ask("PTTL", key)  # -2: the lock has just ended, -1: it never will
        if not isinstance(left, int) or not -2 <= left <= _milliseconds(life) or left == -1:
            self._fail("it holds a lock that is none of ours")
        return False

    async def drop(self, key: str, value: bytes) -> None:
        """Delete the key if this is still its value."""
        await self._ask("EVAL", _DROP, 1, key, value)

    async def forget(self, key: str) -> None:
        await self._ask("DEL", key)

    async def close(self) -> None:
        """End the connection, after one login; the next command makes another."""
        self._left = self._limit
        with contextlib.suppress(Exception), timeout(FAREWELL):
            await self._client.aclose()

    async def _ask(self, *command: str | bytes | int) -> Any:
        if self._clock() < self._silent_until:
            raise StoreUnavailable
        failure = ""
        began = self._clock()
        try:
            with timeout(self._left):
                answer = await self._client.execute_command(*command)
        except Exception as error:  # a lying server can make the client raise anything
            origin = error.__context__  # the client wraps what it met
            failure = type(origin if isinstance(origin, Exception) else error).__name__
        self._left = max(0.0, self._left - (self._clock() - began))
        if failure:  # told here, so that no traceback holds the command
            self._fail(failure)
        if self._away:
            self._away = False
            self._event("info", "token_store", "the token store is back")
        return answer

    def _fail(self, reason: str) -> NoReturn:
        self._silent_until = self._clock() + PAUSE
        if not self._away:
            self._away = True
            self._event("warning", "token_store", f"the token store fails ({reason}); this sidecar logs in alone")
        raise StoreUnavailable


def _connect(url: Secret) -> Any:
    """A client that connects with its first command. Raises BadSettings."""
    # For those who share tokens only: some 150 ms to import.
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    with contextlib.suppress(ValueError):
        # RESP 2, and no word about the client: a login asks three or four times, and need not say hello before.
        return Redis.from_url(
            url.reveal(), protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0), socket_timeout=LIMIT
        )
    raise BadSettings(
        [
            "SIDECAR_TOKEN_STORE: is no address of a Redis; "
            "write redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH"
        ]
    )


def _stored(answer: Any) -> Stored | None:
    """A value with the milliseconds for which it stays; None for one that stays for ever, which none of ours does."""
    if not isinstance(answer, list) or len(answer) != 2:
        return None
    value, left = answer
    return Stored(value, left / 1000) if isinstance(value, bytes) and isinstance(left, int) and left > 0 else None


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
