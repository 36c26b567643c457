"""The endpoints that the sidecar answers itself: /metrics, /healthz, /readyz and those under /_sidecar."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from biot_sidecar.errors import Failure
from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.interfaces import LocalResponse
from biot_sidecar.routing.pattern import METHOD

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BROKEN: Final = LocalResponse(500, TEXT, b"The sidecar cannot tell, by a mistake of its own; its log says where.\n")


class Sources(Protocol):
    """What the pages tell of."""

    async def render_metrics(self, accept: str) -> tuple[str, bytes]:
        """Content type and exposition."""

    def unready(self) -> str | None:
        """Why requests could not be served now; None when they can."""

    def token_state(self) -> dict[str, str | None]:
        """The token's `state`, as in the status, and the `last_error` of its logins since one went well."""

    async def status(self) -> dict[str, Any]: ...

    def explain(self, method: str, path: str) -> dict[str, Any]: ...


class LocalEndpoints:
    """Without `everything` they are the admin listener's, the first three. `report` takes a mistake of ours."""

    def __init__(self, sources: Sources, report: Callable[[BaseException], None], *, everything: bool) -> None:
        self._sources = sources
        self._report = report
        self._endpoints: dict[bytes, Callable[[bytes, bytes], Awaitable[LocalResponse]]] = {
            b"/metrics": self._metrics,
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
        }
        if everything:
            self._endpoints[b"/_sidecar/status"] = self._status
            self._endpoints[b"/_sidecar/explain"] = self._explain

    def has(self, path: bytes) -> bool:
        """True when there is a page of that name."""
        return path in self._endpoints

    async def get(self, path: bytes, query: bytes, accept: bytes) -> LocalResponse:
        """The page of that name, or a 500: whoever asks gets a response. Raises Failure for a bad query."""
        try:
            return await self._endpoints[path](query, accept)
        except Failure:
            raise
        except Exception as error:
            self._report(error)
            return BROKEN

    async def _metrics(self, query: bytes, accept: bytes) -> LocalResponse:
        return LocalResponse(200, *await self._sources.render_metrics(accept.decode("latin-1")))

    async def _healthz(self, query: bytes, accept: bytes) -> LocalResponse:
        return LocalResponse(200, TEXT, b"ok\n")

    async def _readyz(self, query: bytes, accept: bytes) -> LocalResponse:
        reason = self._sources.unready()
        told = {"ready": reason is None, "reason": reason, "token": self._sources.token_state()}
        return LocalResponse(200 if reason is None else 503, JSON, _json(told))

    async def _status(self, query: bytes, accept: bytes) -> LocalResponse:
        return LocalResponse(200, JSON, _json(await self._sources.status()))

    async def _explain(self, query: bytes, accept: bytes) -> LocalResponse:
        text = query.decode("utf-8", "surrogateescape")
        given = parse_qs(text, keep_blank_values=True, errors="surrogateescape")
        method, path = (given.get(name, [""])[-1] for name in ("method", "path"))
        if not METHOD.fullmatch(method) or not (path.startswith("/") or path == "*"):
            raise errors.bad_explain_query()
        return LocalResponse(200, JSON, _json(self._sources.explain(method, path)))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
