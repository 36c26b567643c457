"""What `lambda` tells of the plugin's events: lines of JSON on a pipe, kept as records beside the requests'."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import msgspec

from biot_sidecar.inspector.record import Durations, Record
from biot_sidecar.inspector.recorder import Recorder

EVENT: Final = "EVENT"
"""The method of such a record; no request has it."""
LONGEST: Final = 16384
"""Bytes of a line."""
_TEXT_MOST: Final = 300


class ToldEvent(msgspec.Struct, frozen=True):
    """One event that has ended: names and figures. `at` is wall-clock seconds."""

    about: str
    status: int
    at: float
    seconds: float
    trace_id: str


_decoder: Final = msgspec.json.Decoder(ToldEvent)


def event_record(event: ToldEvent) -> Record:
    """The event among the requests: what it was takes the place of method and path."""
    return Record(
        number=0, id=0, at=event.at, method=EVENT, template=event.about[:_TEXT_MOST], query=[],
        rule="", source="", interception="none", authorization="",
        status=event.status, upstream_status=0, code="", refused="", would_deny="",
        durations=Durations(event.seconds, 0.0, 0.0, 0.0, 0.0, event.seconds),
        tries=0, retries=(), token_age=None, token_result="", reused=False,
        request_bytes=0, response_bytes=0, client_gone=False, cut=False,
        trace_id=event.trace_id[:32], request_headers=(), response_headers=(),
    )  # fmt: skip


async def read_events(descriptor: int, recorder: Recorder) -> None:
    """Until the pipe ends. What is no event is passed over. Raises OSError, or ValueError for what is no pipe."""
    reader = asyncio.StreamReader(limit=LONGEST)
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    try:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    except ValueError:
        pipe.close()
        raise
    try:
        while line := await reader.readline():
            try:
                recorder.keep(event_record(_decoder.decode(line)))
            except msgspec.DecodeError:
                continue
    finally:
        transport.close()
