"""Saving and reading measurements, asked through the whole simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.helpers import Desk

ONE = "/measurement/v1/measurements"
PATIENT = "11111111-1111-1111-1111-111111111111"
SESSION = "77777777-7777-7777-7777-777777777770"
V2 = "/measurement/v2/measurements"
DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
RANGE = {"patientId": PATIENT, "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z"}


def measured(minute: int, pulse: Any, device: str = "dev-1", session: str | None = None) -> Any:
    metadata = {"timestamp": f"2026-01-01T12:{minute:02}:00Z", "deviceId": device, "patientId": PATIENT}
    return {"metadata": metadata | ({"sessionId": session} if session else {}), "data": {"pulse": pulse}}


async def raw_v1(desk: Desk, **changes: str) -> Any:
    return (await desk.ask("GET", f"{ONE}/raw", query=RANGE | {"attributes": "pulse"} | changes)).body["attributes"]


async def raw_v2(desk: Desk, **request: Any) -> Any:
    return await search_v2(desk, "raw", {"filter": {"timestamp": DAY}} | request)


async def search_v2(desk: Desk, which: str, request: Any) -> Any:
    return await desk.ask("GET", f"{V2}/{which}", query={"searchRequest": json.dumps(request)})


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
    for measure in (measured(2, 62), measured(1, 61), measured(3, 70, "dev-2", SESSION), measured(4, {"data": [1, 2]})):
        await desk.ask("POST", ONE, measure)
    (attribute,) = await raw_v1(desk)
    assert attribute["attributeName"] == "pulse"
    first, second = attribute["sources"]
    assert [entry["data"] for entry in first["measurementSessions"][0]["measurements"]] == [[61], [62], [1, 2]]
    assert (second["sourceEntityId"], second["measurementSessions"][0]["sessionId"]) == ("dev-2", SESSION)


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        ({}, 2),
        ({"sourceEntityId": "dev-2"}, 1),
        ({"sessionId": SESSION}, 1),
        ({"patientId": "another"}, 0),
        ({"startTime": "2026-01-01T12:03:00Z"}, 1),
        ({"endTime": "2026-01-01T12:02:00Z"}, 1),
        ({"attributes": "unheard"}, 0),
    ],
)
async def test_v1_reads_what_its_parameters_ask_for(desk: Desk, changes: dict[str, str], sources: int) -> None:
    await desk.ask("POST", ONE, measured(2, 62))
    await desk.ask("POST", ONE, measured(3, 70, "dev-2", SESSION))
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


@pytest.mark.parametrize(
    ("filters", "pulses"),
    [
        ({}, [1, 2, 3]),
        ({"_patient.id": {"eq": PATIENT}}, [1, 2, 3]),
        ({"_patient.id": {"eq": SESSION}}, []),
        ({"_sourceEntity.id": {"eq": "dev-2"}}, [2, 3]),
        ({"_session.id": {"eq": SESSION}}, [3]),
        ({"timestamp": {"from": "2026-01-01T12:02:00Z", "to": "2026-01-01T12:02:30Z"}}, [2]),
        ({"attributes": {"in": ["pulse", "unheard"]}}, [1, 2, 3]),
        ({"attributes": {"in": ["unheard", ["pulse"], None]}}, []),
    ],
)
async def test_v2_filters_by_biots_five_names(desk: Desk, filters: Any, pulses: list[int]) -> None:
    await desk.ask("POST", ONE, measured(1, 1))
    await desk.ask("POST", ONE, measured(2, 2, "dev-2"))
    await desk.ask("POST", ONE, measured(3, 3, "dev-2", SESSION))
    found = await raw_v2(desk, filter={"timestamp": DAY} | filters)
    assert [entry["data"]["pulse"] for entry in found.body["data"]] == pulses
    newest = await raw_v2(desk, filter={"timestamp": DAY} | filters, sort=[{"prop": "timestamp", "order": "DESC"}])
    assert [entry["data"]["pulse"] for entry in newest.body["data"]] == pulses[::-1]


async def test_v2_shows_only_the_attributes_that_were_asked_for(desk: Desk) -> None:
    await desk.ask("POST", ONE, measured(1, 1) | {"data": {"pulse": 1, "spo2": 98}})
    found = await raw_v2(desk, filter={"timestamp": DAY, "attributes": {"in": ["spo2"]}})
    assert found.body["data"][0]["data"] == {"spo2": 98}


PATIENT_EQ = {"_patient.id": {"eq": PATIENT}}
BINS = {"binIntervalSeconds": {"eq": 120}}


@pytest.mark.parametrize(
    ("which", "filters", "code"),
    [
        ("raw", {}, "MISSING_MANDATORY_FILTER"),
        ("raw", {"timestamp": {}}, "MISSING_MANDATORY_FILTER"),
        ("raw", {"timestamp": {"from": DAY["from"]}}, "TIMESTAMP_FROM_TO_MISSING"),
        ("raw", {"timestamp": {"gt": 5}}, "TIMESTAMP_FROM_TO_MISSING"),
        ("raw", {"timestamp": {"from": "noon", "to": DAY["to"]}}, "TIMESTAMP_FROM_TO_MISSING"),
        ("raw", {"timestamp": {"from": DAY["to"], "to": DAY["from"]}}, "INVALID_TIME_RANGE"),
        ("raw", {"timestamp": DAY, "_patient.id": {"in": [PATIENT]}}, "PATIENT_ID_EQ_MISSING"),
        ("raw", {"timestamp": DAY, "_session.id": {"in": [SESSION]}}, "BAD_REQUEST"),
        ("raw", {"timestamp": DAY, "sourceEntityId": {"eq": "dev-2"}}, "BAD_REQUEST"),
        ("raw", {"timestamp": DAY, "patientId": {"eq": PATIENT}}, "BAD_REQUEST"),
        ("raw", {"timestamp": DAY | {"gt": 5}}, "BAD_REQUEST"),
        ("aggregated", PATIENT_EQ | BINS, "MISSING_MANDATORY_FILTER"),
        ("aggregated", {"timestamp": DAY} | BINS, "MISSING_MANDATORY_FILTER"),
        ("aggregated", {"timestamp": DAY} | PATIENT_EQ, "MISSING_MANDATORY_FILTER"),
        ("aggregated", {"timestamp": DAY, "_patient.id": {"like": "1"}} | BINS, "PATIENT_ID_EQ_MISSING"),
        (
            "aggregated",
            {"timestamp": DAY, "binIntervalSeconds": {"gt": 1}} | PATIENT_EQ,
            "BIN_INTERVAL_SECONDS_EQ_MISSING",
        ),
        (
            "aggregated",
            {"timestamp": DAY, "binIntervalSeconds": {"eq": "many"}} | PATIENT_EQ,
            "BIN_INTERVAL_SECONDS_IS_NOT_A_NUMBER",
        ),
        (
            "aggregated",
            {"timestamp": DAY, "binIntervalSeconds": {"eq": 0}} | PATIENT_EQ,
            "BIN_INTERVAL_SECONDS_IS_NOT_POSITIVE",
        ),
        (
            "aggregated",
            {"timestamp": DAY, "binIntervalSeconds": {"eq": "nan"}} | PATIENT_EQ,
            "BIN_INTERVAL_SECONDS_IS_NOT_POSITIVE",
        ),
        (
            "aggregated",
            {"timestamp": DAY, "attributes": {"eq": "pulse"}} | PATIENT_EQ | BINS,
            "ATTRIBUTES_IN_OPERATOR_IS_MISSING",
        ),
    ],
)
async def test_v2_refuses_what_biot_refuses(desk: Desk, which: str, filters: Any, code: str) -> None:
    refused = await search_v2(desk, which, {"filter": filters})
    assert (refused.status, refused.body["code"]) == (400, code)


async def test_v2_aggregates_in_intervals_from_the_start_of_the_range(desk: Desk) -> None:
    for minute, pulse in ((0, 60), (1, 64), (2, 70)):
        await desk.ask("POST", ONE, measured(minute, pulse))
    found = await search_v2(desk, "aggregated", {"filter": {"timestamp": DAY} | PATIENT_EQ | BINS})
    assert found.body["data"] == [
        {
            "timestamp": {"from": "2026-01-01T12:00:00.000Z", "to": "2026-01-01T12:02:00.000Z"},
            "data": {"pulse": {"average": 62, "standardDeviation": 2}},
        },
        {
            "timestamp": {"from": "2026-01-01T12:02:00.000Z", "to": "2026-01-01T12:04:00.000Z"},
            "data": {"pulse": {"average": 70, "standardDeviation": 0}},
        },
    ]


async def test_v1_aggregates_by_source_and_session(desk: Desk) -> None:
    for minute, pulse in ((0, 60), (1, 64), (2, 70)):
        await desk.ask("POST", ONE, measured(minute, pulse))
    query = RANGE | {"attributes": "pulse", "binIntervalSeconds": "120"}
    found = await desk.ask("GET", f"{ONE}/aggregated", query=query)
    (source,) = found.body["attributes"][0]["sources"]
    assert source["measurementSessions"][0]["measurements"] == [
        {"timestamp": "2026-01-01T12:00:00.000Z", "average": 62, "standardDeviation": 2},
        {"timestamp": "2026-01-01T12:02:00.000Z", "average": 70, "standardDeviation": 0},
    ]


@pytest.mark.parametrize("seconds", ["0", "-5", "many", "", "9" * 400])
async def test_v1_refuses_an_interval_that_is_none(desk: Desk, seconds: str) -> None:
    refused = await desk.ask("GET", f"{ONE}/aggregated", query=RANGE | {"binIntervalSeconds": seconds})
    assert (refused.status, refused.body["code"]) == (400, "INVALID_BIN_INTERVAL")


async def test_v1_refuses_a_range_that_ends_before_it_starts(desk: Desk) -> None:
    refused = await desk.ask("GET", f"{ONE}/raw", query=RANGE | {"endTime": RANGE["startTime"]})
    assert (refused.status, refused.body["code"]) == (400, "INVALID_TIME_RANGE")


async def test_a_measurement_of_a_device_is_its_patients(desk: Desk) -> None:
    message = {"metadata": {"timestamp": "2026-01-01T12:00:00Z", "deviceId": "demo-device-1"}, "data": {"pulse": 5}}
    await desk.ask("POST", ONE, message)
    assert (await raw_v2(desk)).body["data"][0]["patientId"] == PATIENT


async def test_a_measurement_without_metadata_is_of_now(desk: Desk) -> None:
    assert (await desk.ask("POST", ONE, {"data": {"pulse": 5}})).status == 200
    today = {"timestamp": {"from": "2025-11-24T00:00:00Z", "to": "2025-11-25T00:00:00Z"}}
    (found,) = (await raw_v2(desk, filter=today)).body["data"]
    assert found["timestamp"] == "2025-11-24T16:00:00.000Z"
