"""The events that the simulator has sent: the last ones with their bodies, which hold invented data alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from biot_sidecar.http.traceparent import trace_id_of
from biot_sidecar.simulator.event_names import event_name
from biot_sidecar.simulator.interception import Post
from biot_sidecar.simulator.values import BiotError, Json, timestamp
from biot_sidecar.telemetry.redact import printable

KEPT: Final = 200
_HIDDEN: Final = frozenset({"authorization"})

log = logging.getLogger("biot_sidecar.simulator")


@dataclass
class SentEvent:
    """One event: what was sent where, and what the plugin replied; `status` 0: nothing, or nothing yet."""

    number: int
    at: float
    url: str
    headers: Mapping[str, str]
    body: Json
    name: str
    trace_id: str
    again: int = 0  # the number of the event that this one repeats
    status: int = 0
    reply: Any = None
    seconds: float | None = None
    failure: str = ""

    def shown(self) -> Json:
        """As `/_simulator/events` shows it."""
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "began": self.at,
            "name": self.name,
            "hookType": self.headers.get("hooktype", ""),
            "url": self.url,
            "traceId": self.trace_id,
            "headers": {name: value for name, value in self.headers.items() if name not in _HIDDEN},
            "body": self.body,
            "again": self.again,
            "status": self.status,
            "reply": self.reply,
            "milliseconds": None if self.seconds is None else round(self.seconds * 1000, 1),
            "failure": self.failure,
        }

    def line(self) -> str:
        """The log line: names, never a value."""
        outcome = str(self.status) if self.status else f"failed: {self.failure}"
        again = f" (event {self.again} again)" if self.again else ""
        return f"event {self.name} -> {printable(self.url)} {outcome} in {(self.seconds or 0) * 1000:.0f} ms{again}"


class EventLog:
    """Sends events by `post` and keeps the last of them. `clock` is the wall clock in seconds."""

    def __init__(self, post: Post, clock: Callable[[], float], kept: int = KEPT) -> None:
        self._post = post
        self._clock = clock
        self._events: deque[SentEvent] = deque(maxlen=kept)
        self._sent = 0
        self._changed = asyncio.Event()

    async def __call__(self, url: str, event: Json, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Send an event and wait for its reply. Raises OSError or TimeoutError if the plugin cannot be reached."""
        return await self._send(self._added(url, event, headers))

    async def send_again(
        self, number: int, freshen: Callable[[SentEvent], tuple[Json, Mapping[str, str]]]
    ) -> SentEvent:
        """Send a kept event once more, as `freshen` makes it new; a plugin that cannot be reached is told in it.

        Raises BiotError 404 for an event that is not kept.
        """
        event = next((one for one in self._events if one.number == number), None)
        if event is None:
            raise BiotError(404, "NOT_FOUND", "This event is not kept (any more)")
        body, headers = freshen(event)
        again = self._added(event.url, body, headers, event.number)
        with contextlib.suppress(OSError):  # what came of it is kept with the event
            await self._send(again)
        return again

    def shown(self) -> list[Json]:
        """The last events, oldest first."""
        return [event.shown() for event in self._events]

    def wake(self) -> None:
        """Let whoever waits for something new look at what there is."""
        self._tell()

    async def changed(self) -> None:
        """Wait until something is new."""
        await self._changed.wait()

    def _added(self, url: str, body: Json, headers: Mapping[str, str], again: int = 0) -> SentEvent:
        self._sent += 1
        trace_id = trace_id_of(headers.get("traceparent", "").encode("latin-1", "replace")) or ""
        name = event_name(headers.get("hooktype", ""), body)
        event = SentEvent(self._sent, self._clock(), url, dict(headers), body, name, trace_id, again)
        self._events.append(event)
        self._tell()
        return event

    async def _send(self, event: SentEvent) -> tuple[int, Any]:
        try:
            event.status, event.reply = await self._post(event.url, event.body, event.headers)
            return event.status, event.reply
        except TimeoutError:
            event.failure = "no answer in time"
            raise
        except OSError as error:
            event.failure = error.strerror or "cannot be reached"
            raise
        finally:
            event.seconds = self._clock() - event.at
            log.info(event.line())
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
