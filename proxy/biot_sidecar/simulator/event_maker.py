"""Makes an event as BioT would send it, without a change: its entity is one that there is, its JWT real."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from biot_sidecar.simulator.event_names import event_name
from biot_sidecar.simulator.event_spec import NOTIFICATION, EventSpec
from biot_sidecar.simulator.interception import HOOK_TYPES, Intercepted, status_name
from biot_sidecar.simulator.interception import event as interceptor_event
from biot_sidecar.simulator.interceptors import ADAPT, PRE
from biot_sidecar.simulator.notifications import SCOPE, notification
from biot_sidecar.simulator.router import Operation, Router
from biot_sidecar.simulator.tokens import Tokens
from biot_sidecar.simulator.values import BiotError, Call, Change, Initiator, Json, timestamp, with_values

INTERCEPTOR_SCOPE: Final = "PLUGIN_INTERCEPTOR"
_MEASUREMENTS: Final = {"_saveMeasurement", "_saveMeasurementBulk"}
_WITHOUT_OLD: Final = {"_create", "_delete", "_start", "_remoteStart", "_login", "_logout", "_command", "_incomingSms"}
"""Actions before which there was no other entity, or which change none."""
_WITH_BODY: Final = {"POST", "PUT", "PATCH"}
_USER_TOKEN_LIFE: Final = 1800.0  # seconds
_SOURCE: Final = "127.0.0.1:50000"


@dataclass(frozen=True)
class MadeEvent:
    """What would be POSTed to the plugin."""

    name: str
    headers: Mapping[str, str]
    body: Json

    def shown(self) -> Json:
        """As `/_simulator/events/make` answers it."""
        return {"name": self.name, "headers": dict(self.headers), "body": self.body}


class EventMaker:
    """`router` is asked for what there is; `clock` is the wall clock in seconds, `initiator` whoever events name."""

    def __init__(
        self,
        router: Callable[[], Router],
        tokens: Tokens,
        clock: Callable[[], float],
        initiator: Callable[[], Initiator],
    ) -> None:
        self._router = router
        self._tokens = tokens
        self._clock = clock
        self._initiator = initiator

    def make(self, spec: EventSpec, identity: str = "", sets: Mapping[str, Any] | None = None) -> MadeEvent:
        """The event; `sets` are values by dotted path, of the entity or of the request's body. Raises BiotError."""
        trace_id = uuid.uuid4().hex
        traceparent = _traceparent(trace_id)
        if spec.type == NOTIFICATION:
            return self._notification(spec, identity, sets or {}, trace_id, traceparent)
        return self._interceptor(spec, identity, sets or {}, traceparent)

    def freshened(self, body: Json, headers: Mapping[str, str]) -> tuple[Json, Mapping[str, str]]:
        """An event to be sent again: the same, with a token that lives and a trace of its own."""
        fresh = {**headers, "traceparent": _traceparent(uuid.uuid4().hex)}
        if fresh.get("hooktype") == NOTIFICATION:
            return body | {"jwt": self._tokens.platform_token(self._clock(), SCOPE)}, fresh
        token = self._tokens.platform_token(self._clock(), INTERCEPTOR_SCOPE)
        return body, fresh | {"authorization": f"Bearer {token}"}

    def _notification(
        self, spec: EventSpec, identity: str, sets: Mapping[str, Any], trace_id: str, traceparent: str
    ) -> MadeEvent:
        now = self._clock()
        stored = self._entity(spec.entity, identity)
        if spec.action in _MEASUREMENTS:
            change = Change(spec.entity, spec.action, self._measurement(spec.action, stored, sets))
        else:
            old = None if spec.action in _WITHOUT_OLD else stored
            change = Change(spec.entity, spec.action, with_values(stored, sets), old)
        jwt = self._tokens.platform_token(now, SCOPE)
        body = notification(change, self._initiator(), began=now, ended=now, trace_id=trace_id, source=_SOURCE, jwt=jwt)
        return _made({"hooktype": NOTIFICATION, "traceparent": traceparent}, body)

    def _measurement(self, action: str, patient: Json, sets: Mapping[str, Any]) -> Json:
        metadata = {"timestamp": timestamp(self._clock()), "patientId": patient["_id"]}
        one = {"metadata": metadata, "data": with_values({}, sets)}
        return one if action == "_saveMeasurement" else {"measures": [one]}

    def _interceptor(self, spec: EventSpec, identity: str, sets: Mapping[str, Any], traceparent: str) -> MadeEvent:
        operation, variables = self._operation(spec, identity)
        has_body = operation.method in _WITH_BODY
        call = Call(
            variables=variables,
            body=with_values({}, sets) if has_body else None,
            now=self._clock(),
            trace_id=traceparent.split("-")[1],
            api_id=operation.api_id,
            initiator=self._initiator(),
        )
        path = re.sub(r"\{(\w+)\}", lambda found: variables[found[1]], operation.path)
        initiator = self._initiator()
        request = Intercepted(
            operation=operation,
            call=call,
            path=path,
            headers=self._request_headers(initiator, traceparent, has_body=has_body),
            initiator={
                "subjectId": initiator.id,
                "ownerOrganizationId": initiator.organization,
                "tokenType": initiator.token_type,
            },
            traceparent=traceparent,
        )
        body = interceptor_event(request)
        if spec.type != PRE:
            body["response"] = self._response(spec, operation, variables.get("id", ""), sets)
        headers = {
            "hooktype": HOOK_TYPES[spec.type],
            "traceparent": traceparent,
            "authorization": f"Bearer {self._tokens.platform_token(self._clock(), INTERCEPTOR_SCOPE)}",
        }
        return _made(headers, body)

    def _response(self, spec: EventSpec, operation: Operation, identity: str, sets: Mapping[str, Any]) -> Json:
        status = status_name(201 if operation.method == "POST" else 200)
        entity = with_values(self._entity(operation.entity, identity), sets)
        if spec.type == ADAPT:
            return {"entities": [entity], "httpStatusCode": status}
        return {"body": entity, "httpStatusCode": status}

    def _request_headers(self, initiator: Initiator, traceparent: str, *, has_body: bool) -> Json:
        """What an end user's call would carry, its token included: plugins may act with it."""
        claims = {"sub": initiator.id, "tenantId": initiator.organization}
        token = self._tokens.issue(initiator, ("PROTECTED_API",), self._clock() + _USER_TOKEN_LIFE, claims)
        return {
            "accept": "application/json",
            "accept-language": "en-us",
            "authorization": f"Bearer {token}",
            **({"content-type": "application/json; charset=utf-8"} if has_body else {}),
            "traceparent": traceparent,
            "x-forwarded-for": "192.0.2.7",
        }

    # ---- what there is

    def _operation(self, spec: EventSpec, identity: str) -> tuple[Operation, dict[str, str]]:
        """The operation and its path variables; what the path leaves open is an entity that there is."""
        if not spec.path:
            operation = self._reader(spec.entity)
            variables: dict[str, str] = {}
        else:
            found = self._router().find(spec.method, spec.path)
            if found.operation is None:
                raise _bad(f"BioT has no {spec.method} {spec.path}")
            operation, variables = found.operation, dict(found.variables)
        if not operation.interceptable:
            raise _bad(f"BioT cannot intercept {operation.method} {operation.path}")
        open_ones = {name for name, value in variables.items() if value.startswith("{")} | (
            set(re.findall(r"\{(\w+)\}", operation.path)) - variables.keys()
        )
        entity = self._entity(operation.entity, identity) if open_ones else {}
        for name in open_ones:
            template = (entity.get("_template") or {}).get("name") or operation.entity
            variables[name] = template if name == "templateName" else str(entity.get("_id") or uuid.uuid4())
        return operation, {name: unquote(value) for name, value in variables.items()}

    def _entity(self, kind: str, identity: str) -> Json:
        """An entity that there is: the one with this id, else the newest; else one with nothing but an id."""
        operation = self._reader(kind) if identity else self._searcher(kind)
        made = {"_id": identity or str(uuid.uuid4())}
        if operation is None:
            return made
        query = {} if identity else {"searchRequest": [json.dumps({"limit": 1})]}
        call = Call(
            variables={"id": identity} if identity else {},
            query=query,
            now=self._clock(),
            api_id=operation.api_id,
            initiator=self._initiator(),
        )
        body = operation.handler(call).body
        found = body if identity else next(iter(body.get("data") or ()), None)
        return dict(found) if found else made

    def _reader(self, kind: str) -> Operation:
        wanted = [one for one in self._of(kind) if re.findall(r"\{(\w+)\}", one.path) == ["id"]]
        if not wanted:
            raise _bad(f"the simulator has no entities of type {kind!r}")
        return wanted[0]

    def _searcher(self, kind: str) -> Operation | None:
        return next((one for one in self._of(kind) if "{" not in one.path and "/current/" not in one.path), None)

    def _of(self, kind: str) -> list[Operation]:
        found = [
            one for one in self._router().operations if one.entity == kind and one.method == "GET" and one.simulated
        ]
        return sorted(found, key=lambda one: len(one.path))


def _traceparent(trace_id: str) -> str:
    return f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"


def _made(headers: Mapping[str, str], body: Json) -> MadeEvent:
    return MadeEvent(event_name(headers["hooktype"], body), headers, body)


def _bad(reason: str) -> BiotError:
    return BiotError(400, "BAD_REQUEST", reason)
