"""A few requests of our own and nothing else: what `login` and `check --live` need of the program."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, secret_unreadable
from biot_sidecar.auth.secret_key_life import Unknown, ask_key_life
from biot_sidecar.auth.secret_source import UnreadableSecret
from biot_sidecar.auth.token import bearer
from biot_sidecar.http.client import Fetcher
from biot_sidecar.process.factories import (
    close_upstream,
    make_deadline_timer,
    make_fetcher,
    make_login,
    make_pool,
    make_secret_source,
)
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret
from biot_sidecar.telemetry.login_observers import LoginObservers


@asynccontextmanager
async def fetching(settings: Settings) -> AsyncIterator[Fetcher]:
    """A way to BioT for as long as the block runs. Raises BadSettings."""
    deadlines = make_deadline_timer()
    pool = make_pool(settings, lambda success: None)
    try:
        yield make_fetcher(settings, pool, deadlines)
    finally:
        await close_upstream(pool, deadlines)


async def log_in(settings: Settings, fetch: Fetcher) -> IssuedToken | LoginFailure:
    """One login of the service user."""
    try:
        read = make_secret_source(settings).read()
        secret = read if isinstance(read, Secret) else await read
    except UnreadableSecret as error:
        return secret_unreadable(str(error), error.setting)
    return await make_login(settings, fetch, LoginObservers()).obtain(secret, TokenRequest("start"))


def timed_login(settings: Settings) -> tuple[IssuedToken | LoginFailure, float, str]:
    """What came of one login, how many seconds it took, connecting included, and when the secret key ends, in words
    (empty without SIDECAR_SECRET_KEY_CHECK). Raises BadSettings.
    """
    return asyncio.run(_timed_login(settings))


async def _timed_login(settings: Settings) -> tuple[IssuedToken | LoginFailure, float, str]:
    began = time.monotonic()
    async with fetching(settings) as fetch:
        result = await log_in(settings, fetch)
        seconds = time.monotonic() - began
        if isinstance(result, LoginFailure) or not settings.secret_key_check:
            return result, seconds, ""
        now = time.time()
        life = await ask_key_life(fetch, bearer(result.jwt), now)
        if isinstance(life, Unknown):
            return result, seconds, f"it is not known when the secret key ends: {life.reason}"
        return result, seconds, life.describe(now)
