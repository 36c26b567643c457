"""What operations speak in: a Call, an Answer, BioT's error; and BioT's forms of times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
"""A JSON object."""

_LAST = 253402300799.0  # seconds: the end of the year 9999
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Initiator:
    """Who calls: the id of a service user, person or device, and its organization's; `token_type` as in BioT's JWTs."""

    id: str = ""
    organization: str = ""
    token_type: str = "SERVICE_INTERNAL"


@dataclass(frozen=True)
class Change:
    """One successful change of an entity, as a notification tells it; `action` is BioT's (`_create`, `_update`, ...).

    `entity` is the entity afterwards (of a deleted one: before), `old` what it was before an update, `more` what else
    the notification tells.
    """

    entity_type: str
    action: str
    entity: Json
    old: Json | None = None
    more: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request as an operation sees it, after the token check and the PRE_REQUEST interceptors.

    `variables` are the path's, percent-decoded; `body` is the parsed JSON body, None without one; `now` is the wall
    clock in seconds; `base_url` is how the caller reached the simulator, for signed URLs. `initiator` is whose token
    came with it. Handlers append to `changes` what they have changed, in order. A `lenient` simulator only warns of
    bodies that BioT would refuse.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: Any = None
    now: float = 0.0
    base_url: str = ""
    trace_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    api_id: str = ""
    initiator: Initiator = Initiator()
    changes: list[Change] = field(default_factory=list)
    lenient: bool = False

    def parameter(self, name: str) -> str | None:
        """A query parameter's first value."""
        return next(iter(self.query.get(name, ())), None)

    def document(self) -> Json:
        """The body as a JSON object, or a 400. To a lenient simulator none at all is an empty one."""
        if self.body is None and self.lenient:
            return {}
        if not isinstance(self.body, dict):
            raise BiotError(400, "BAD_REQUEST", "The request body must be a JSON object")
        return self.body


@dataclass(frozen=True)
class Answer:
    """What an operation answers; a `body` of None is an empty one."""

    status: int
    body: Any = None


class BiotError(Exception):
    """A refusal in BioT's error shape. `details` is an object, as in BioT's specification."""

    def __init__(self, status: int, code: str, message: str, details: Json | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}

    def answer(self, service_name: str, trace_id: str) -> Answer:
        return Answer(
            self.status,
            {
                "code": self.code,
                "message": self.message,
                "serviceName": service_name,
                "traceId": trace_id,
                "environment": "simulator",
                "details": self.details,
            },
        )


def with_values(document: Mapping[str, Any], sets: Mapping[str, Any]) -> Json:
    """A copy with values put at dotted paths, such as `_name.firstName`."""
    changed = dict(document)
    for path, value in sets.items():
        first, _, rest = path.partition(".")
        inner = changed.get(first)
        changed[first] = with_values(inner if isinstance(inner, dict) else {}, {rest: value}) if rest else value
    return changed


def timestamp(now: float) -> str:
    """ISO 8601 in UTC with three fraction digits and `Z`, as BioT writes times."""
    return (
        datetime.fromtimestamp(min(max(now, 0.0), _LAST), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def instant(text: object) -> float | None:
    """Seconds since the epoch of an ISO 8601 date or date-time (UTC where it says no zone), or None."""
    if not isinstance(text, str) or not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
