"""The events that `lambda` tells of: lines on a pipe become records beside the requests, nonsense becomes nothing."""

from __future__ import annotations

import json
import os

import pytest
from biot_sidecar.cli.event_feed import EventFeed
from biot_sidecar.inspector.event_feed import EVENT, ToldEvent, event_record, read_events
from biot_sidecar.inspector.recorder import Recorder

TOLD = {"about": "NOTIFICATION patient._update", "status": 200, "at": 1.5, "seconds": 0.25, "trace_id": "a" * 32}


def test_an_event_is_a_record_among_the_requests() -> None:
    record = event_record(ToldEvent(**TOLD))
    assert (record.method, record.template, record.status) == (EVENT, "NOTIFICATION patient._update", 200)
    assert (record.at, record.durations.total, record.trace_id) == (1.5, 0.25, "a" * 32)


async def test_each_line_of_the_pipe_is_an_event_and_what_is_none_is_passed_over() -> None:
    recorder = Recorder()
    theirs, ours = os.pipe()
    os.write(
        ours, json.dumps(TOLD).encode() + b"\nnonsense\n{}\n" + json.dumps(TOLD | {"status": 502}).encode() + b"\n"
    )
    os.close(ours)
    await read_events(theirs, recorder)
    assert [record.status for record in recorder.records()] == [200, 502]


async def test_what_is_no_pipe_is_refused(tmp_path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDONLY)
    with pytest.raises(ValueError, match=r"[Pp]ipe"):
        await read_events(descriptor, Recorder())


def test_an_event_that_nobody_reads_holds_nothing_up() -> None:
    feed = EventFeed()
    (theirs,) = feed.descriptors
    assert feed.variables == {"SIDECAR_EVENTS_FD": str(theirs)}
    for _ in range(2000):
        feed.tell(ToldEvent(**TOLD))
    assert json.loads(os.read(theirs, 65536).splitlines()[0]) == TOLD
    feed.handed_over()
    feed.tell(ToldEvent(**TOLD))
    assert feed.descriptors == ()
