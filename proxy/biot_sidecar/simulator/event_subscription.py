"""A subscription in few words, `{"event": "pre PATCH /path/{id}", "url": ...}`, made whole."""

from __future__ import annotations

from typing import Any

from biot_sidecar.simulator.event_spec import NOTIFICATION, EventSpec, parse_event
from biot_sidecar.simulator.interceptors import ADAPT
from biot_sidecar.simulator.router import Router
from biot_sidecar.simulator.values import BiotError, Json


def from_event(document: Any, router: Router) -> Any:
    """The document in full; one without `event` as it is. Raises BiotError 400.

    A value in the path in place of a variable narrows an interceptor to it.
    """
    if not isinstance(document, dict) or "event" not in document:
        return document
    try:
        spec = parse_event([str(document["event"])], wildcards=True)
    except ValueError as error:
        raise BiotError(400, "BAD_REQUEST", str(error)) from None
    others = {name: value for name, value in document.items() if name != "event"}
    if spec.type == NOTIFICATION:
        wanted = {"entityName": spec.entity, "actionName": spec.action}
        return others | {"type": NOTIFICATION} | {name: value for name, value in wanted.items() if value != "*"}
    return {"name": str(document["event"])} | others | {"type": spec.type} | _subject(spec, router)


def _subject(spec: EventSpec, router: Router) -> Json:
    if not spec.path:
        return {"entityName": spec.entity}
    found = router.find(spec.method, spec.path)
    if found.operation is None:
        raise BiotError(400, "BAD_REQUEST", f"BioT has no {spec.method} {spec.path}")
    if spec.type == ADAPT:
        return {"entityName": found.operation.entity}
    fixed = {name: value for name, value in found.variables if not value.startswith("{")}
    return {"apiId": found.operation.api_id} | ({"pathFilters": fixed} if fixed else {})
