"""The simulator's own endpoints about events: what was sent, one made to order or sent again, who they name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from biot_sidecar.http.deadlines import timeout
from biot_sidecar.simulator.event_log import SentEvent
from biot_sidecar.simulator.event_spec import parse_event
from biot_sidecar.simulator.simulator import Simulator
from biot_sidecar.simulator.values import BiotError, Json

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the stream lives."""
PACE: Final = 0.1
"""Seconds between two messages: all events go with each, so that a burst of them is told once."""
TOKEN_TYPES: Final = ("USER", "DEVICE", "SERVICE_INTERNAL", "SERVICE_EXTERNAL")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EventControl:
    """Handlers over one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._history = simulator.history
        self._events = simulator.plugin_events

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path below /_simulator, handler."""
        return [
            ("GET", "/events", self.events),
            ("GET", "/events/stream", self.stream),
            ("POST", "/events/make", self.make),
            ("POST", "/events/{number:\\d+}/send", self.send_again),
            ("GET", "/initiator", self.initiator),
            ("PUT", "/initiator", self.set_initiator),
            ("DELETE", "/initiator", self.clear_initiator),
        ]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The last events with their bodies and replies, and the requests that came with their trace ids."""
        return web.json_response(self._stories())

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The same as server-sent events: now, and whenever something is new."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        while not self._events.is_closed:
            await response.write(b"data: %b\n\n" % json.dumps(self._stories()).encode())
            try:
                with timeout(HEARTBEAT):
                    await self._events.log.changed()
            except TimeoutError:
                await response.write(b": still here\n\n")
            await asyncio.sleep(PACE)
        return response

    async def make(self, request: web.Request) -> web.StreamResponse:
        """An event as BioT would send it, not sent: `{"event": "patient._update", "id": ..., "set": {...}}`."""
        document = await _object(request)
        words, identity, sets = (document.get(name) for name in ("event", "id", "set"))
        if not isinstance(words, str) or not isinstance(identity or "", str) or not isinstance(sets or {}, dict):
            raise BiotError(400, "BAD_REQUEST", "[event] and [id] are texts, [set] is an object")
        try:
            spec = parse_event([words])
        except ValueError as error:
            raise BiotError(400, "BAD_REQUEST", str(error)) from None
        return web.json_response(self._events.maker.make(spec, identity or "", sets or {}).shown())

    async def send_again(self, request: web.Request) -> web.StreamResponse:
        """Send a kept event once more, with a token and a trace of its own."""
        sent = await self._events.log.send_again(int(request.match_info["number"]), self._freshened)
        return web.json_response(sent.shown())

    async def initiator(self, request: web.Request) -> web.StreamResponse:
        """Who events say that it was, whoever's token came; null: the token's owner."""
        chosen = self._events.chosen_initiator
        shown = {"id": chosen.id, "tokenType": chosen.token_type} if chosen else None
        return web.json_response({"initiator": shown})

    async def set_initiator(self, request: web.Request) -> web.StreamResponse:
        """`{"id": ..., "tokenType": "USER"}`."""
        document = await _object(request)
        identity, token_type = document.get("id"), document.get("tokenType", "USER")
        if not isinstance(identity, str) or not identity or token_type not in TOKEN_TYPES:
            raise BiotError(400, "BAD_REQUEST", f"[id] is a text, [tokenType] one of {', '.join(TOKEN_TYPES)}")
        self._events.choose_initiator(identity, token_type)
        return await self.initiator(request)

    async def clear_initiator(self, request: web.Request) -> web.StreamResponse:
        self._events.chosen_initiator = None
        return web.Response(status=204)

    def _stories(self) -> Json:
        events = self._events.log.shown()
        traces = {event["traceId"] for event in events}
        calls = [seen for seen in self._history.shown() if seen["traceId"] in traces]
        return {"events": events, "calls": calls}

    def _freshened(self, event: SentEvent) -> tuple[Json, Mapping[str, str]]:
        return self._events.maker.freshened(event.body, event.headers)


async def _object(request: web.Request) -> Json:
    try:
        document: Any = json.loads(await request.read())
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise BiotError(400, "BAD_REQUEST", "The request body must be a JSON object")
    return document
