"""Measurements in memory: single and bulk saving, raw and aggregated reading by v1's parameters and v2's filters."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.measurement_filters import Wanted, aggregated_v2_filter, raw_v2_filter, v1_parameters
from biot_sidecar.simulator.store import Collection
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Json, instant, timestamp

KEPT = 100_000
"""How many measurements are remembered; older ones go first."""

NO_SESSION = "00000000-0000-0000-0000-000000000000"


class Measurements:
    """What was measured, in the shape of v2's raw answer. `devices` tell whose patient it is of."""

    def __init__(self, devices: Collection) -> None:
        self._devices = devices
        self._saved: deque[Json] = deque(maxlen=KEPT)

    def save(self, call: Call) -> Answer:
        """`POST /measurement/v1/measurements`; answers the message itself."""
        message = call.document()
        problem = _problem(message)
        if problem:
            raise BiotError(400, "BAD_REQUEST", problem)
        self._saved.append(self._saved_form(message, call.now))
        call.changes.append(Change("patient", "_saveMeasurement", message))
        return Answer(200, message)

    def save_bulk(self, call: Call) -> Answer:
        """`POST /measurement/v1/measurements/bulk`: 200, or 206 when some measures could not be saved."""
        measures = call.document().get("measures") or []
        if not isinstance(measures, list):
            raise BiotError(400, "BAD_REQUEST", "[measures] must be a list")
        failed = [_failed(message, problem) for message in measures if (problem := _problem(message))]
        good = [message for message in measures if not _problem(message)]
        self._saved.extend(self._saved_form(message, call.now) for message in good)
        if good:
            call.changes.append(Change("patient", "_saveMeasurementBulk", {"measures": good}))
        counts = {"numberOfMeasuresSaved": len(good), "numberOfMeasuresFailed": len(failed)}
        return Answer(206 if failed else 200, {"metadata": counts, "failedMeasures": failed})

    def raw_v1(self, call: Call) -> Answer:
        """`GET /measurement/v1/measurements/raw`: attribute, then source, then session, then time."""
        wanted = v1_parameters(call)

        def shown(entries: list[tuple[float, Json, Any]]) -> list[Json]:
            return [{"timestamp": one["timestamp"], "data": numbers(value)} for _, one, value in entries]

        return Answer(200, {"attributes": self._by_source(call.query.get("attributes", []), wanted, shown)})

    def aggregated_v1(self, call: Call) -> Answer:
        """`GET /measurement/v1/measurements/aggregated`: the same, in intervals."""
        wanted = v1_parameters(call, aggregated=True)

        def shown(entries: list[tuple[float, Json, Any]]) -> list[Json]:
            bins = _bins(((moment, value) for moment, _, value in entries), wanted)
            return [{"timestamp": timestamp(start)} | _aggregate(found) for start, found in sorted(bins.items())]

        return Answer(200, {"attributes": self._by_source(call.query.get("attributes", []), wanted, shown)})

    def raw_v2(self, call: Call) -> Answer:
        """`GET /measurement/v2/measurements/raw`: pages by `nextToken`, here the number of the first result."""
        request = search.parse(call.parameter("searchRequest"))
        wanted = raw_v2_filter(request.filter, call)
        found = [one for _, one in self._found(wanted)]
        if wanted.attributes is not None:
            found = [_reduced(one, wanted.attributes) for one in found if one["data"].keys() & wanted.attributes]
        return _token_page(call, search.ordered(found, request.sort or [{"prop": "timestamp", "order": "ASC"}]))

    def aggregated_v2(self, call: Call) -> Answer:
        """`GET /measurement/v2/measurements/aggregated`: one entry for each interval that has data."""
        wanted = aggregated_v2_filter(search.parse(call.parameter("searchRequest")).filter, call)
        bins: dict[float, dict[str, list[float]]] = {}
        for moment, one in self._found(wanted):
            for name, value in one["data"].items():
                if numbers(value) and (wanted.attributes is None or name in wanted.attributes):
                    bins.setdefault(wanted.bin_of(moment), {}).setdefault(name, []).extend(numbers(value))
        data = [
            {
                "timestamp": {"from": timestamp(start), "to": timestamp(start + wanted.seconds)},
                "data": {name: _aggregate(found) for name, found in attributes.items()},
            }
            for start, attributes in sorted(bins.items())
        ]
        return _token_page(call, data)

    def between(self, start: float | None, end: float | None) -> list[Json]:
        """The measurements of a range of time."""
        return [one for _, one in self._found(Wanted({}, start or 0.0, math.inf if end is None else end))]

    def _found(self, wanted: Wanted) -> Iterator[tuple[float, Json]]:
        """The measurements that are wanted, with their moments."""
        for one in self._saved:
            moment = instant(one["timestamp"]) or 0.0
            if wanted.has(one, moment):
                yield moment, one

    def _by_source(self, attributes: list[str], wanted: Wanted, shown: Any) -> list[Json]:
        tree: dict[str, dict[str, dict[str, list[Any]]]] = {name: {} for name in attributes}
        for moment, one in sorted(self._found(wanted), key=lambda pair: pair[0]):
            for name in tree.keys() & one["data"].keys():
                sessions = tree[name].setdefault(one["sourceEntityId"], {})
                sessions.setdefault(one["sessionId"], []).append((moment, one, one["data"][name]))
        return [
            {
                "attributeName": name,
                "sources": [
                    {
                        "sourceEntityId": source,
                        "measurementSessions": [
                            {"sessionId": session, "measurements": shown(entries)}
                            for session, entries in sessions.items()
                        ],
                    }
                    for source, sessions in sources.items()
                ],
            }
            for name, sources in tree.items()
        ]

    def _saved_form(self, message: Json, now: float) -> Json:
        metadata = message.get("metadata") or {}
        device = self._devices.get(str(metadata.get("deviceId"))) or {}
        patient = metadata.get("patientId") or (device.get("_patient") or {}).get("id") or ""
        return {
            "patientId": patient,
            "sessionId": metadata.get("sessionId") or NO_SESSION,
            "sourceEntityId": metadata.get("deviceId") or patient,
            "timestamp": metadata.get("timestamp") or timestamp(now),
            "data": message.get("data") or {},
        }


