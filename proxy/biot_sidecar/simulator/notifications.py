"""BioT's notifications: which there are, who is subscribed to them, and the event that tells a change."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from biot_sidecar.simulator import search
from biot_sidecar.simulator.interceptors import is_loopback
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Initiator, Json, timestamp

_OF_USERS: Final = ("_create", "_delete", "_incomingSms", "_login", "_logout", "_update", "_updateEnabledState")
NOTIFIABLE: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "caregiver": _OF_USERS,
        "command": ("_create", "_delete", "_start", "_stop", "_update"),
        "device": (
            *("_activateCertificate", "_command", "_create", "_delete"),
            *("_generateCertificate", "_revokeCertificate", "_update"),
        ),
        "device-alert": ("_clear", "_create", "_delete", "_update"),
        "generic-entity": ("_create", "_delete", "_update"),
        "organization": ("_create", "_delete", "_update", "_updateAdmin"),
        "organization-user": _OF_USERS,
        "patient": (*_OF_USERS, "_saveMeasurement", "_saveMeasurementBulk"),
        "patient-alert": ("_clear", "_create", "_delete", "_update"),
        "registration-code": ("_create", "_delete", "_update"),
        "usage-session": (
            *("_create", "_delete", "_remotePause", "_remoteResume", "_remoteStart", "_remoteStop", "_update"),
        ),
    }
)
"""Entity type -> the actions that BioT notifies of. The specification's enum names a few more, which nothing sends."""
ANY: Final = "*"
"""Of the simulator's own registrations: every entity type, or every action."""
SCOPE: Final = "ACTION_NOTIFICATION"
"""What BioT's token in a notification may do; plugins look for it."""


@dataclass(frozen=True)
class Subscriber:
    """One plugin's URL and what it is to be told of; `template` narrows it to entities of that template."""

    entity_type: str
    action: str
    url: str
    template: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def wants(self, change: Change) -> bool:
        """Whether the change is to be told."""
        template = change.entity.get("_template") or {}
        return (
            self.entity_type in (ANY, change.entity_type)
            and self.action in (ANY, change.action)
            and self.template in ("", template.get("name"))
        )

    def subscription(self) -> Json:
        """As BioT's dispatcher shows it."""
        shown = {"id": self.id, "entityTypeName": self.entity_type, "actionName": self.action, "endpoint": self.url}
        return shown | ({"templateName": self.template} if self.template else {})

    def shown(self) -> Json:
        """As `/_simulator/interceptions` shows it."""
        shown = {"id": self.id, "type": "NOTIFICATION", "entityName": self.entity_type, "actionName": self.action}
        return shown | {"url": self.url} | ({"templateName": self.template} if self.template else {})


