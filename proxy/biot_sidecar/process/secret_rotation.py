"""Rotates the secret key with the real clock and files: for `rotate-secret`, and by itself in a serving process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.redis_store import StoreUnavailable, TokenStore
from biot_sidecar.auth.rotate_secret import Blocking, LogIn, Rotation, Say
from biot_sidecar.auth.rotation_files import RotationFailed, RotationFiles
from biot_sidecar.platform import run_once
from biot_sidecar.process.factories import make_login
from biot_sidecar.process.oneshot import fetching
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret
from biot_sidecar.telemetry.login_observers import LoginObservers
from biot_sidecar.threads import in_thread

if TYPE_CHECKING:
    from biot_sidecar.http.client import Fetcher

LOCK_SECONDS: Final = 120.0
"""For how long one sidecar of many may rotate: longer than all that it asks can take."""
GRACE_SECONDS: Final = 24 * 3600.0
"""For how long the old key stays after a rotation that came about by itself."""
RETRY_SECONDS: Final = 3600.0
"""After a rotation by itself that failed."""
AGAIN_SECONDS: Final = 24 * 3600.0
"""After one that was not due, or has been done."""

Result = TypeVar("Result")


class RotationByHand:
    """`rotate-secret`. `settings` name a file."""

    def __init__(self, settings: Settings, say: Say, *, grace: float, named: str) -> None:
        self._settings = settings
        self._say = say
        self._grace = grace
        self._named = named

    def run(self) -> bool:
        """True once the new key is in force. Raises BadSettings."""
        return run_once(self._run())

    def describe(self) -> list[str]:
        """What run() would do. Raises BadSettings, RotationFailed."""
        return run_once(self._describe())

    async def _run(self) -> bool:
        async with fetching(self._settings) as fetch:
            rotation = self._rotation(fetch)
            try:
                async with alone(self._settings, self._files()):
                    await rotation.run()
            except RotationFailed as error:
                self._say("error", str(error))
                return rotation.in_force
        return True

    async def _describe(self) -> list[str]:
        async with fetching(self._settings) as fetch:
            return await self._rotation(fetch).describe()

    def _files(self) -> RotationFiles:
        return RotationFiles(self._settings.secret_file or "")

    def _rotation(self, fetch: Fetcher) -> Rotation:
        return make_rotation(
            self._settings, fetch, self._files(), self._say, blocking=_at_once, grace=self._grace, named=self._named
        )


class SecretRotator:
    """Rotates by itself where the key in the file ends within SIDECAR_ROTATE_SECRET_BEFORE, and goes on with what was
    begun. `in_hand` gives the token's Authorization value; `clock` tells elapsed seconds.
    """

    def __init__(
        self,
        settings: Settings,
        fetch: Fetcher,
        in_hand: Callable[[], bytes | None],
        event: Callable[[str, str, str], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._in_hand = in_hand
        self._event = event
        self._clock = clock
        self._before = settings.rotate_before or 0.0
        self._files = RotationFiles(settings.secret_file or "")
        self._next = 0.0
        self._told: set[str] = set()  # since a rotation came to its end

    async def step(self, expires: float | None) -> bool:
        """Do what is due. `expires` is when the first of the keys ends, in wall-clock seconds; None: unknown, or never.

        True if something was done: then BioT's keys may be others.
        """
        near = expires is not None and expires - time.time() <= self._before
        if self._clock() < self._next or not (near or self._files.begun()) or (token := self._in_hand()) is None:
            return False
        self._next = self._clock() + RETRY_SECONDS
        said: list[str] = []

        def say(level: str, message: str) -> None:
            if message not in self._told:
                self._told.add(message)
                said.append(message)
                self._event(level, "secret_rotation", message)

        blocking = in_rotation_thread
        rotation = make_rotation(
            self._settings, self._fetch, self._files, say, blocking=blocking, grace=GRACE_SECONDS, token=token
        )
        try:
            async with alone(self._settings, self._files):
                await rotation.run(only_known_within=self._before)
        except RotationFailed as error:
            say("error" if near else "warning", f"{error}; tried again each hour")
            return rotation.in_force and bool(said)
        if not self._files.begun():
            self._next = self._clock() + AGAIN_SECONDS
            self._told.clear()
        return bool(said)


def make_rotation(
    settings: Settings,
    fetch: Fetcher,
    files: RotationFiles,
    say: Say,
    *,
    blocking: Blocking,
    grace: float,
    named: str = "",
    token: bytes = b"",
) -> Rotation:
    return Rotation(
        files,
        fetch,
        _make_log_in(settings, fetch),
        blocking=blocking,
        wall=time.time,
        sleep=asyncio.sleep,
        say=say,
        grace=grace,
        named=named,
        token=token,
    )


def _make_log_in(settings: Settings, fetch: Fetcher) -> LogIn:
    """Logs in with any secret: counted nowhere, and shared with nobody."""
    login = make_login(settings, fetch, LoginObservers())

    async def log_in(secret: Secret) -> IssuedToken | LoginFailure:
        return await login.obtain(secret, TokenRequest("start"))

    return log_in


@contextlib.asynccontextmanager
async def alone(settings: Settings, files: RotationFiles) -> AsyncIterator[None]:
    """Nobody else rotates this secret meanwhile, on this machine or, where they share a token, on another. Raises
    RotationFailed.
    """
    with files.locked():
        if settings.token_store is None:
            yield
            return
        store = TokenStore(settings.token_store, clock=time.monotonic, event=lambda level, kind, text: None)
        owner, key = os.urandom(16), _lock_name(settings)
        try:
            if not await store.acquire_lock(key, owner, LOCK_SECONDS):
                raise RotationFailed(
                    "another sidecar is rotating this service user's secret now, or was interrupted; its lock ends "
                    f"within {LOCK_SECONDS:g}s"
                )
        except StoreUnavailable:
            raise RotationFailed("the token store does not say whether another sidecar is rotating now") from None
        finally:
            await store.close()
        try:
            yield
        finally:
            with contextlib.suppress(StoreUnavailable):
                await store.delete_if(key, owner)
            await store.close()


def _lock_name(settings: Settings) -> str:
    from hashlib import sha256  # loads OpenSSL

    name = sha256(f"{settings.service_user_id} {settings.upstream.url}".encode()).hexdigest()[:32]
    return f"biot-sidecar:{{{name}}}:rotation"


async def _at_once(work: Callable[[], Result]) -> Result:
    return work()


async def in_rotation_thread(work: Callable[[], Result]) -> Result:
    """Off the loop: a disk may take its time to sync."""
    return await in_thread(work, "secret-rotation")
