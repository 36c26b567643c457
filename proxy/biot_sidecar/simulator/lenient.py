"""What `simulate --lenient` puts in the place of what a body lacks, so that the answer has the shape that BioT's has.

A create gets a value for each field that must be there, by its shape. A change gets empty lists and objects alone: what
it does not say stays as it is. `NEEDED` are the fields without which there is no answer; they are refused all the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from biot_sidecar.simulator.facts import Shape, facts_of, resolved
from biot_sidecar.simulator.options import ORGANIZATION_ID, USER_PASSWORD
from biot_sidecar.simulator.values import Call, Json, timestamp

_HOOK: Final = "POST/dispatcher/v1/hooks/notifications/"
_TOLD: Final = ("entityTypeName", "actionName", "endpoint")
NEEDED: Final[Mapping[str, Sequence[str]]] = {
    "POST/ums/v2/users/login": ("username",),
    "POST/ums/v2/users/token/login": ("refreshToken",),
    "POST/ums/v2/users/token/refresh": ("refreshToken",),
    "POST/api-gateway/v1/sign-up/anonymous": ("_deviceRegistrationCode",),
    "POST/api-gateway/v1/devices/assign": ("deviceRegistrationCode",),
    "POST/settings/v1/templates": ("entityType",),
    _HOOK + "subscribe": _TOLD,
    _HOOK + "unsubscribe": _TOLD,
}
"""Who logs in, which device it is, whom to tell of what: by operation."""

_TEMPLATE: Final = "_templateId"  # without it an entity is of its type's first template
_GIVEN: Final[Mapping[str, Any]] = {
    "_ownerOrganization": {"id": ORGANIZATION_ID},
    "mimeType": "application/octet-stream",
    "userType": "patient",
    "url": "https://page.example.invalid/",
    "phoneNumber": "+15550100",
    "_password": USER_PASSWORD,
    "exportFormat": "JSON",
}
"""By field, where its shape does not say what would do."""


def completed(call: Call) -> Any:
    """The body with all that it lacks; one that is not there at all is an empty one."""
    facts = facts_of(call.api_id)
    body = {} if call.body is None and facts.required else call.body
    if facts.body is None or not isinstance(body, dict):
        return body
    return filled(body, facts.body, call, NEEDED.get(call.api_id, ()))


def filled(body: Json, shape: Shape, call: Call, needed: Sequence[str] = ()) -> Json:
    """An object with the fields that its shape says must be there, all but the needed ones."""
    shape = resolved(shape)
    missing = [name for name in shape.get("must", ()) if body.get(name) in (None, "") and name not in needed]
    made = {name: _value(name, shape["fields"].get(name), call) for name in missing if name != _TEMPLATE}
    inner = {
        name: filled(value, shape["fields"][name], call)
        for name, value in body.items()
        if isinstance(value, dict) and name in shape.get("fields", {})
    }
    return body | inner | {name: value for name, value in made.items() if value is not None}


def _value(name: str, shape: Shape, call: Call) -> Any:
    """What would do; None for what cannot be made up, or should not be by a change."""
    found = resolved(shape)
    plain = {"is": found} if isinstance(found, str) else found or {"is": "any"}
    if "list" in plain or "map" in plain:
        return [] if "list" in plain else {}
    if call.api_id.startswith("PATCH"):
        return None
    if name in _GIVEN:
        return _GIVEN[name]
    if "fields" in plain:
        return filled({}, plain, call)
    if "enum" in plain:
        return plain["enum"][0]
    return _BY_WORD[plain["is"]](plain, call)


def _name() -> str:
    """A name that no other has."""
    return f"unnamed_{uuid.uuid4().hex[:8]}"


_BY_WORD: Final[Mapping[str, Callable[[Json, Call], Any]]] = {
    "string": lambda shape, call: _name(),
    "integer": lambda shape, call: shape.get("least", 1),
    "number": lambda shape, call: shape.get("least", 1),
    "boolean": lambda shape, call: False,
    "any": lambda shape, call: None,
    "uuid": lambda shape, call: str(uuid.uuid4()),
    "date": lambda shape, call: timestamp(call.now)[:10],
    "date-time": lambda shape, call: timestamp(call.now),
    "email": lambda shape, call: f"{_name()}@example.org",
    "phone": lambda shape, call: "+15550100",
    "locale": lambda shape, call: "en-gb",
    "timezone": lambda shape, call: "UTC",
}
