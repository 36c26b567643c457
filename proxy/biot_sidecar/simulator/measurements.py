"""Measurements in memory: single and bulk saving, raw reading by v1's parameters and by v2's token paging."""

from __future__ import annotations

from collections import deque
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, instant, timestamp

KEPT = 100_000
"""How many measurements are remembered; older ones go first."""

NO_SESSION = "00000000-0000-0000-0000-000000000000"


class Measurements:
    """What devices and plugins have measured, in the shape of v2's raw answer."""

    def __init__(self) -> None:
        self._saved: deque[Json] = deque(maxlen=KEPT)

    def save(self, call: Call) -> Answer:
        """`POST /measurement/v1/measurements`; answers the message itself."""
        message = call.document()
        problem = _problem(message)
        if problem:
            raise BiotError(400, "BAD_REQUEST", problem)
        self._saved.append(_saved_form(message, call.now))
        return Answer(200, message)

    def save_bulk(self, call: Call) -> Answer:
        """`POST /measurement/v1/measurements/bulk`: 200, or 206 when some measures could not be saved."""
        measures = call.document().get("measures") or []
        if not isinstance(measures, list):
            raise BiotError(400, "BAD_REQUEST", "[measures] must be a list")
        failed = [_failed(message, problem) for message in measures if (problem := _problem(message))]
        self._saved.extend(_saved_form(message, call.now) for message in measures if not _problem(message))
        counts = {"numberOfMeasuresSaved": len(measures) - len(failed), "numberOfMeasuresFailed": len(failed)}
        return Answer(206 if failed else 200, {"metadata": counts, "failedMeasures": failed})

    def raw_v1(self, call: Call) -> Answer:
        """`GET /measurement/v1/measurements/raw`: attribute, then source, then session, then time."""
        tree: dict[str, dict[str, dict[str, list[Json]]]] = {name: {} for name in call.query.get("attributes", [])}
        for measurement in search.ordered(self._in_range(call), [{"prop": "timestamp", "order": "ASC"}]):
            for name in tree.keys() & measurement["data"].keys():
                sessions = tree[name].setdefault(measurement["sourceEntityId"], {})
                entry = {"timestamp": measurement["timestamp"], "data": _numbers(measurement["data"][name])}
                sessions.setdefault(measurement["sessionId"], []).append(entry)
        return Answer(200, {"attributes": [_attribute(name, sources) for name, sources in tree.items()]})

    def raw_v2(self, call: Call) -> Answer:
        """`GET /measurement/v2/measurements/raw`: pages by `nextToken`, here the number of the first result."""
        text = call.parameter("searchRequest")
        request = search.parse(text)
        limit, first = search.token_page(text)
        matching = [found for found in self._saved if search.matches(found, request.filter)]
        found = search.ordered(matching, request.sort or [{"prop": "timestamp", "order": "ASC"}])
        metadata: Json = {"limitPerPage": limit, "filter": request.filter, "sort": list(request.sort)}
        if first + limit < len(found):
            metadata["nextToken"] = str(first + limit)
        return Answer(200, {"data": found[first : first + limit], "metadata": metadata})

    def _in_range(self, call: Call) -> list[Json]:
        start, end = instant(call.parameter("startTime")), instant(call.parameter("endTime"))
        patient = call.parameter("patientId")
        if start is None or end is None or not patient:
            raise BiotError(400, "BAD_REQUEST", "The parameters [patientId], [startTime] and [endTime] are needed")
        wanted = {"patientId": patient, "sourceEntityId": call.parameter("sourceEntityId")}
        wanted["sessionId"] = call.parameter("sessionId")
        return [
            found
            for found in self._saved
            if all(value is None or found[name] == value for name, value in wanted.items())
            and start <= (instant(found["timestamp"]) or 0.0) <= end
        ]


def _problem(message: Any) -> str:
    """Why a measurement message cannot be saved; empty if it can. A message without metadata is of now."""
    if not isinstance(message, dict) or not isinstance(message.get("data", {}), dict):
        return "A measurement must be an object with the objects [metadata] and [data]"
    metadata = message.get("metadata", {})
    if not isinstance(metadata, dict):
        return "[metadata] must be an object"
    if metadata and instant(metadata.get("timestamp")) is None:
        return "[metadata.timestamp] must be a date-time in the ISO 8601 format"
    return ""


def _saved_form(message: Json, now: float) -> Json:
    metadata = message.get("metadata", {})
    patient = metadata.get("patientId") or ""
    return {
        "patientId": patient,
        "sessionId": metadata.get("sessionId") or NO_SESSION,
        "sourceEntityId": metadata.get("deviceId") or patient,
        "timestamp": metadata.get("timestamp") or timestamp(now),
        "data": message.get("data", {}),
    }


def _failed(message: Any, problem: str) -> Json:
    shown = {key: message[key] for key in ("data",) if isinstance(message, dict) and isinstance(message.get(key), dict)}
    return shown | {"failureData": [{"attributeName": "timestamp", "description": problem, "code": "BAD_REQUEST"}]}


def _attribute(name: str, sources: dict[str, dict[str, list[Json]]]) -> Json:
    def session(pair: tuple[str, list[Json]]) -> Json:
        return {"sessionId": pair[0], "measurements": pair[1]}

    shown = [
        {"sourceEntityId": source, "measurementSessions": [*map(session, sessions.items())]}
        for source, sessions in sources.items()
    ]
    return {"attributeName": name, "sources": shown}


def _numbers(value: Any) -> list[float]:
    """v1 has numbers only: one, a list of them, or a waveform's `data`."""
    items = value.get("data") if isinstance(value, dict) else value
    items = items if isinstance(items, list) else [items]
    return [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