def _bins(entries: Iterable[tuple[float, Any]], wanted: Wanted) -> dict[float, list[float]]:
    bins: dict[float, list[float]] = {}
    for moment, value in entries:
        if numbers(value):
            bins.setdefault(wanted.bin_of(moment), []).extend(numbers(value))
    return bins


def _aggregate(found: list[float]) -> Json:
    average = math.fsum(found) / len(found)
    variance = math.fsum((value - average) ** 2 for value in found) / len(found)
    return {"average": average, "standardDeviation": math.sqrt(variance)}


def _reduced(measurement: Json, attributes: set[str]) -> Json:
    return measurement | {"data": {name: value for name, value in measurement["data"].items() if name in attributes}}


def _token_page(call: Call, data: list[Json]) -> Answer:
    document = search.document_of(call.parameter("searchRequest"))
    limit, first = search.token_page(document)
    metadata: Json = {"limitPerPage": limit, "filter": document.get("filter") or {}, "sort": document.get("sort") or []}
    if first + limit < len(data):
        metadata["nextToken"] = str(first + limit)
    return Answer(200, {"data": data[first : first + limit], "metadata": metadata})


def _problem(message: Any) -> str:
    """Why a measurement message cannot be saved; empty if it can. A message without metadata is of now."""
    if not isinstance(message, dict) or not isinstance(message.get("data") or {}, dict):
        return "A measurement must be an object with the objects [metadata] and [data]"
    metadata = message.get("metadata") or {}
    if not isinstance(metadata, dict):
        return "[metadata] must be an object"
    if metadata and instant(metadata.get("timestamp")) is None:
        return "[metadata.timestamp] must be a date-time in the ISO 8601 format"
    return ""


def _failed(message: Any, problem: str) -> Json:
    shown = {key: message[key] for key in ("data",) if isinstance(message, dict) and isinstance(message.get(key), dict)}
    return shown | {"failureData": [{"attributeName": "timestamp", "description": problem, "code": "BAD_REQUEST"}]}


def numbers(value: Any) -> list[float]:
    """v1 has numbers only: one, a list of them, or a waveform's `data`."""
    items = value.get("data") if isinstance(value, dict) else value
    items = items if isinstance(items, list) else [items]
    return [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
