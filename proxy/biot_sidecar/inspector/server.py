"""The inspector's web server: the page, its parts and the live stream, on a socket that only the sidecar reaches."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

import msgspec
from aiohttp import web

from biot_sidecar.http import error_catalogue as errors
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.error_catalogue import CODES, status_of
from biot_sidecar.http.local_responses import error_body
from biot_sidecar.http.traceparent import trace_id_of
from biot_sidecar.inspector.recorder import News, Recorder, Watcher
from biot_sidecar.page_headers import HEADERS, media_type

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the stream lives; well below what cuts a stalled body."""
PACE: Final = 0.1
"""Seconds between two messages: under load records come in batches, which the page can draw."""

Report = Callable[[BaseException], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(recorder: Recorder, *, heartbeat: float = HEARTBEAT, pace: float = PACE) -> web.Application:
    """Everything under /_sidecar/ but status and explain, which the sidecar answers itself. Only GET and HEAD."""
    live = _Live(recorder, heartbeat, pace)
    app = web.Application(middlewares=[_say_it_as_biot])
    for file in _static():
        app.router.add_get(file.path, file.serve)
    app.router.add_get("/_sidecar", _to_the_page)
    app.router.add_get("/_sidecar/requests", live.requests)
    app.router.add_get("/_sidecar/events", live.events)
    app.on_response_prepare.append(_guard)
    app.on_shutdown.append(live.close)
    return app


async def start(path: str, recorder: Recorder, report: Report) -> web.AppRunner:
    """Serve on a unix socket at `path` until the runner's cleanup(); `report` hears of mistakes in here."""
    logger = logging.Logger("biot_sidecar.inspector")  # one of our own: aiohttp's would print tracebacks
    logger.addHandler(_Reports(report))
    runner = web.AppRunner(
        make_app(recorder), access_log=None, logger=logger, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    await web.UnixSite(runner, path).start()
    os.chmod(path, 0o600)
    return runner


class _Reports(logging.Handler):
    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._report(record.exc_info[1])


async def _guard(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS | {"Server": "biot-sidecar"})


@web.middleware
async def _say_it_as_biot(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is refused in here gets the same answer as what the sidecar refuses itself."""
    try:
        return await handler(request)
    except web.HTTPClientError as refusal:
        failure = errors.local_method_rejected() if refusal.status == 405 else errors.not_found()
        trace_id = trace_id_of(request.headers.get("traceparent", "").encode("latin-1", "replace")) or ""
        return web.Response(
            status=status_of(failure),
            body=error_body(failure, method=request.method.encode("latin-1", "replace"), trace_id=trace_id, route=""),
            content_type="application/json",
            headers={"Proxy-Status": f"biot-sidecar; error={CODES[failure.code].proxy_error}"}
            | ({"Allow": failure.allow} if failure.allow else {}),
        )


# ---- the page and its parts


async def _to_the_page(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect("/_sidecar/")


class _File:
    """A part of the page, read once: they are small, and no request ever names a file."""

    def __init__(self, name: str, body: bytes) -> None:
        self.path = "/_sidecar/" if name == "index.html" else f"/_sidecar/assets/{name}"
        self._body = body
        self._type = media_type(name)

    async def serve(self, request: web.Request) -> web.Response:
        return web.Response(body=self._body, content_type=self._type, charset="utf-8")


def _static() -> list[_File]:
    return [_File(file.name, file.read_bytes()) for file in files(__package__).joinpath("static").iterdir()]


# ---- what happens


class _Live:
    """The records, all at once or as they come. Durations are seconds."""

    def __init__(self, recorder: Recorder, heartbeat: float, pace: float) -> None:
        self._recorder = recorder
        self._heartbeat = heartbeat
        self._pace = pace

    async def requests(self, request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._recorder.records()), content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.method == "HEAD":
            return response
        await response.prepare(request)
        with self._recorder.watching() as watcher:
            await response.write(_event("snapshot", News(self._recorder.records())))
            await self._relay(watcher, response)
        return response

    async def _relay(self, watcher: Watcher, response: web.StreamResponse) -> None:
        """What the watcher hears, until it closes or the page goes away."""
        while True:
            try:
                with timeout(self._heartbeat):
                    news = await watcher.news()
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if news is None:
                return
            await response.write(_event("requests", news))
            await asyncio.sleep(self._pace)

    async def close(self, app: web.Application) -> None:
        self._recorder.close()


def _event(name: str, news: News) -> bytes:
    """One server-sent event; JSON has no raw line breaks (HTML Standard, section 9.2)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(news))
