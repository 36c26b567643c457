"""The ring of finished requests, and those who watch it."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import msgspec
import pytest
from biot_sidecar.errors import Code
from biot_sidecar.inspector.masking import Field
from biot_sidecar.inspector.record import Durations, Record, durations_of, record_of
from biot_sidecar.inspector.recorder import KEPT, Recorder
from biot_sidecar.routing.route import Route, Verdict

from tests.inspector.examples import AT, PATIENTS, TRACE, finished

CANARY = b"canary-7f3a"


# ---- one record


def test_tells_what_became_of_a_request() -> None:
    record = record_of(
        finished(number=7, tries=2, retries=("connect",), reused=True, request_bytes=7, response_bytes=9), 42
    )
    assert (record.number, record.id, record.at, record.trace_id) == (42, 7, AT, TRACE)
    assert (record.method, record.template) == ("PATCH", "/organization/v1/users/patients/{id}")
    assert (record.rule, record.source) == ("patient updates run interceptors", "config/routes.yaml:9")
    assert (record.interception, record.authorization) == ("set", "replace")
    assert (record.status, record.upstream_status, record.code, record.refused) == (200, 200, "", "")
    assert (record.tries, record.retries, record.reused) == (2, ("connect",), True)
    assert (record.token_age, record.token_result) == (61.0, "hit")
    assert (record.request_bytes, record.response_bytes) == (7, 9)
    assert not record.client_gone
    assert not record.cut


def test_tells_of_a_request_that_was_refused_before_the_rules() -> None:
    exchange = finished(
        verdict=None, code=Code.HOST_REFUSED, refused="host", status=421, upstream_status=0, tries=0, token_age=-1.0
    )
    record = record_of(exchange, 1)
    assert (record.template, record.rule, record.source, record.authorization) == ("", "", "", "")
    assert (record.code, record.refused, record.status) == ("SIDECAR_HOST_REFUSED", "host", 421)
    assert record.interception == "none"
    assert record.token_age is None


def test_tells_of_a_request_that_a_stricter_file_would_deny() -> None:
    observing = Route(name="no keys", source="config/routes.yaml:20", observe="plugins manage none")
    observed = Verdict(route=PATIENTS, template="/x", observed=observing)
    assert record_of(finished(verdict=observed), 1).would_deny == "no keys: plugins manage none"
    assert record_of(finished(), 1).would_deny == ""
    assert record_of(finished(verdict=None), 1).would_deny == ""


def test_tells_of_a_client_that_left_and_of_a_cut_answer() -> None:
    assert record_of(finished(client_gone=True), 1).client_gone
    assert record_of(finished(status=0), 1).client_gone
    assert record_of(finished(cut=True), 1).cut


@pytest.mark.parametrize(
    ("age", "result", "shown"), [(61.5, "hit", 61.5), (-0.4, "wait", 0.0), (-1.0, "", None), (-1.0, "fail", None)]
)
def test_a_token_that_was_waited_for_has_no_age(age: float, result: str, shown: float | None) -> None:
    assert record_of(finished(token_age=age, token_result=result), 1).token_age == shown


def test_the_parts_of_the_duration_add_up_to_the_whole() -> None:
    parts = {"token_wait": 0.25, "connect": 0.125, "first_byte": 0.25, "paused": 0.125}
    split = durations_of(finished(started=10.0, finished=11.0, **parts))
    assert split == Durations(total=1.0, token=0.25, connect=0.125, first_byte=0.25, pause=0.125, rest=0.25)


def test_no_part_of_the_duration_is_negative() -> None:
    """An answer can begin before the request's end: the parts overlap then."""
    assert durations_of(finished(started=1.0, finished=1.5, connect=0.3, first_byte=0.4)).rest == 0.0


def test_holds_nothing_that_must_not_be_shown() -> None:
    exchange = finished(
        method=CANARY,
        query=b"search=" + CANARY + b"&" + CANARY,
        request_headers=[(b"Authorization", b"Bearer " + CANARY), (b"Cookie", CANARY), (b"Accept", b"*/*")],
        response_headers=[(b"Set-Cookie", CANARY), (b"Location", b"https://s3.example/" + CANARY)],
    )
    record = record_of(exchange, 1)
    assert record.method == "_OTHER"
    assert record.query == ["search", "?"]
    assert record.request_headers == (Field("Authorization", None), Field("Cookie", None), Field("Accept", "*/*"))
    assert CANARY not in msgspec.json.encode(record)
    assert CANARY.decode() not in repr(record)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        record_of(finished(), 1).status = 500  # type: ignore[misc]


# ---- the ring


def test_keeps_the_last_requests_only() -> None:
    recorder = Recorder()
    for _ in range(KEPT + 20):
        recorder.finished(finished())
    numbers = [record.number for record in recorder.records()]
    assert (numbers[0], numbers[-1], len(numbers)) == (21, KEPT + 20, KEPT)
    assert all(after == before + 1 for before, after in pairwise(numbers))


# ---- those who watch


async def test_a_watcher_gets_what_comes_while_it_watches() -> None:
    recorder = Recorder()
    recorder.finished(finished(status=201))
    with recorder.watching() as watcher:
        recorder.finished(finished(status=202))
        recorder.finished(finished(status=203))
        news = await watcher.news()
    recorder.finished(finished(status=204))
    assert news is not None
    assert statuses(news.records) == [202, 203]
    assert news.missed == 0


async def test_a_watcher_waits_until_something_comes() -> None:
    recorder = Recorder()
    with recorder.watching() as watcher:
        waiting = asyncio.ensure_future(watcher.news())
        await asyncio.sleep(0)
        assert not waiting.done()
        recorder.finished(finished(status=418))
        news = await waiting
    assert news is not None
    assert statuses(news.records) == [418]


async def test_each_record_is_told_once() -> None:
    recorder = Recorder()
    with recorder.watching() as watcher:
        recorder.finished(finished(status=201))
        await watcher.news()
        recorder.finished(finished(status=202))
        news = await watcher.news()
    assert news is not None
    assert statuses(news.records) == [202]


async def test_every_watcher_gets_all() -> None:
    recorder = Recorder()
    with recorder.watching() as one, recorder.watching() as other:
        recorder.finished(finished())
        assert await one.news() == await other.news()


async def test_a_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    recorder = Recorder(kept=3)
    with recorder.watching() as watcher:
        for status in range(200, 208):
            recorder.finished(finished(status=status))
        news = await watcher.news()
        recorder.finished(finished(status=208))
        later = await watcher.news()
    assert news is not None
    assert statuses(news.records) == [205, 206, 207]
    assert news.missed == 5
    assert later is not None
    assert later.missed == 0


async def test_nobody_is_kept_who_no_longer_watches() -> None:
    recorder = Recorder()
    with recorder.watching():
        assert recorder.watchers == 1
    assert recorder.watchers == 0


async def test_closing_wakes_every_watcher_and_those_who_come_later() -> None:
    recorder = Recorder()
    with recorder.watching() as watcher:
        waiting = asyncio.ensure_future(watcher.news())
        await asyncio.sleep(0)
        recorder.close()
        assert await waiting is None
    with recorder.watching() as late:
        assert await late.news() is None


def statuses(records: tuple[Record, ...]) -> list[int]:
    return [record.status for record in records]
