"""Which measurements a reader wants, and what BioT refuses of how it says so: v1's parameters, v2's five filters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.values import BiotError, Call, Json, instant, timestamp

_EQUAL = {"_patient.id": "patientId", "_sourceEntity.id": "sourceEntityId", "_session.id": "sessionId"}
"""v2's filters that take `eq` only, and the names of a saved measurement that they are about."""

_OPERATORS = {"timestamp": ("from", "to"), "attributes": ("in",), "binIntervalSeconds": ("eq",)} | dict.fromkeys(
    _EQUAL, ("eq",)
)

_LONGEST_INTERVAL = 9  # digits of a number of seconds


@dataclass(frozen=True)
class Wanted:
    """The values of a saved measurement's names, the range of time (seconds, both ends count), attributes, and the
    length of an interval of aggregation in seconds."""

    equal: Mapping[str, str]
    start: float
    end: float
    attributes: set[str] | None = None
    seconds: float = 0.0

    def has(self, measurement: Json, moment: float) -> bool:
        same = all(measurement[name] == value for name, value in self.equal.items())
        return same and self.start <= moment <= self.end

    def bin_of(self, moment: float) -> float:
        """The start of the interval that a moment is in; the first starts with the range."""
        return self.start + (moment - self.start) // self.seconds * self.seconds


def v1_parameters(call: Call, *, aggregated: bool = False) -> Wanted:
    """What v1's query parameters ask for."""
    start, end = instant(call.parameter("startTime")), instant(call.parameter("endTime"))
    patient = call.parameter("patientId")
    if start is None or end is None or not patient:
        raise BiotError(400, "BAD_REQUEST", "The parameters [patientId], [startTime] and [endTime] are needed")
    if end <= start:
        raise _range(call, start, end)
    wanted = {"patientId": patient, "sourceEntityId": call.parameter("sourceEntityId")}
    wanted["sessionId"] = call.parameter("sessionId")
    equal = {name: value for name, value in wanted.items() if value is not None}
    return Wanted(equal, start, end, seconds=_seconds(call) if aggregated else 0.0)


def _seconds(call: Call) -> float:
    text = call.parameter("binIntervalSeconds") or ""
    if not text.isdecimal() or len(text) > _LONGEST_INTERVAL or int(text) < 1:
        message = "[binIntervalSeconds] must be a whole number of at least 1"
        raise refusal(facts_of(call.api_id), "INVALID_BIN_INTERVAL", message, binIntervalSeconds=text)
    return float(text)


def raw_v2_filter(filters: Json, call: Call) -> Wanted:
    """What v2's raw filter asks for; the time is mandatory."""
    _check_names(filters, set(_OPERATORS) - {"binIntervalSeconds"})
    return _v2(filters, call)


def aggregated_v2_filter(filters: Json, call: Call) -> Wanted:
    """What v2's aggregated filter asks for; time, patient and interval are mandatory."""
    _check_names(filters, {"_patient.id", "timestamp", "attributes", "binIntervalSeconds"})
    for name in ("_patient.id", "timestamp", "binIntervalSeconds"):
        _mandatory(filters, name, call)
    seconds = _one(filters, "binIntervalSeconds", "eq", "BIN_INTERVAL_SECONDS_EQ_MISSING", call)
    try:
        seconds = float(seconds)
    except (TypeError, ValueError):
        raise _refused(call, "BIN_INTERVAL_SECONDS_IS_NOT_A_NUMBER") from None
    if not 0 < seconds < math.inf:
        raise _refused(call, "BIN_INTERVAL_SECONDS_IS_NOT_POSITIVE")
    return _v2(filters, call, seconds)


def _v2(filters: Json, call: Call, seconds: float = 0.0) -> Wanted:
    _mandatory(filters, "timestamp", call)
    code = "TIMESTAMP_FROM_TO_MISSING"
    start, end = (instant(_one(filters, "timestamp", key, code, call)) for key in ("from", "to"))
    if start is None or end is None:
        raise _refused(call, code)
    if end < start:
        raise _range(call, start, end)
    equal = {
        own: str(_one(filters, name, "eq", "PATIENT_ID_EQ_MISSING" if name == "_patient.id" else "", call))
        for name, own in _EQUAL.items()
        if filters.get(name)
    }
    attributes = filters.get("attributes")
    wanted = _one(filters, "attributes", "in", "ATTRIBUTES_IN_OPERATOR_IS_MISSING", call) if attributes else None
    names = None if wanted is None else {str(name) for name in wanted}
    return Wanted(equal, start, end, names, seconds)


def _check_names(filters: Json, known: set[str]) -> None:
    for name, conditions in filters.items():
        if name not in known:
            raise BiotError(400, "BAD_REQUEST", f"No filter [{name}]; there are {', '.join(sorted(known))}")
        others = {key for key, value in conditions.items() if value is not None} - set(_OPERATORS[name])
        if others and set(_OPERATORS[name]) & conditions.keys():
            raise BiotError(400, "BAD_REQUEST", f"[{name}] takes only {' and '.join(_OPERATORS[name])}")


def _mandatory(filters: Json, name: str, call: Call) -> None:
    if not filters.get(name):
        message = f"The filter [{name}] is mandatory"
        raise refusal(facts_of(call.api_id), "MISSING_MANDATORY_FILTER", message, filter=name)


def _one(filters: Json, name: str, key: str, code: str, call: Call) -> Any:
    value = filters[name].get(key)
    if value is None:
        raise _refused(call, code or "BAD_REQUEST", f"[{name}] takes only {' and '.join(_OPERATORS[name])}")
    return value


def _refused(call: Call, code: str, message: str = "") -> BiotError:
    return refusal(facts_of(call.api_id), code, message or f"The filter is refused: {code}")


def _range(call: Call, start: float, end: float) -> BiotError:
    details = {"fromTime": timestamp(start), "toTime": timestamp(end), "currentTime": timestamp(call.now)}
    if "/v1/" in call.api_id:
        details = {"startTime": timestamp(start), "latestPossibleTime": timestamp(call.now), "endTime": timestamp(end)}
    return refusal(facts_of(call.api_id), "INVALID_TIME_RANGE", "The range of time ends before it starts", **details)
