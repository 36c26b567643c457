"""The inspector on a loopback port, in a thread of its own, with a made-up sidecar behind it: for browsers to see."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.local_endpoints import LocalEndpoints
from biot_sidecar.inspector.event_feed import ToldEvent, event_record
from biot_sidecar.inspector.recorder import Recorder
from biot_sidecar.inspector.server import make_app

PLAIN = {"interception": "off", "authorization": "replace", "retry": "idempotent", "deny": None}
"""What a rule does that says nothing else."""


def sidecar_status(
    *, token: dict[str, Any] | None = None, rules: dict[str, int] | None = None, error: str | None = None, **logins: Any
) -> dict[str, Any]:
    """What /_sidecar/status tells; `rules` are names with their hits."""
    waits = {"count": 0, "total_seconds": 0.0, "longest_seconds": 0.0}
    return {
        "token": {"state": "none", "obtained": None, "expires": None} | (token or {}),
        "logins": {"total": 0, "calls_per_login": None, "waits": waits, "blocked_until": None, "recent": []} | logins,
        "routes": [
            {"name": name, "hits": hits, "source": "routes.yaml:7", "match": ["GET /**"], **PLAIN}
            for name, hits in (rules or {}).items()
        ],
        "reload": {"at": None, "error": error},
    }


class FakeSources:
    """biot_sidecar.http.local_endpoints.Sources: what the test says."""

    def __init__(self) -> None:
        self.said = sidecar_status()
        self.explanation: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []

    async def render_metrics(self, accept: str) -> tuple[str, bytes]:
        return "text/plain", b""

    def unready(self) -> str | None:
        return None

    def token_state(self) -> dict[str, str | None]:
        return {"state": "valid", "last_error": None}

    async def status(self) -> dict[str, Any]:
        return self.said

    def explain(self, method: str, path: str) -> dict[str, Any]:
        self.asked.append((method, path))
        return self.explanation


class Desk:
    """A running inspector; what is done to it is done on its own loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder, runner: web.AppRunner) -> None:
        self._loop = loop
        self._recorder = recorder
        self._runner = runner
        self.sources = FakeSources()
        self.over = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def show(self, *exchanges: Exchange) -> None:
        """Finish exchanges, all in one go, as the sidecar would."""

        def tell() -> None:
            for exchange in exchanges:
                self._recorder.finished(exchange)

        self._loop.call_soon_threadsafe(tell)

    def show_event(self, **facts: Any) -> None:
        """An event of the plugin's, as `lambda` tells of it."""
        record = event_record(ToldEvent(**facts))
        self._loop.call_soon_threadsafe(self._recorder.keep, record)

    def drop_streams(self) -> None:
        """Cut every connection, as a network would."""
        server = self._runner.server
        assert server is not None
        for connection in server.connections:
            self._loop.call_soon_threadsafe(connection.force_close)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.over.set)


@contextmanager
def running_desk() -> Iterator[Desk]:
    """A desk on a free port; the server has ended when the block has."""
    begun: queue.Queue[Desk] = queue.Queue()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(begun)), daemon=True)
    thread.start()
    desk = begun.get(timeout=40)
    try:
        yield desk
    finally:
        desk.stop()
        thread.join(10)
        assert not thread.is_alive(), "the inspector did not stop"


def reraise(error: BaseException) -> None:
    raise error


async def _serve(begun: queue.Queue[Desk]) -> None:
    recorder = Recorder()
    app = make_app(recorder)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    desk = Desk(asyncio.get_running_loop(), recorder, runner)
    _add_own_pages(app, LocalEndpoints(desk.sources, reraise, everything=True))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        begun.put(desk)
        await desk.over.wait()
    finally:
        await runner.cleanup()


def _add_own_pages(app: web.Application, pages: LocalEndpoints) -> None:
    """What the sidecar's listener answers by itself, before anything comes to the inspector."""

    async def own(request: web.Request) -> web.Response:
        page = await pages.get(request.path.encode(), request.query_string.encode(), b"")
        return web.Response(status=page.status, body=page.body, headers={"Content-Type": page.content_type})

    app.router.add_get("/_sidecar/status", own)
    app.router.add_get("/_sidecar/explain", own)
