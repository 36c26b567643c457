"""Follows the events that a simulator sends to plugins, and tells a sidecar's inspector of those that have ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from biot_sidecar.cli.event_feed import EventFeed

_LONGEST: Final = 64 * 1024 * 1024
"""Bytes of a message: the last events with their bodies."""


class EndedEvent(NamedTuple):
    """What is told of an event."""

    about: str
    status: int
    at: float
    seconds: float
    trace_id: str


async def follow(simulator: str, feed: EventFeed) -> None:
    """Tell `feed` of each event once, until the simulator ends. What it has told before is forgotten with it."""
    import aiohttp  # the demo brings it; the other commands that import this module do without

    told: set[int] = set()
    try:
        async with (
            aiohttp.ClientSession(trust_env=False, read_bufsize=_LONGEST) as session,
            session.get(f"{simulator}/_simulator/events/stream", timeout=aiohttp.ClientTimeout(total=None)) as response,
        ):
            async for message in _messages(response):
                for event in message["events"]:
                    if event["milliseconds"] is not None and event["number"] not in told:
                        told.add(event["number"])
                        feed.tell(ended_event(event))
    except (aiohttp.ClientError, OSError):
        return


def ended_event(event: Any) -> EndedEvent:
    """Of an event as the simulator shows it."""
    return EndedEvent(event["name"], event["status"], event["began"], event["milliseconds"] / 1000, event["traceId"])


async def _messages(response: Any) -> AsyncIterator[Any]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))
