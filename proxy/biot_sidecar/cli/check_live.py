"""`check --live`: asks BioT itself which interceptors the routes run."""

from __future__ import annotations

from typing import Any, Final

from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.errors import BadSettings, UpstreamError
from biot_sidecar.http.client import Fetcher
from biot_sidecar.platform import run_once
from biot_sidecar.process.oneshot import fetching, log_in
from biot_sidecar.routing import interceptor_report as live
from biot_sidecar.routing.table import RouteTable
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret

TIMEOUT: Final = 30.0
ANSWER_LIMIT: Final = 8 * 1024 * 1024
PAGES_MOST: Final = 100


def ask_biot(settings: Settings, table: RouteTable) -> list[str]:
    """What BioT's interceptors mean for the routes, a line each. Raises BadSettings with why it could not be asked."""
    return run_once(_ask(settings, table))


async def _ask(settings: Settings, table: RouteTable) -> list[str]:
    async with fetching(settings) as fetch:
        token = await _log_in(settings, fetch)
        operations = live.read_interceptable(await _search(fetch, token, live.INTERCEPTABLE_PATH))
        interceptors = live.read_interceptors(await _search(fetch, token, live.INTERCEPTORS_PATH))
    return list(live.report(table, operations, interceptors))


async def _log_in(settings: Settings, fetch: Fetcher) -> Secret:
    """The service user's token. Raises BadSettings."""
    result = await log_in(settings, fetch)
    if isinstance(result, LoginFailure):
        raise BadSettings([f"BIOT_BASE_URL: {result.text}"])
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
    except UpstreamError as fault:
        reason = fault.message
    except live.BadAnswer as error:
        reason = f"BioT's answer cannot be read: {error}"
    raise BadSettings([f"BIOT_BASE_URL: GET {path}: {reason}"])
