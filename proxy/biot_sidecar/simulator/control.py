"""The simulator's own endpoints under /_simulator/: what it saw, interceptors, faults, echo, file storage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from biot_sidecar.simulator import notifications
from biot_sidecar.simulator.event_control import EventControl
from biot_sidecar.simulator.event_spec import NOTIFICATION
from biot_sidecar.simulator.event_subscription import from_event
from biot_sidecar.simulator.faults import BadFaults, from_document
from biot_sidecar.simulator.files import STORAGE
from biot_sidecar.simulator.interceptors import from_control
from biot_sidecar.simulator.page import page_routes
from biot_sidecar.simulator.simulator import Simulator
from biot_sidecar.simulator.values import BiotError, Json

PREFIX = "/_simulator"
ECHO = PREFIX + "/echo"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, simulator: Simulator) -> None:
    """Put the control endpoints into the application."""
    control = Control(simulator)
    for method, path, handler in [*control.routes(), *EventControl(simulator).routes(), *page_routes()]:
        app.router.add_route(method, PREFIX + path, handler)
    app.router.add_route("*", ECHO, echo)
    app.router.add_route("*", ECHO + "/{rest:.*}", echo)
    app.router.add_route("*", PREFIX + "/{rest:.*}", nothing)


class Control:
    """Handlers over one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[tuple[str, str, _Handler]]:
        return [
            ("GET", "/requests", self.requests),
            ("GET", "/stats", self.stats),
            ("DELETE", "/tokens", self.revoke_tokens),
            ("GET", "/secret-keys", self.secret_keys),
            ("PUT", "/secret-keys", self.set_secret_keys),
            ("GET", "/interceptions", self.interceptions),
            ("POST", "/interceptions", self.register),
            ("DELETE", "/interceptions", self.unregister),
            ("DELETE", "/interceptions/{id}", self.unregister),
            ("POST", "/sms", self.sms),
            ("GET", "/faults", self.faults),
            ("PUT", "/faults", self.set_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("PUT", STORAGE.removeprefix(PREFIX) + "/{id}", self.store),
            ("GET", STORAGE.removeprefix(PREFIX) + "/{id}", self.stored),
        ]

    async def requests(self, request: web.Request) -> web.StreamResponse:
        return _json({"requests": self._simulator.history.shown()})

    async def stats(self, request: web.Request) -> web.StreamResponse:
        login, history = self._simulator.login, self._simulator.history
        counts = {"logins": login.logins, "failedLogins": login.failed, "requests": history.requests}
        return _json(counts | {"tokens": self._simulator.tokens.shown()})

    async def revoke_tokens(self, request: web.Request) -> web.StreamResponse:
        return _json({"revoked": self._simulator.tokens.revoke_all()})

    async def secret_keys(self, request: web.Request) -> web.StreamResponse:
        keys = self._simulator.secret_keys
        return _json({"secretKeys": keys.shown(), "max": keys.most, "life": keys.life})

    async def set_secret_keys(self, request: web.Request) -> web.StreamResponse:
        document = await _document(request)
        if not isinstance(document, dict):
            raise BiotError(400, "BAD_REQUEST", "The request body must be a JSON object")
        self._simulator.secret_keys.change(document)
        return await self.secret_keys(request)

    async def interceptions(self, request: web.Request) -> web.StreamResponse:
        interceptors = [entry.shown() for entry in self._simulator.subscriptions.registered()]
        told = [one.shown() for one in self._simulator.plugin_events.notifications.registered()]
        requests = self._simulator.history.intercepted()
        return _json({"interceptors": interceptors, "notifications": told, "requests": requests})

    async def register(self, request: web.Request) -> web.StreamResponse:
        simulator, document = self._simulator, await _document(request)
        document = from_event(document, simulator.router)
        if isinstance(document, dict) and document.get("type") == NOTIFICATION:
            return _json(simulator.plugin_events.notifications.add(notifications.from_control(document)).shown(), 201)
        entry = from_control(document, simulator.clock(), simulator.router.operations)
        simulator.subscriptions.add(entry)
        return _json(entry.shown(), 201)

    async def unregister(self, request: web.Request) -> web.StreamResponse:
        identity = request.match_info.get("id")
        removed = self._simulator.subscriptions.remove(identity) + self._simulator.plugin_events.notifications.remove(
            identity
        )
        if not removed and identity:
            raise BiotError(404, "NOT_FOUND", "There is no interceptor with this id")
        return web.Response(status=204)

    async def sms(self, request: web.Request) -> web.StreamResponse:
        """A person's text message comes in: `{"from": PHONE NUMBER OR ID, "message": "1"}`."""
        document = await _document(request)
        sender, text = (document.get("from"), document.get("message")) if isinstance(document, dict) else (None, None)
        if not isinstance(sender, str) or not isinstance(text, str) or not sender:
            raise BiotError(400, "BAD_REQUEST", "[from] (a phone number, or a person's id) and [message] are texts")
        return _json(self._simulator.receive_sms(sender, text, "127.0.0.1:0"), 202)

    async def faults(self, request: web.Request) -> web.StreamResponse:
        return _json({"faults": self._simulator.faults.state()})

    async def set_faults(self, request: web.Request) -> web.StreamResponse:
        try:
            self._simulator.faults.replace(from_document(await _document(request)))
        except BadFaults as error:
            raise BiotError(400, "BAD_REQUEST", f"These faults cannot be read: {error}") from None
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        self._simulator.faults.replace(())
        return web.Response(status=204)

    async def store(self, request: web.Request) -> web.StreamResponse:
        """PUT to a signed URL; answers an ETag, as S3 does."""
        file = self._file(request)
        content = await request.read()
        file.content[int(request.query.get("partNumber", "0"))] = content
        return web.Response(headers={"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'})

    async def stored(self, request: web.Request) -> web.StreamResponse:
        """GET of a signed URL."""
        file = self._file(request)
        if 0 not in file.content:
            raise BiotError(404, "NOT_FOUND", "Nothing was uploaded to this URL yet")
        return web.Response(body=file.content[0], headers={"Content-Type": file.shown["mimeType"]})

    def _file(self, request: web.Request) -> Any:
        # S3 refuses a request that is signed and carries a token too.
        if "Authorization" in request.headers:
            raise BiotError(400, "BAD_REQUEST", "A signed URL must be called without an Authorization header")
        file = self._simulator.files.stored(request.match_info["id"], request.query.get("X-Amz-Signature", ""))
        if file is None:
            raise BiotError(403, "ACCESS_DENIED", "This signed URL is not valid")
        return file


async def nothing(request: web.Request) -> web.StreamResponse:
    """Whatever else is asked of /_simulator/."""
    raise BiotError(404, "NOT_FOUND", "The simulator has no such endpoint, or not with this method")


async def echo(request: web.Request) -> web.StreamResponse:
    """Any method: the body comes back as it arrives; X-Simulator-Header-Names lists the request's header names."""
    response = web.StreamResponse(
        headers={"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
    )
    response.headers["X-Simulator-Header-Names"] = ",".join(header_names(request))
    response.headers["X-Simulator-Method"] = request.method
    if request.content_length is not None:
        response.content_length = request.content_length
    await response.prepare(request)
    async for chunk in request.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def header_names(request: web.Request) -> list[str]:
    """The names of the header fields in wire order and case, repeated as they came."""
    return [name.decode("latin-1") for name, _ in request.raw_headers]


async def _document(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise BiotError(400, "BAD_REQUEST", "The request body is not JSON") from None


def _json(body: Json, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
