"""The call that `demo -- CMD` proposes: one of which the plugin hears, by what it is subscribed to."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from biot_sidecar.simulator.event_spec import NOTIFICATION, EventSpec

_PATIENT: Final = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
_DEVICE: Final = "/device/v1/devices/demo-device-1"
_OWNER: Final = '"_ownerOrganization": {"id": "33333333-3333-3333-3333-333333333333"}'
_PERSON: Final = f'{{"_name": {{"firstName": "Ann", "lastName": "New"}}, {_OWNER}}}'
_ONES: Final = {
    "patient": _PATIENT,
    "caregiver": "/organization/v1/users/caregivers/22222222-2222-2222-2222-222222222222",
    "organization-user": "/organization/v1/users/organizations/22222222-2222-2222-2222-222222222224",
    "organization": "/organization/v1/organizations/33333333-3333-3333-3333-333333333333",
    "device": "/device/v2/devices/demo-device-1",
    "registration-code": "/organization/v1/registration-codes/55555555-5555-5555-5555-555555555556",
    "patient-alert": f"{_PATIENT}/alerts/66666666-6666-6666-6666-666666666666",
    "device-alert": f"{_DEVICE}/alerts/66666666-6666-6666-6666-666666666667",
    "usage-session": f"{_DEVICE}/usage-sessions/77777777-7777-7777-7777-777777777777",
    "command": f"{_DEVICE}/commands/88888888-8888-8888-8888-888888888888",
    "generic-entity": "/generic-entity/v1/generic-entities/44444444-4444-4444-4444-444444444444",
}
"""Of each entity type one that the simulator starts with."""
_UPDATES: Final = {
    "patient": '{"age": 43}',
    "registration-code": '{"_code": "demo-code-3"}',
    "patient-alert": '{"_severity": "MAJOR"}',
    "device-alert": '{"_severity": "MAJOR"}',
    "generic-entity": '{"_name": "Renamed"}',
}
_CREATES: Final = {
    "patient": ("/templates/Patient", _PERSON),
    "caregiver": ("/templates/Clinician", _PERSON),
    "organization-user": ("/templates/OrganizationUser", _PERSON),
    "device": ("/templates/Device", '{"_id": "new-device"}'),
    "registration-code": ("/templates/RegistrationCode", f'{{"_code": "new-code", {_OWNER}}}'),
    "patient-alert": ("/PatientAlert", "{}"),
    "device-alert": ("/DeviceAlert", "{}"),
    "usage-session": ("/usage-type/UsageSession", '{"_startTime": "2025-01-01T00:00:00Z", "_state": "ACTIVE"}'),
    "generic-entity": ("/templates/GenericEntity", '{"_name": "New"}'),
}
_LOGINS: Final = {
    "patient": "demo.patient@example.org",
    "caregiver": "casey@example.org",
    "organization-user": "olga.office@example.org",
}
_MEASUREMENT: Final = (
    '{"metadata": {"timestamp": "2026-01-01T00:00:00Z", "deviceId": "demo-device-1"}, "data": {"pulse": 61}}'
)
_START: Final = f"{_DEVICE}/commands/Command/start"


class ExampleCall(NamedTuple):
    """A request that the simulator answers; `body` is JSON, empty for none."""

    method: str
    path: str
    body: str = ""


def call_for(spec: EventSpec) -> ExampleCall | None:
    """What makes the event; None where no single call does."""
    if spec.type == NOTIFICATION:
        return _telling("patient", "_update") if spec.entity == "*" else _telling(spec.entity, spec.action)
    if not spec.path:
        return ExampleCall("GET", _ONES[spec.entity]) if spec.entity in _ONES else None
    return _intercepted(spec.method, spec.path)


def _telling(entity: str, action: str) -> ExampleCall | None:
    one = _ONES[entity]
    match action:
        case "_update" | "*" if entity not in ("usage-session", "command"):
            return ExampleCall("PATCH", one, _UPDATES.get(entity, '{"_description": "changed"}'))
        case "_create" | "*" if entity in _CREATES:
            end, body = _CREATES[entity]
            return ExampleCall("POST", one.rpartition("/")[0] + end, body)
        case "_delete":
            return ExampleCall("DELETE", one)
        case "_clear":
            return ExampleCall("PATCH", one, '{"_state": "CLEARED"}')
        case "_updateEnabledState":
            return ExampleCall("POST", one + "/enabled-state/DISABLED")
        case "_login":
            body = f'{{"username": "{_LOGINS[entity]}", "password": "simulator-password"}}'
            return ExampleCall("POST", "/ums/v2/users/login", body)
        case "_saveMeasurement":
            return ExampleCall("POST", "/measurement/v1/measurements", _MEASUREMENT)
        case "_start" | "_command" | "*":
            return ExampleCall("POST", _START, "{}")
        case "_generateCertificate":
            return ExampleCall("POST", one + "/certificate")
    return None


def _intercepted(method: str, path: str) -> ExampleCall | None:
    """The operation with what the simulator has in the place of the path's variables."""
    known = {entity: ExampleCall(method, one) for entity, one in _ONES.items()}
    known |= {entity: made for entity in _CREATES if (made := _telling(entity, "_create")) and method == "POST"}
    for entity, call in known.items():
        for found in (call.path, call.path.rpartition("/")[0]) if method == "GET" else (call.path,):
            if _fits(path, found):
                body = _UPDATES.get(entity, "{}") if method == "PATCH" else call.body
                return ExampleCall(method, found, body)
    return ExampleCall(method, path) if "{" not in path and method == "GET" else None


def _fits(pattern: str, path: str) -> bool:
    """Whether a path is one of the pattern, whose `{...}` stand for a segment each."""
    parts = re.split(r"\{[^/]*\}", pattern)
    return re.fullmatch("[^/]+".join(map(re.escape, parts)), path) is not None
