"""`check --live`: asks BioT itself which interceptors the routes run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from proxy import __version__
from proxy.errors import BadSettings, UpstreamFault
from proxy.message import Secret
from proxy.net.login import Login
from proxy.net.secret import SecretSource, UnreadableSecret
from proxy.net.tls import tls_context
from proxy.net.upstream import Fetcher, Pool
from proxy.pipeline.signal import Sweep
from proxy.policy import live
from proxy.policy.login import Setback, Wanted
from proxy.policy.match import RouteTable
from proxy.settings import Settings

TIMEOUT: Final = 30.0
ANSWER_LIMIT: Final = 8 * 1024 * 1024
PAGES_MOST: Final = 100
USER_AGENT: Final = f"biot-sidecar/{__version__}".encode()


class _Nobody:
    """The observer of a login that nobody counts."""

    def login_finished(self, outcome: str, reason: str, seconds: float) -> None: ...

    def token_obtained(self, expires: float) -> None: ...

    def blocked_until(self, moment: float) -> None: ...


def ask_biot(settings: Settings, table: RouteTable) -> list[str]:
    """What BioT's interceptors mean for the routes, a line each. Raises BadSettings with why it could not be asked."""
    return asyncio.run(_ask(settings, table))


async def _ask(settings: Settings, table: RouteTable) -> list[str]:
    async with _fetching(settings) as fetch:
        token = await _log_in(settings, fetch)
        operations = live.read_interceptable(await _search(fetch, token, live.INTERCEPTABLE_PATH))
        interceptors = live.read_interceptors(await _search(fetch, token, live.INTERCEPTORS_PATH))
    return list(live.report(table, operations, interceptors))


@asynccontextmanager
async def _fetching(settings: Settings) -> AsyncIterator[Fetcher]:
    """A way to BioT for as long as the block runs."""
    upstream = settings.upstream
    wall, clock = time.time, time.monotonic  # noqa: TID251  a command owns the real clock
    tls = tls_context(upstream.ca_file) if upstream.tls else None
    sweep = Sweep(asyncio.get_running_loop(), clock)
    pool = Pool(upstream, tls, wall=wall, clock=clock, connected=lambda success: None)
    try:
        yield Fetcher(pool, upstream, sweep, USER_AGENT)
    finally:
        pool.close()
        sweep.close()


async def _log_in(settings: Settings, fetch: Fetcher) -> Secret:
    """The service user's token. Raises BadSettings."""
    try:
        secret = SecretSource(settings).read()
    except UnreadableSecret as error:
        raise BadSettings([f"BIOT_SERVICE_USER_SECRET_KEY_FILE: cannot be read: {error}"]) from None
    wall, clock = time.time, time.monotonic  # noqa: TID251  as above
    login = Login(fetch, settings.service_user_id, wall=wall, clock=clock, observer=_Nobody())
    result = await login(secret, Wanted("start", 0.0))
    if isinstance(result, Setback):
        raise BadSettings([f"BIOT_BASE_URL: {result.fault.message} {result.fault.hint}".strip()])
    return Secret(result.jwt)


async def _search(fetch: Fetcher, token: Secret, path: str) -> list[dict[str, Any]]:
    """Everything that a search finds. Raises BadSettings."""
    found: list[dict[str, Any]] = []
    for page in range(PAGES_MOST):
        items, more = await _page(fetch, token, path, page)
        found += items
        if not more:
            break
    return found


async def _page(fetch: Fetcher, token: Secret, path: str, page: int) -> tuple[list[dict[str, Any]], bool]:
    authorization = (b"Authorization", b"Bearer " + token.reveal().encode())
    target = live.search_path(path, page).encode()
    try:
        answer = await fetch(b"GET", target, [authorization], b"", timeout=TIMEOUT, limit=ANSWER_LIMIT)
        if answer.status == 200:
            return live.read_page(answer.body)
        needs = f"; the service user needs the permission {live.PERMISSIONS[path]}" * (answer.status == 403)
        reason = f"BioT answered {answer.status}{needs}"
    except UpstreamFault as fault:
        reason = fault.message
    except live.BadAnswer as error:
        reason = f"BioT's answer cannot be read: {error}"
    raise BadSettings([f"BIOT_BASE_URL: GET {path}: {reason}"])
