"""A few requests of our own and nothing else: what `login` and `check --live` need of the program."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure, secret_unreadable
from biot_sidecar.auth.secret_key_life import Unknown, ask_key_life
from biot_sidecar.auth.secret_source import UnreadableSecret
from biot_sidecar.auth.token import bearer
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.tls import describe_handshake
from biot_sidecar.http.upstream_connection import UpstreamConnection
from biot_sidecar.platform import forbid_core_dumps, run_once
from biot_sidecar.process.factories import (
    USER_AGENT,
    close_upstream,
    make_deadline_timer,
    make_login,
    make_pool,
    make_secret_source,
)
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret
from biot_sidecar.telemetry.login_observers import LoginObservers


class LoginReport(NamedTuple):
    """What came of one login."""

    result: IssuedToken | LoginFailure
    seconds: float
    """How long it took, connecting included."""
    handshakes: list[str]
    """What each TLS handshake with BioT agreed on; the second one is that of the question for the secret key's end."""
    secret_key: str = ""
    """When the secret key ends, in words; empty without SIDECAR_SECRET_KEY_CHECK."""


@asynccontextmanager
async def fetching(
    settings: Settings, dialled: Callable[[UpstreamConnection], None] = lambda connection: None
) -> AsyncIterator[Fetcher]:
    """A way to BioT for as long as the block runs; `dialled` is told of its connections. Raises BadSettings."""
    forbid_core_dumps()
    deadlines = make_deadline_timer()
    pool = make_pool(settings, lambda success: None)
    try:
        yield Fetcher(pool, settings.upstream, deadlines, USER_AGENT, dialled)
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


def timed_login(settings: Settings) -> LoginReport:
    """Log in once, and tell about it. Raises BadSettings."""
    return run_once(_timed_login(settings))


async def _timed_login(settings: Settings) -> LoginReport:
    handshakes: list[str] = []

    def note(connection: UpstreamConnection) -> None:
        if settings.upstream.tls:
            handshakes.append(describe_handshake(connection.transport.get_extra_info("ssl_object")))

    began = time.monotonic()
    async with fetching(settings, note) as fetch:
        result = await log_in(settings, fetch)
        seconds = time.monotonic() - began
        if isinstance(result, LoginFailure) or not settings.secret_key_check:
            return LoginReport(result, seconds, handshakes)
        now = time.time()
        life = await ask_key_life(fetch, bearer(result.jwt), now)
        if isinstance(life, Unknown):
            secret_key = f"it is not known when the secret key ends: {life.reason}"
        else:
            secret_key = life.describe(now)
        return LoginReport(result, seconds, handshakes, secret_key)
