"""Saving and reading measurements, asked through the whole simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.helpers import Desk

ONE = "/measurement/v1/measurements"
PATIENT = "11111111-1111-1111-1111-111111111111"
RANGE = {"patientId": PATIENT, "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z"}


def measured(minute: int, pulse: Any, device: str = "dev-1", session: str | None = None) -> Any:
    metadata = {"timestamp": f"2026-01-01T12:{minute:02}:00Z", "deviceId": device, "patientId": PATIENT}
    return {"metadata": metadata | ({"sessionId": session} if session else {}), "data": {"pulse": pulse}}


async def raw_v1(desk: Desk, **changes: str) -> Any:
    return (await desk.ask("GET", f"{ONE}/raw", query=RANGE | {"attributes": "pulse"} | changes)).body["attributes"]


async def raw_v2(desk: Desk, **request: Any) -> Any:
    return await desk.ask("GET", "/measurement/v2/measurements/raw", query={"searchRequest": json.dumps(request)})


async def test_saving_one_answers_200_and_the_message_itself(desk: Desk) -> None:
    saved = await desk.ask("POST", ONE, measured(0, 60))
    assert (saved.status, saved.body) == (200, measured(0, 60))


async def test_a_bulk_answers_200_and_206_when_some_could_not_be_saved(desk: Desk) -> None:
    good = await desk.ask("POST", f"{ONE}/bulk", {"measures": [measured(0, 60), measured(1, 61)]})
    assert (good.status, good.body["metadata"]) == (200, {"numberOfMeasuresSaved": 2, "numberOfMeasuresFailed": 0})
    bad = {"metadata": {"timestamp": "noon"}, "data": {"pulse": 1}}
    mixed = await desk.ask("POST", f"{ONE}/bulk", {"measures": [bad, measured(2, 62), "nonsense"]})
    assert (mixed.status, mixed.body["metadata"]) == (206, {"numberOfMeasuresSaved": 1, "numberOfMeasuresFailed": 2})
    assert mixed.body["failedMeasures"][0]["data"] == {"pulse": 1}
    assert mixed.body["failedMeasures"][0]["failureData"][0]["attributeName"] == "timestamp"


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {}, "data": []},
        {"metadata": {"timestamp": "noon"}},
        {"metadata": 5},
        {"metadata": {"deviceId": "x"}},
    ],
)
async def test_a_measurement_without_a_readable_time_is_refused(desk: Desk, body: Any) -> None:
    assert (await desk.ask("POST", ONE, body)).status == 400


async def test_a_bulk_that_is_no_list_is_refused(desk: Desk) -> None:
    assert (await desk.ask("POST", f"{ONE}/bulk", {"measures": {"a": 1}})).status == 400


async def test_v1_sorts_by_attribute_source_session_and_time(desk: Desk) -> None:
    for measure in (measured(2, 62), measured(1, 61), measured(3, 70, "dev-2", "s-1"), measured(4, {"data": [1, 2]})):
        await desk.ask("POST", ONE, measure)
    (attribute,) = await raw_v1(desk)
    assert attribute["attributeName"] == "pulse"
    first, second = attribute["sources"]
    assert [entry["data"] for entry in first["measurementSessions"][0]["measurements"]] == [[61], [62], [1, 2]]
    assert (second["sourceEntityId"], second["measurementSessions"][0]["sessionId"]) == ("dev-2", "s-1")


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        ({}, 2),
        ({"sourceEntityId": "dev-2"}, 1),
        ({"sessionId": "s-1"}, 1),
        ({"patientId": "another"}, 0),
        ({"startTime": "2026-01-01T12:03:00Z"}, 1),
        ({"endTime": "2026-01-01T12:02:00Z"}, 1),
        ({"attributes": "unheard"}, 0),
    ],
)
async def test_v1_reads_what_its_parameters_ask_for(desk: Desk, changes: dict[str, str], sources: int) -> None:
    await desk.ask("POST", ONE, measured(2, 62))
    await desk.ask("POST", ONE, measured(3, 70, "dev-2", "s-1"))
    assert len((await raw_v1(desk, **changes))[0]["sources"]) == sources


@pytest.mark.parametrize("missing", ["patientId", "startTime", "endTime"])
async def test_v1_needs_a_patient_and_a_range(desk: Desk, missing: str) -> None:
    query = {name: value for name, value in RANGE.items() if name != missing}
    assert (await desk.ask("GET", f"{ONE}/raw", query=query)).status == 400


async def test_v2_pages_by_token_until_nothing_is_left(desk: Desk) -> None:
    for minute in (3, 1, 2):
        await desk.ask("POST", ONE, measured(minute, minute))
    first = (await raw_v2(desk, limitPerPage=2)).body
    assert [entry["data"]["pulse"] for entry in first["data"]] == [1, 2]
    last = (await raw_v2(desk, limitPerPage=2, nextToken=first["metadata"]["nextToken"])).body
    assert [entry["data"]["pulse"] for entry in last["data"]] == [3]
    assert "nextToken" not in last["metadata"]


async def test_v2_filters_and_sorts(desk: Desk) -> None:
    await desk.ask("POST", ONE, measured(1, 1))
    await desk.ask("POST", ONE, measured(2, 2, "dev-2"))
    await desk.ask("POST", ONE, measured(3, 3, "dev-2"))
    found = await raw_v2(
        desk, filter={"sourceEntityId": {"eq": "dev-2"}}, sort=[{"prop": "timestamp", "order": "DESC"}]
    )
    assert [entry["data"]["pulse"] for entry in found.body["data"]] == [3, 2]


async def test_a_measurement_without_metadata_is_of_now(desk: Desk) -> None:
    assert (await desk.ask("POST", ONE, {"data": {"pulse": 5}})).status == 200
    (found,) = (await raw_v2(desk)).body["data"]
    assert found["timestamp"] == "2025-11-24T16:00:00.000Z"
