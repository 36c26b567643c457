"""When the service user's secret key ends, as BioT tells it (GET /ums/v2/services/self, since BioT 2.4.3).

Asked once after the process's first login that succeeds, and once a day, by one process of many and, with a token
store, by one sidecar of many, which leaves the answer there for the others. The token in hand is sent: it is no reason
for a login, and what BioT says of it here drops no token. Warned about 30, 7 and 1 days before the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from biot_sidecar.auth.secret_keys import SELF_PATH, Refusal, read_keys
from biot_sidecar.durations import show_duration
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.interfaces import Fetch
from biot_sidecar.timestamps import LATEST, iso

PATH: Final = SELF_PATH
TIMEOUT_SECONDS: Final = 10.0
RESPONSE_LIMIT_BYTES: Final = 256 * 1024
DAY_SECONDS: Final = 86_400.0
WARNING_DAYS: Final = (1, 7, 30)
STEP_SECONDS: Final = 60.0
"""How often it is looked whether something is due."""


class KeyLife(msgspec.Struct, frozen=True):
    """The keys that have not ended: how many there are, and when the first of them ends; None: none of them does."""

    expires: float | None
    keys: int

    def describe(self, now: float) -> str:
        """When the key ends, for people; `now` in wall-clock seconds."""
        key = "the secret key" if self.keys == 1 else f"one of {self.keys} secret keys"
        if self.expires is None:
            return f"{'the secret key does' if self.keys == 1 else f'{self.keys} secret keys do'} not end"
        left = self.expires - now
        when = f"in {_days(left)}" if left > 0 else f"{_days(-left)} ago"
        return f"{key} {'ends' if left > 0 else 'ended'} at {iso(self.expires, 'seconds')}, {when}"


class Unknown(msgspec.Struct, frozen=True):
    """BioT did not tell; `reason` is the end of a sentence."""

    reason: str


Rotate = Callable[[float | None], Awaitable[bool]]
"""Rotates the secret if it is time, given when the first key ends in wall-clock seconds; True: the keys are others."""


class Look(Protocol):
    """Finds out; None: it cannot be asked now, for want of a token or because another sidecar is asking."""

    async def __call__(self, *, anew: bool = False) -> KeyLife | Unknown | None:
        """`anew`: whatever others were told before."""


async def _never(expires: float | None) -> bool:
    return False


def _days(seconds: float) -> str:
    if seconds < DAY_SECONDS:
        return show_duration(max(1, int(seconds)))
    days = int(seconds // DAY_SECONDS)
    return f"{days} day{'s' if days > 1 else ''}"


async def ask_key_life(fetch: Fetch, authorization: bytes, now: float) -> KeyLife | Unknown:
    """Ask BioT, with a token; `now` in wall-clock seconds."""
    fields = [(b"Authorization", authorization)]
    try:
        response = await fetch(b"GET", PATH, fields, b"", timeout=TIMEOUT_SECONDS, limit=RESPONSE_LIMIT_BYTES)
    except UpstreamError as error:
        return Unknown(error.message.rstrip("."))
    return read_key_life(response.status, response.body, now)


def read_key_life(status: int, body: bytes, now: float) -> KeyLife | Unknown:
    """What BioT's response means. A key that has ended counts only if all have."""
    keys = read_keys(status, body)
    if isinstance(keys, Refusal):
        return Unknown(keys.reason)
    ends = [key.expires for key in keys]
    living = [end for end in ends if end > now] or [max(ends)]
    first = min(living)
    return KeyLife(None if first > LATEST else first, len(living))


class SecretKeyWatch:
    """Looks once a day and warns. `found` hears what is known, `event` is the log's; `clock` tells elapsed seconds."""

    def __init__(
        self,
        look: Look,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        event: Callable[[str, str, str], None],
        found: Callable[[float | None, int], None],
        rotate: Rotate = _never,
    ) -> None:
        self._look = look
        self._wall = wall
        self._clock = clock
        self._sleep = sleep
        self._event = event
        self._found = found
        self._rotate = rotate
        self._life: KeyLife | None = None
        self._next = 0.0  # on the clock, when BioT is asked again
        self._asked = False
        self._said = False
        self._warned: tuple[float, int] | None = None  # of this end, so many days before

    async def run(self, logged_in: asyncio.Event) -> None:
        """Wait for the first login that succeeds, then watch."""
        await logged_in.wait()
        while True:
            await self.step()
            await self._sleep(STEP_SECONDS)

    async def step(self) -> None:
        """Ask if a day has passed, and warn if an end has come near."""
        if not self._asked or self._clock() >= self._next:
            began = self._clock()
            result = await self._look()
            if result is not None:
                self._asked, self._next = True, began + DAY_SECONDS
            self._take(result)
        self._warn()
        if await self._rotate(None if self._life is None else self._life.expires):
            self._take(await self._look(anew=True))

    def _take(self, result: KeyLife | Unknown | None) -> None:
        if isinstance(result, KeyLife):
            self._life = result
            self._found(result.expires, result.keys)
        elif isinstance(result, Unknown) and not self._said:
            self._said = True
            self._event("warning", "secret_key", f"it is not known when the secret key ends: {result.reason}")

    def _warn(self) -> None:
        life = self._life
        if life is None or life.expires is None:
            return
        left = life.expires - self._wall()
        near = next((days for days in WARNING_DAYS if left <= days * DAY_SECONDS), None)
        if near is not None and (life.expires, near) != self._warned:
            self._warned = (life.expires, near)
            self._event("warning", "secret_key", f"{life.describe(self._wall())}; then no login succeeds with it")
