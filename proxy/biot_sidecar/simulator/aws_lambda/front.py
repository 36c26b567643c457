"""The function URL: each HTTP request becomes an event, and the function's reply its response."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from biot_sidecar.http.traceparent import trace_id_of
from biot_sidecar.simulator.aws_lambda.environment import Event, Outcome
from biot_sidecar.simulator.aws_lambda.function import Function
from biot_sidecar.simulator.aws_lambda.function_url import LARGEST, FrontRequest, Invocation, event_of, has_body
from biot_sidecar.simulator.browser_guard import is_foreign_page
from biot_sidecar.simulator.event_names import event_name_of
from biot_sidecar.telemetry.redact import printable

_HEAD: Final = 128 * 1024  # bytes of a request line or header field


@dataclass(frozen=True)
class ServedEvent:
    """One event as it may be told of: names and figures. `at` is wall-clock seconds; `error` Lambda's error type."""

    about: str
    status: int
    error: str
    at: float
    seconds: float
    trace_id: str

    def line(self) -> str:
        """For a log."""
        error = f" {self.error}" if self.error else ""
        return f"event {self.about} {self.status}{error} in {self.seconds * 1000:.0f} ms"


class Front:
    """Over one function. `clock` is the wall clock in seconds; `told` gets each event when it has ended."""

    def __init__(
        self,
        function: Function,
        clock: Callable[[], float],
        told: Callable[[ServedEvent], None],
        region: str,
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._function = function
        self._clock = clock
        self._told = told
        self._region = region
        self._allowed_origins = allowed_origins

    def runner(self) -> web.AppRunner:
        """Not yet listening."""
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{path:.*}", self.handle)
        limits: Any = {"max_line_size": _HEAD, "max_field_size": _HEAD, "max_headers": 512}
        return web.AppRunner(app, access_log=None, shutdown_timeout=0.1, **limits)

    async def handle(self, request: web.Request) -> web.Response:
        """One request; whoever sent it may go away meanwhile, the function goes on."""
        if is_foreign_page(request.headers, self._allowed_origins):
            return web.json_response({"Message": "Forbidden: a page of another site may not call this"}, status=403)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"Message": "Request Entity Too Large"}, status=413)
        began = self._clock()
        request_id = str(uuid.uuid4())
        outcome = await self._invoke(_front_request(request, body), request_id)
        self._told(_served(request, body, outcome, began, self._clock() - began))
        return _response(outcome, request_id)

    async def _invoke(self, request: FrontRequest, request_id: str) -> Outcome:
        now = self._clock()
        root = f"Root=1-{int(now):08x}-{uuid.uuid4().hex[:24]}"
        event = event_of(request, Invocation(request_id, now, root, self._region))
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        return await self._function.invoke(Event(request_id, json.dumps(event).encode(), root, future))


def _served(request: web.Request, body: bytes, outcome: Outcome, at: float, seconds: float) -> ServedEvent:
    name = event_name_of(request.headers.get("hooktype", ""), body)
    about = name or f"{request.method} {printable(request.rel_url.raw_path)}"
    trace_id = trace_id_of(request.headers.get("traceparent", "").encode("latin-1", "replace")) or ""
    return ServedEvent(about, outcome.response.status, printable(outcome.error_type), at, seconds, trace_id)


def _front_request(request: web.Request, body: bytes) -> FrontRequest:
    fields = tuple((name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in request.raw_headers)
    path, _, query = request.raw_path.partition("?")
    return FrontRequest(
        method=request.method,
        path=path if path.startswith("/") else request.rel_url.raw_path,
        query=query,
        fields=fields,
        body=body,
        source_ip=request.remote or "127.0.0.1",
    )


def _response(outcome: Outcome, request_id: str) -> web.Response:
    given = outcome.response
    response = web.Response(status=given.status, body=given.body if has_body(given.status) else None)
    response.headers.popall("Content-Type", None)
    for name, value in given.fields:
        response.headers.add(name, value)
    response.headers["x-amzn-RequestId"] = request_id
    if outcome.error_type:
        response.headers["x-amzn-ErrorType"] = outcome.error_type
    return response
