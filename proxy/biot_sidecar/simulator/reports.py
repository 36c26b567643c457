"""BioT's data reports: an export that is in progress when it is answered and complete when it is next looked at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace

from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities, EntityOperations
from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.files import Files
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.measurements import Measurements
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer, Call, Json, instant, timestamp

_LIFE = 3600.0  # seconds; only shown, never enforced

REPORT = Kind(name="report", shape="ReportResponse", not_found="REPORT_NOT_FOUND", prefix="")


class Reports:
    """`/dms/v1/data/reports`. The files are of the simulator's own storage."""

    def __init__(self, entities: Entities, measurements: Measurements, files: Files) -> None:
        self._entities = entities
        self._measurements = measurements
        self._files = files

    def operations(self) -> Iterator[Operation]:
        handlers, path = EntityOperations(self._entities, REPORT), "/dms/v1/data/reports"
        yield Operation("GET", path, self.search)
        yield Operation("POST", path + "/export", self.export)
        yield Operation("GET", path + "/{id}", self.read)
        yield Operation("DELETE", path + "/{id}", handlers.delete)
        yield Operation("POST", path + "/{id}/cancel", self.cancel)

    def export(self, call: Call) -> Answer:
        _check_queries(call.document()["queries"], call)
        who = {"userId": call.initiator.id or None, "ownerOrganizationId": call.initiator.organization or None}
        return Answer(
            201, self._entities.create(REPORT, call.document(), call, status="IN_PROGRESS", reportInitiator=who)
        )

    def read(self, call: Call) -> Answer:
        report = self._entities.get(REPORT, call.variables["id"], call)
        return Answer(200, self._completed(report, call))

    def search(self, call: Call) -> Answer:
        for report in list(self._entities.of(REPORT.name)):
            self._completed(report, call)
        return Answer(200, self._entities.search(REPORT, search.parse(call.parameter("searchRequest"))))

    def cancel(self, call: Call) -> Answer:
        report = self._entities.get(REPORT, call.variables["id"], call)
        if report["status"] != "IN_PROGRESS":
            raise refusal(facts_of(call.api_id), "REPORT_CANT_BE_CANCELED", "The report has ended already")
        return Answer(202, self._entities.update(REPORT, report["id"], {}, call, status="CANCELED"))

    def _completed(self, report: Json, call: Call) -> Json:
        if report["status"] != "IN_PROGRESS":
            return self._entities.shown(REPORT, report)
        kind = report["outputMetadata"]["exportFormat"]
        locations = {}
        for query in report["queries"]:
            content = _written(self._data(query), kind)
            url = self._files.keep(f"{query['dataType']}.{kind.lower()}", f"text/{kind.lower()}", content, call)
            locations[query["dataType"]] = {"paths": [url]}
        output = {"filesLocation": locations, "urlExpirationTime": timestamp(call.now + _LIFE)}
        call = replace(call, variables={})
        return self._entities.update(REPORT, report["id"], {}, call, status="COMPLETED", fileOutput=output)

    def _data(self, query: Json) -> list[Json]:
        request = search.parse(json.dumps({"filter": query.get("filter") or {}, "limit": 10**9}))
        if query["dataType"] == "measurements":
            times = (query.get("filter") or {}).get("timestamp") or {}
            return self._measurements.between(instant(times.get("from")), instant(times.get("to")))
        found: list[Json] = self._entities.search(self._entities.kinds[query["dataType"]], request)["data"]
        return found


def _check_queries(queries: list[Json], call: Call) -> None:
    facts = facts_of(call.api_id)
    types = [query.get("dataType") for query in queries]
    if len(set(types)) < len(types):
        message = "Each query must be of another entity type"
        refuse(call, refusal(facts, "QUERIES_MUST_HAVE_DISTINCT_ENTITY_TYPE", message), "queries")
    for query in queries:
        if query.get("dataType") != "measurements":
            continue
        times = (query.get("filter") or {}).get("timestamp")
        if not times:
            details = {"missingMandatoryFilters": ["timestamp"]}
            refuse(
                call, refusal(facts, "MISSING_FILTERS", "Measurements need a filter of time", **details), "timestamp"
            )
        elif instant(times.get("from")) is None or instant(times.get("to")) is None:
            refuse(
                call,
                refusal(facts, "TIMESTAMP_FROM_TO_MISSING", "The filter of time needs [from] and [to]"),
                "timestamp",
            )


def _written(data: list[Json], kind: str) -> bytes:
    if kind == "JSON":
        return json.dumps(data).encode()
    text = io.StringIO()
    names = list(dict.fromkeys(name for entity in data for name in entity))
    writer = csv.writer(text)
    writer.writerow(names)
    for entity in data:
        cells = [entity.get(name) for name in names]
        writer.writerow([json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in cells])
    return text.getvalue().encode()
