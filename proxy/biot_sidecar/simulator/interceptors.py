"""The interceptors registered at the simulator: what they are, which run for an operation, what is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from biot_sidecar.settings import addresses
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import BiotError, Json, timestamp

PRE, ADAPT, POST = "PRE_REQUEST", "ADAPT_ENTITY", "POST_REQUEST"
TYPES = (PRE, ADAPT, POST)
"""In the order in which BioT runs them."""

DEFAULT_ORDER = 1000


@dataclass(frozen=True)
class Interceptor:
    """One registered interceptor.

    PRE_REQUEST and POST_REQUEST belong to an operation (`api_id`), ADAPT_ENTITY to an entity type (`entity`).
    `url` is where BioT's event is POSTed, on loopback only; without one the simulator plays the interceptor itself
    and puts the attributes of `sets` into the request (PRE_REQUEST) or into the answer's entities.
    """

    name: str
    type: str
    api_id: str = ""
    entity: str = ""
    url: str = ""
    sets: Json = field(default_factory=dict)
    order: int = DEFAULT_ORDER
    path_filters: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def runs_for(self, operation: Operation, variables: Mapping[str, str]) -> bool:
        if self.type == ADAPT:
            return self.entity == operation.entity
        fixed = all(variables.get(name) == value for name, value in self.path_filters.items())
        return self.api_id == operation.api_id and fixed

    def shown(self) -> Json:
        """As `/_simulator/interceptions` shows it."""
        hook = {"entityName": self.entity} if self.type == ADAPT else {"apiId": self.api_id}
        shown: Json = {"id": self.id, "name": self.name, "type": self.type, **hook, "order": self.order}
        return shown | ({"url": self.url} if self.url else {"set": self.sets})

    def subscription(self) -> Json:
        """As BioT's dispatcher shows it."""
        shown: Json = {"id": self.id, "type": self.type, "apiId": self.api_id, "entityName": self.entity}
        shown |= {"endpoint": self.url, "pathFilters": dict(self.path_filters), "executionOrder": self.order}
        return shown | {"creationTime": timestamp(self.created), "lastModifiedTime": timestamp(self.created)}


SAMPLES = (
    Interceptor("sample-before-patient-update", PRE, api_id="PATCH/organization/v1/users/patients/{id}", order=10),
    Interceptor("sample-adapt-patient", ADAPT, entity="patient", order=20, sets={"sampleInterceptor": "was here"}),
)
"""What the simulator starts with, so that there is something to see."""


def chain(
    interceptors: Iterable[Interceptor], type_: str, operation: Operation, variables: Mapping[str, str]
) -> list[Interceptor]:
    """The interceptors of one type that run for this operation, in their order."""
    found = [entry for entry in interceptors if entry.type == type_ and entry.runs_for(operation, variables)]
    return sorted(found, key=lambda entry: entry.order)


def asked_for(values: Iterable[str]) -> bool:
    """Whether the copies of `allow-interception` ask for interception.

    BioT looks at the header's existence with any value except null; an empty one, undocumented, does not count here.
    """
    return any(value.strip() not in ("", "null") for value in values)


def from_control(document: Any, now: float, operations: Iterable[Operation]) -> Interceptor:
    """An interceptor as `POST /_simulator/interceptions` takes it; raises BiotError 400."""
    if not isinstance(document, dict):
        raise _bad("an interceptor is a JSON object")
    unknown = set(document) - {"name", "type", "apiId", "entityName", "url", "set", "order", "pathFilters"}
    if unknown:
        raise _bad(f"unknown key [{min(unknown)}]")
    sets = document.get("set", {})
    if not isinstance(sets, dict):
        raise _bad("[set] must be an object of attributes")
    entry = Interceptor(
        name=_text(document, "name") or "unnamed",
        url=_text(document, "url"),
        sets=sets,
        order=_order(document.get("order")),
        created=now,
        **_subject(document),
    )
    return _checked(entry, operations)