class NotificationSubscriptions:
    """Who is subscribed, and BioT's operations on that."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def registered(self) -> list[Subscriber]:
        return list(self._subscribers)

    def wanting(self, change: Change) -> list[str]:
        """The URLs to tell a change, each once, in the order of their subscriptions."""
        return list(dict.fromkeys(one.url for one in self._subscribers if one.wants(change)))

    def add(self, subscriber: Subscriber) -> Subscriber:
        """Register; one that is there already stays as it is."""
        known = next((one for one in self._subscribers if _key(one) == _key(subscriber)), None)
        if known is None:
            self._subscribers.append(subscriber)
        return known or subscriber

    def remove(self, identity: str | None = None) -> int:
        """Remove one by id, or all; returns how many went."""
        before = len(self._subscribers)
        self._subscribers = [one for one in self._subscribers if identity and one.id != identity]
        return before - len(self._subscribers)

    def search(self, call: Call) -> Answer:
        """`GET /dispatcher/v1/hooks/notifications`."""
        request = search.parse(call.parameter("searchRequest"))
        return Answer(200, search.search([one.subscription() for one in self._subscribers], request))

    def subscribe(self, call: Call) -> Answer:
        """`POST /dispatcher/v1/hooks/notifications/subscribe`."""
        return Answer(201, self.add(_from_subscription(call.document())).subscription())

    def unsubscribe(self, call: Call) -> Answer:
        """`POST /dispatcher/v1/hooks/notifications/unsubscribe`."""
        wanted = _from_subscription(call.document())
        found = next((one for one in self._subscribers if _key(one) == _key(wanted)), None)
        if found is None:
            details = {name: value for name, value in wanted.subscription().items() if name != "id"}
            raise BiotError(404, "SUBSCRIBER_NOT_FOUND", "There is no such subscription", details)
        self.remove(found.id)
        return Answer(204)


def from_control(document: Mapping[str, Any]) -> Subscriber:
    """A subscriber as `POST /_simulator/interceptions` takes it, type NOTIFICATION; raises BiotError 400.

    Without `entityName` or `actionName` it is told of all.
    """
    unknown = set(document) - {"type", "name", "entityName", "actionName", "templateName", "url"}
    if unknown:
        raise _bad(f"unknown key [{min(unknown)}]")
    texts = {name: document.get(name) or "" for name in ("entityName", "actionName", "templateName", "url")}
    entity_type, action = texts["entityName"] or ANY, texts["actionName"] or ANY
    return _checked(Subscriber(entity_type, action, texts["url"], texts["templateName"]), wildcards=True)


def notification_operations(subscriptions: NotificationSubscriptions) -> Iterator[Operation]:
    """BioT's operations on them."""
    path = "/dispatcher/v1/hooks/notifications"
    yield Operation("GET", path, subscriptions.search)
    yield Operation("POST", path + "/subscribe", subscriptions.subscribe)
    yield Operation("POST", path + "/unsubscribe", subscriptions.unsubscribe)


def notification(
    change: Change, initiator: Initiator, *, began: float, ended: float, trace_id: str, source: str, jwt: str
) -> Json:
    """The event's body. Times are seconds since the epoch; `source` is where the change came from, `HOST:PORT`."""
    additional = change.more if change.old is None else {"oldEntity": change.old} | change.more
    return {
        "metadata": {
            "entityTypeName": change.entity_type,
            "actionName": change.action,
            "status": "SUCCESS",
            "startTime": timestamp(began),
            "endTime": timestamp(ended),
            "traceId": trace_id,
            "initiator": {"subject": {"id": initiator.id}, "sourceIpAddress": source},
        },
        "data": {"entity": change.entity, "additionalData": additional},
        "jwt": jwt,
    }


def _from_subscription(document: Json) -> Subscriber:
    texts = {name: document.get(name) for name in ("entityTypeName", "actionName", "endpoint")}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            raise BiotError(400, "MISSING_PARAMETERS", f"[{name}] is missing", {"missingParameters": [name]})
    template = document.get("templateName") or ""
    return _checked(
        Subscriber(str(texts["entityTypeName"]), str(texts["actionName"]), str(texts["endpoint"]), template)
    )


def _checked(one: Subscriber, *, wildcards: bool = False) -> Subscriber:
    for value in (one.entity_type, one.action, one.url, one.template):
        if not isinstance(value, str):
            raise _bad("its values are texts")
    if one.entity_type not in NOTIFIABLE and not (wildcards and one.entity_type == ANY):
        details = {"invalidEntityType": one.entity_type, "validEntityTypes": list(NOTIFIABLE)}
        raise BiotError(400, "INVALID_ENTITY_TYPE_NAME", "BioT sends no notifications of this entity type", details)
    actions = NOTIFIABLE.get(one.entity_type, tuple(sorted({name for all_ in NOTIFIABLE.values() for name in all_})))
    if one.action not in actions and not (wildcards and one.action == ANY):
        details = {"invalidActionName": one.action, "validActionNames": list(actions)}
        raise BiotError(400, "INVALID_ACTION_NAME", "BioT sends no notification of this action", details)
    if not is_loopback(one.url):
        raise _bad("the simulator calls plugins on loopback only, such as http://127.0.0.1:9000/")
    return one


def _key(one: Subscriber) -> tuple[str, ...]:
    return (one.entity_type, one.action, one.url, one.template)


def _bad(reason: str) -> BiotError:
    return BiotError(400, "BAD_REQUEST", f"This notification cannot be registered: {reason}")
