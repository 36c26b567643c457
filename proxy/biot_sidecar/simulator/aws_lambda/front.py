"""The function's HTTP side: its URL, where each request becomes an event and the reply its response, and Lambda's
Invoke API, where the request's body is the event: what the scheduler and other AWS services send.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from biot_sidecar.http.traceparent import trace_id_of
from biot_sidecar.simulator.aws_lambda.environment import Event, Outcome
from biot_sidecar.simulator.aws_lambda.function import Function
from biot_sidecar.simulator.aws_lambda.function_url import (
    LARGEST,
    FrontRequest,
    FrontResponse,
    Invocation,
    event_of,
    has_body,
    raw_response,
    response_of,
)
from biot_sidecar.simulator.browser_guard import is_foreign_page
from biot_sidecar.simulator.event_names import event_name_of
from biot_sidecar.telemetry.redact import printable

INVOKE_PATH: Final = "/2015-03-31/functions/{name}/invocations"
INVOKED: Final = "invoke"
_HEAD: Final = 128 * 1024  # bytes of a request line or header field


@dataclass(frozen=True)
class ServedEvent:
    """One event as it may be told of: names and figures. `at` is wall-clock seconds; `error` Lambda's error type. What
    was `invoked` came by Lambda's Invoke API.
    """

    about: str
    status: int
    error: str
    at: float
    seconds: float
    trace_id: str
    invoked: bool = False

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
        self._running: set[asyncio.Future[Outcome]] = set()  # events whose callers do not wait

    def runner(self) -> web.AppRunner:
        """Not yet listening."""
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post(INVOKE_PATH, self.invoke)
        app.router.add_route("*", "/{path:.*}", self.handle)
        limits: Any = {"max_line_size": _HEAD, "max_field_size": _HEAD, "max_headers": 512}
        return web.AppRunner(app, access_log=None, shutdown_timeout=0.1, **limits)

    async def handle(self, request: web.Request) -> web.Response:
        """One request; whoever sent it may go away meanwhile, the function goes on."""
        body = await self._body(request)
        invocation = self._invocation()
        event = json.dumps(event_of(_front_request(request, body), invocation)).encode()
        outcome = await self._run(invocation, event, response_of)
        name = event_name_of(request.headers.get("hooktype", ""), body)
        self._tell(name or f"{request.method} {printable(request.rel_url.raw_path)}", request, outcome, invocation.at)
        return _response(outcome, invocation.request_id)

    async def invoke(self, request: web.Request) -> web.Response:
        """Lambda's Invoke API (2015-03-31) for a function of any name: the body is the event, and the reply comes back
        as it is. Of X-Amz-Invocation-Type `Event` waits for no reply, `DryRun` sends nothing.
        """
        body = await self._body(request) or b"{}"
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if problem := _invoke_problem(kind, body):
            return web.json_response({"Type": "User", "Message": problem}, status=400)
        invocation = self._invocation()
        if kind == "DryRun":
            return web.Response(status=204)
        running = asyncio.ensure_future(self._invoked(request, invocation, body))
        if kind == "Event":
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            return web.Response(status=202, headers={"x-amzn-RequestId": invocation.request_id})
        return _invoke_response(await running, invocation.request_id)

    async def _body(self, request: web.Request) -> bytes:
        """The request's body. Raises the refusal of a page of another site, and of too large a body."""
        if is_foreign_page(request.headers, self._allowed_origins):
            raise _refusal(web.HTTPForbidden, "Forbidden: a page of another site may not call this")
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            reason = "Request Entity Too Large"
        raise _refusal(_TooLarge, reason)

    async def _invoked(self, request: web.Request, invocation: Invocation, event: bytes) -> Outcome:
        outcome = await self._run(invocation, event, raw_response)
        self._tell(INVOKED, request, outcome, invocation.at)
        return outcome

    def _invocation(self) -> Invocation:
        now = self._clock()
        return Invocation(str(uuid.uuid4()), now, f"Root=1-{int(now):08x}-{uuid.uuid4().hex[:24]}", self._region)

    async def _run(self, invocation: Invocation, event: bytes, read: Callable[[bytes], FrontResponse]) -> Outcome:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        return await self._function.invoke(Event(invocation.request_id, event, invocation.trace_root, future, read))

    def _tell(self, about: str, request: web.Request, outcome: Outcome, began: float) -> None:
        self._told(_served(about, request, outcome, began, self._clock() - began))


class _TooLarge(web.HTTPClientError):
    """413, without the sizes that aiohttp's own wants to tell."""

    status_code = 413


def _refusal(kind: type[web.HTTPClientError], message: str) -> web.HTTPClientError:
    return kind(text=json.dumps({"Message": message}), content_type="application/json")


def _invoke_problem(kind: str, body: bytes) -> str:
    """What Lambda would refuse; empty if nothing."""
    if kind not in ("RequestResponse", "Event", "DryRun"):
        return "X-Amz-Invocation-Type is none of RequestResponse, Event, DryRun"
    try:
        json.loads(body)
    except ValueError:
        return "Could not parse request body into json"
    return ""


def _served(about: str, request: web.Request, outcome: Outcome, at: float, seconds: float) -> ServedEvent:
    trace_id = trace_id_of(request.headers.get("traceparent", "").encode("latin-1", "replace")) or ""
    return ServedEvent(
        about, outcome.response.status, printable(outcome.error_type), at, seconds, trace_id, about == INVOKED
    )


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


def _invoke_response(outcome: Outcome, request_id: str) -> web.Response:
    """An error of the function is a 200 that a field marks; only that there is no place for the event is none."""
    headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": "$LATEST"}
    status = outcome.response.status
    if outcome.error_type and status != HTTPStatus.TOO_MANY_REQUESTS:
        status, headers["X-Amz-Function-Error"] = 200, "Unhandled"
    return web.Response(status=status, body=outcome.response.body, headers=headers, content_type="application/json")


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