def from_subscription(document: Json, now: float, operations: Iterable[Operation]) -> Interceptor:
    """An interceptor as BioT's subscribe operation takes it; raises BiotError 400."""
    endpoint = _text(document, "endpoint")
    entry = Interceptor(
        name=endpoint,
        url=endpoint,
        order=_order(document.get("executionOrder")),
        created=now,
        **_subject(document),
    )
    if not endpoint:
        raise _bad("[endpoint] is missing")
    return _checked(entry, operations)


def is_loopback(url: str) -> bool:
    """Whether the URL is plain http or https towards this machine, named by a loopback address or `localhost`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme in ("http", "https") and addresses.is_loopback(host)
    except ValueError:
        return False


def _checked(entry: Interceptor, operations: Iterable[Operation]) -> Interceptor:
    interceptable = [operation for operation in operations if operation.interceptable]
    if entry.type not in TYPES:
        raise _bad(f"[type] must be one of {', '.join(TYPES)}")
    if entry.type == ADAPT:
        _check_entity(entry, interceptable)
    else:
        entry = _of_operation(entry, interceptable)
    if entry.url and not is_loopback(entry.url):
        raise _bad("the simulator calls interceptors on loopback only, such as http://127.0.0.1:9000/")
    return entry


def _check_entity(entry: Interceptor, interceptable: Iterable[Operation]) -> None:
    known = sorted({operation.entity for operation in interceptable if operation.entity})
    if entry.entity not in known:
        details = {"invalidEntityType": entry.entity, "validEntityTypes": known}
        message = "[entityName] must name an entity type whose operations can be intercepted"
        raise _bad(message, "INVALID_ENTITY_TYPE_NAME", details)


def _of_operation(entry: Interceptor, interceptable: Sequence[Operation]) -> Interceptor:
    """The interceptor with the operation's own apiId. One with values in the path is narrowed to them."""
    known = [operation.api_id for operation in interceptable]
    if entry.api_id in known:
        return entry
    for api_id in known:
        fixed = _values_in(api_id.split("/"), entry.api_id.split("/"))
        if fixed is not None:
            return replace(entry, api_id=api_id, path_filters={**fixed, **entry.path_filters})
    message = "[apiId] must name an interceptable operation, such as PATCH/organization/v1/users/patients/{id}"
    raise _bad(message, "INVALID_API_ID", {"invalidApiId": entry.api_id, "validApiIds": known})


def _values_in(template: Sequence[str], path: Sequence[str]) -> dict[str, str] | None:
    """The values that a path has in place of a template's variables; None if it is no such path."""
    if len(template) != len(path):
        return None
    pairs = [(name, value) for name, value in zip(template, path, strict=True) if name != value]
    return {name[1:-1]: value for name, value in pairs} if all(name.startswith("{") for name, _ in pairs) else None


def _subject(document: Json) -> Json:
    """What an interceptor is about, in the words that both ways to register one share."""
    return {
        "type": _text(document, "type"),
        "api_id": _text(document, "apiId"),
        "entity": _text(document, "entityName"),
        "path_filters": _path_filters(document),
    }


def _text(document: Json, name: str) -> str:
    value = document.get(name) or ""
    if not isinstance(value, str):
        raise _bad(f"[{name}] must be a text")
    return value


def _order(value: Any) -> int:
    if value is None:
        return DEFAULT_ORDER
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad("the order must be a whole number")
    return value


def _path_filters(document: Json) -> dict[str, str]:
    filters = document.get("pathFilters") or {}
    if not isinstance(filters, dict):
        raise _bad("[pathFilters] must be an object of texts")
    return {str(name): str(value) for name, value in filters.items()}


def _bad(reason: str, code: str = "BAD_REQUEST", details: Json | None = None) -> BiotError:
    return BiotError(400, code, f"This interceptor cannot be registered: {reason}", details)
