"""Redis as a fleet uses it to share a token: a few small commands, bounded in time; none soon after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, NoReturn

from biot_sidecar.auth.token_cipher import StoredValue
from biot_sidecar.errors import BadSettings
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.settings.secret import Secret

LIMIT_SECONDS: Final = 3.0
"""What the store may cost one login: all commands together, connecting included. Time in which nothing is asked of it
gives back as much: who looks again and again for the token that another gets waits for that login, not for Redis."""
CLOSE_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 5.0
"""For how long a store that failed is not asked again, so that logins do not wait for it."""
VALUE_LIMIT_BYTES: Final = 32 * 1024
"""The largest value that is read; a token has at most half of that."""
_GET_WITH_TTL: Final = """
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
_DELETE_IF: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

Event = Callable[[str, str, str], None]
"""Level, kind and message of something to log."""


class StoreUnavailable(Exception):
    """The store does not reply, or not sensibly."""


class TokenStore:
    """Keys with values that expire. Every method raises StoreUnavailable; `clock` tells monotonic seconds."""

    def __init__(self, url: Secret, *, clock: Callable[[], float], event: Event, limit: float = LIMIT_SECONDS) -> None:
        self._client = _connect(url, Resolver(clock))
        self._limit = limit
        self._clock = clock
        self._event = event
        self._paused_until = 0.0
        self._time_left = limit
        self._last_reply = 0.0
        self._away = False

    async def get(self, *keys: str) -> list[StoredValue | None]:
        """The keys' values, None for those that do not exist or cannot be ours."""
        reply = await self._ask("EVAL", _GET_WITH_TTL, len(keys), *keys, VALUE_LIMIT_BYTES)
        if not isinstance(reply, list) or len(reply) != len(keys):
            self._fail("it replys something else")
        return [_stored(one) for one in reply]

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """`ttl` in seconds."""
        await self._ask("SET", key, value, "PX", _milliseconds(ttl))

    async def acquire_lock(self, key: str, owner: bytes, ttl: float) -> bool:
        """Take a lock that nobody holds; it ends by itself after `ttl` seconds."""
        if await self._ask("SET", key, owner, "PX", _milliseconds(ttl), "NX"):
            return True
        left = await self._ask("PTTL", key)  # -2: the lock has just ended, -1: it never will
        if not isinstance(left, int) or not -2 <= left <= _milliseconds(ttl) or left == -1:
            self._fail("it holds a lock that is none of ours")
        return False

    async def delete_if(self, key: str, value: bytes) -> None:
        """Delete the key if this is still its value."""
        await self._ask("EVAL", _DELETE_IF, 1, key, value)

    async def delete(self, key: str) -> None:
        await self._ask("DEL", key)

    async def close(self) -> None:
        """End the connection, after one login; the next command makes another."""
        self._time_left = self._limit
        with contextlib.suppress(Exception), timeout(CLOSE_SECONDS):
            await self._client.aclose()

    async def _ask(self, *command: str | bytes | int) -> Any:
        if self._clock() < self._paused_until:
            raise StoreUnavailable
        failure = ""
        began = self._clock()
        self._time_left = min(self._limit, self._time_left + began - self._last_reply)
        try:
            with timeout(self._time_left):
                reply = await self._client.execute_command(*command)
        except Exception as error:  # a lying server can make the client raise anything
            origin = error.__context__  # the client wraps what it met
            failure = type(origin if isinstance(origin, Exception) else error).__name__
        self._last_reply = self._clock()
        self._time_left = max(0.0, self._time_left - (self._last_reply - began))
        if failure:  # told here, so that no traceback holds the command
            self._fail(failure)
        if self._away:
            self._away = False
            self._event("info", "token_store", "the token store is back")
        return reply

    def _fail(self, reason: str) -> NoReturn:
        self._paused_until = self._clock() + PAUSE_SECONDS
        if not self._away:
            self._away = True
            self._event("warning", "token_store", f"the token store fails ({reason}); this sidecar logs in alone")
        raise StoreUnavailable


def _connect(url: Secret, resolver: Resolver) -> Any:
    """A client that connects with its first command. Raises BadSettings."""
    # For those who share tokens only: some 150 ms to import.
    from redis.asyncio import Connection, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    with contextlib.suppress(ValueError):
        # RESP 2, and no word about the client: a login asks three or four times, and need not say hello before.
        client = Redis.from_url(
            url.reveal(), protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0), socket_timeout=LIMIT_SECONDS
        )
        pool = client.connection_pool
        if issubclass(pool.connection_class, Connection):  # a unix socket needs no look-up
            pool.connection_class = _looked_up(pool.connection_class, resolver)
        return client
    raise BadSettings(
        [
            "SIDECAR_TOKEN_STORE: is no address of a Redis; "
            "write redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH"
        ]
    )


def _looked_up(connection_class: Any, resolver: Resolver) -> Any:
    """The client's TCP or TLS connection, whose name the resolver looks up: the loop's look-up may end the process."""

    async def connect(self: Any) -> None:
        failure: Exception | None = None
        for address in await resolver.addresses(self.host, self.port):
            self.dialled = address
            try:
                await connection_class._connect(self)
            except OSError as error:
                failure = failure or error
            else:
                return
        resolver.forget()
        raise failure or OSError("no address")

    def arguments(self: Any) -> dict[str, Any]:
        given = {**connection_class._connection_arguments(self), "host": self.dialled}
        return {**given, "server_hostname": self.host} if "ssl" in given else given

    return type("LookedUp", (connection_class,), {"_connect": connect, "_connection_arguments": arguments})


def _stored(reply: Any) -> StoredValue | None:
    """A value with the milliseconds for which it stays; None for one that stays for ever, which none of ours does."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    value, left = reply
    return StoredValue(value, left / 1000) if isinstance(value, bytes) and isinstance(left, int) and left > 0 else None


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
