"""A right request for each operation that the simulator answers, and the judge of its answers: the table of facts."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from biot_sidecar.simulator import facts, seed, shapes
from biot_sidecar.simulator.options import DEFAULT_SERVICE_USER_ID, ORGANIZATION_ID, USER_PASSWORD
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer

from tests.simulator.helpers import CREDENTIALS, Desk

UNKNOWN_ID = "99999999-9999-9999-9999-999999999999"
TIME = "2025-11-24T15:00:00.000Z"
NAME = {"firstName": "Nora", "lastName": "New"}
OWNER = {"_ownerOrganization": {"id": ORGANIZATION_ID}}
TEMPLATE = {"_templateId": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}

_number = itertools.count()


def body_of(shape: Any) -> Any:
    """The smallest value of a shape."""
    shape = facts.resolved(shape)
    if isinstance(shape, str):
        shape = {"is": shape}
    if "fields" in shape:
        return {name: _known(name) or body_of(shape["fields"][name]) for name in shape["must"]}
    if "list" in shape:
        return [body_of(shape["list"])]
    if "map" in shape:
        return {}
    if "enum" in shape:
        return shape["enum"][0]
    return _WORDS[shape["is"]](shape)


def _known(name: str) -> Any:
    return {
        "_ownerOrganization": {"id": ORGANIZATION_ID},
        "_patient": {"id": seed.PATIENT_ID},
        "_caregiver": {"id": seed.CAREGIVER_ID},
        "_registrationCode": None,
        "_templateId": TEMPLATE["_templateId"],
    }.get(name)


def _text(shape: Any) -> str:
    return f"n{next(_number)}".ljust(shape.get("least", 0), "x")


_WORDS: dict[str, Any] = {
    "string": _text,
    "integer": lambda shape: shape.get("least", 1),
    "number": lambda shape: shape.get("least", 1),
    "boolean": lambda shape: True,
    "any": lambda shape: "anything",
    "uuid": lambda shape: ORGANIZATION_ID,
    "date": lambda shape: "1990-01-01",
    "date-time": lambda shape: TIME,
    "email": lambda shape: f"someone.{next(_number)}@example.org",
    "phone": lambda shape: "+15550100",
    "locale": lambda shape: "en-us",
    "timezone": lambda shape: "UTC",
}


@dataclass
class Request:
    """What is asked of one operation, by whom (empty: the service user).

    `before` are requests that make the state that it wants: method, path, body. What they answer fills `{...}` of the
    path and the body: `keep` says which variable gets which field.
    """

    variables: dict[str, str] = field(default_factory=dict)
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    before: tuple[tuple[str, str, Any], ...] = ()
    keep: dict[str, str] = field(default_factory=dict)
    user: str = ""


def request_of(operation: Operation) -> Request:
    """The request, put together from what is usual for its path and what is special about it."""
    body = facts.facts_of(operation.api_id).body
    usual = Request({}, None if body is None else body_of(body))
    special = SPECIAL.get(operation.api_id, Request())
    for prefix, variables in VARIABLES.items():
        if operation.path.startswith(prefix):
            usual.variables |= variables
    return Request(
        usual.variables | special.variables,
        usual.body if special.body is None else special.body,
        special.query,
        special.before,
        special.keep,
        special.user,
    )


def path_of(operation: Operation, variables: dict[str, str]) -> str:
    path = operation.path
    for name, value in variables.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"{operation.api_id} needs a variable"
    return path


@dataclass
class Ready:
    """An operation whose state is made, to be asked with one body or another."""

    desk: Desk
    operation: Operation
    request: Request
    token: str

    async def ask(self, *body: Any) -> Answer:
        """Ask rightly, or with another body."""
        variables, query = self.request.variables, self.request.query
        asked = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
        filled = _filled(body[0] if body else self.request.body, variables)
        path = path_of(self.operation, variables)
        return await sent(self.desk, self.operation.method, path, filled, query=asked, token=self.token)


async def ready(desk: Desk, operation: Operation) -> Ready:
    """Make the state that the operation wants."""
    request, token = request_of(operation), desk.token()
    for method, path, body in request.before:
        made = await sent(desk, method, path.format(**request.variables), body, token=token)
        assert made.status < 300, (path, made.body)
        kept = {name: _at(made.body, place) for name, place in request.keep.items()}
        request.variables |= {name: value for name, value in kept.items() if value}
    return Ready(desk, operation, request, desk.user_token(request.user) if request.user else token)


async def sent(desk: Desk, method: str, path: str, body: Any, **more: Any) -> Answer:
    """Ask with the body as JSON, or as a form where the body is a Form."""
    if not isinstance(body, Form):
        return await desk.ask(method, path, body, **more)
    return await desk.ask(method, path, body.encoded(), headers={"Content-Type": body.content_type}, **more)


@dataclass
class Form:
    """A multipart/form-data body: JSON parts, and files by name."""

    parts: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    content_type: str = "multipart/form-data; boundary=line"

    def encoded(self) -> bytes:
        told = [(f'name="{name}"', json.dumps(value).encode()) for name, value in self.parts.items()]
        told += [(f'name="{name}"; filename="{name}.bin"', content) for name, content in self.files.items()]
        head = b"--line\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
        return b"".join(head % (one.encode(), content) for one, content in told) + b"--line--\r\n"


def _at(document: Any, place: str) -> Any:
    for name in place.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _filled(body: Any, variables: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, variables) for name, value in body.items()}
    return variables.get(body[1:-1], body) if isinstance(body, str) and body.startswith("{") else body


def verdict(operation: Operation, answer: Answer) -> list[str]:
    """What is wrong with an answer: a status that is not declared, a body that does not have the declared shape."""
    declared = facts.facts_of(operation.api_id)
    if str(answer.status) not in declared.answers:
        return [f"status {answer.status} is none of {', '.join(declared.answers)}: {answer.body}"]
    shape = declared.answers[str(answer.status)]
    if shape is None:
        return [] if answer.body is None else ["a body where none is declared"]
    found = shapes.problems(answer.body, shape)
    return [str(problem) for problem in found if problem.value != ""]  # an answer's text may be empty


DEVICE = {"deviceId": seed.DEVICE_ID}
SESSIONS = f"/device/v1/devices/{seed.DEVICE_ID}/usage-sessions"
COMMANDS = f"/device/v1/devices/{seed.DEVICE_ID}/commands"

VARIABLES: dict[str, dict[str, str]] = {
    "/organization/v1/users/patients": {
        "id": seed.SECOND_PATIENT_ID,
        "patientId": seed.PATIENT_ID,
        "state": "DISABLED",
        "templateName": "Patient",
    },
    "/organization/v1/users/patients/{patientId}/alerts": {"id": seed.PATIENT_ALERT_ID, "templateName": "PatientAlert"},
    "/organization/v1/users/caregivers": {"id": seed.CAREGIVER_ID, "state": "DISABLED", "templateName": "Clinician"},
    "/organization/v1/users/organizations": {
        "id": seed.USER_ID,
        "state": "DISABLED",
        "templateName": "OrganizationUser",
    },
    "/organization/v1/organizations": {
        "id": ORGANIZATION_ID,
        "templateName": "Organization",
        "newAdminId": seed.USER_ID,
    },
    "/organization/v1/registration-codes": {"id": seed.REGISTRATION_CODE_ID, "templateName": "RegistrationCode"},
    "/organization/v1/invitations": {"userId": seed.PATIENT_ID},
    "/organization/v1/landing-pages": {"landingPageType": "FORGOT_PASSWORD"},
    "/device/v2/devices": {"id": seed.DEVICE_ID, "templateName": "Device"},
    "/device/v1/devices/{deviceId}/alerts": {"id": seed.DEVICE_ALERT_ID, "templateName": "DeviceAlert"} | DEVICE,
    "/device/v1/devices/{deviceId}/usage-sessions": {"id": seed.SESSION_ID, "usageType": "UsageSession"} | DEVICE,
    "/device/v1/devices/{deviceId}/commands": {"id": seed.COMMAND_ID, "templateName": "Command"} | DEVICE,
    "/device/v1/devices/usage-sessions/maintenance": {"deleteOrphanSessionsEnum": "DEVICE"},
    "/ums/v2/services": {"id": DEFAULT_SERVICE_USER_ID},
    "/ums/v2/users": {"id": seed.USER_ID},
    "/generic-entity": {"id": seed.GENERIC_ID, "templateName": "GenericEntity"},
}

_PAGE = {"userType": "patient", "url": "https://app.example.org/reset"}
_RANGE = {"from": "2025-11-24T00:00:00Z", "to": "2025-11-25T00:00:00Z"}
_V1 = {"patientId": seed.PATIENT_ID, "startTime": _RANGE["from"], "endTime": _RANGE["to"], "attributes": "pulse"}
_PULSE = {"metadata": {"timestamp": TIME, "deviceId": seed.DEVICE_ID}, "data": {"pulse": 61}}
_SAVED = (("POST", "/measurement/v1/measurements", _PULSE),)
_FILTER = {"_patient.id": {"eq": seed.PATIENT_ID}, "timestamp": _RANGE}
_FILE = {"name": "note.txt", "mimeType": "text/plain"}

_PATIENT = "demo.patient@example.org"
_LOGIN = ("POST", "/ums/v2/users/login", {"username": _PATIENT, "password": USER_PASSWORD})
_REFRESH = {"refreshToken": "{refresh}"}
_KEEP = {"refresh": "refreshJwt.token"}
_CERTIFICATE = ("POST", f"/device/v2/devices/{seed.DEVICE_ID}/certificate", None)
_CONTROL = "/device/v1/devices/{deviceId}/usage-sessions/{id}/remote-control"
_START = ("POST", SESSIONS + "/remote-control/start", TEMPLATE)
_PARTS = "/file/v1/files/upload/parts"
_IN_PARTS = ("POST", _PARTS, _FILE | {"parts": 2})
_ETAGS = {"parts": [{"partNumber": 1, "etag": "one"}]}
_HOOKS = "/dispatcher/v1/hooks/interceptions"
_HOOK = {
    "type": "PRE_REQUEST",
    "apiId": "PATCH/organization/v1/users/patients/{id}",
    "entityName": "patient",
    "endpoint": "http://127.0.0.1:9/",
}
_NOTIFICATIONS = "/dispatcher/v1/hooks/notifications"
_NOTIFICATION = {"entityTypeName": "patient", "actionName": "_update", "endpoint": "http://127.0.0.1:9/"}
_TEMPLATE = {
    "name": "trial",
    "displayName": "Trial",
    "entityType": "patient",
    "customAttributes": [{"name": "arm", "displayName": "Arm", "type": "LABEL", "category": "REGULAR"}],
}
_TEMPLATED = ("POST", "/settings/v1/templates", _TEMPLATE)
_PLUGIN = Form({"config": {"name": "mine", "displayName": "Mine", "version": 1}}, {"code": b"zip"})
_PLUGGED = ("POST", "/settings/v2/plugins", _PLUGIN)
_GERMAN = ("POST", "/settings/v1/locales", {"code": "de-de"})
_SNIPPED = ("POST", "/settings/v1/code-snippets", {"name": "one", "language": "JAVASCRIPT", "code": "1"})
_REPORT = {"queries": [{"dataType": "patient"}], "outputMetadata": {"exportFormat": "JSON"}}
_REPORTED = ("POST", "/dms/v1/data/reports/export", _REPORT)
_SIGN_UP = {
    "_name": NAME,
    "_email": "nora@example.org",
    "_username": "nora@example.org",
    "_password": "long-enough",
    "_caregiver": {"id": seed.CAREGIVER_ID},
    "_deviceRegistrationCode": "demo-code-2",
} | OWNER

SPECIAL: dict[str, Request] = {
    "PUT/organization/v1/landing-pages/{landingPageType}": Request(body=_PAGE),
    "DELETE/organization/v1/landing-pages/{landingPageType}": Request(
        body=_PAGE, before=(("PUT", "/organization/v1/landing-pages/FORGOT_PASSWORD", _PAGE),)
    ),
    "DELETE/organization/v1/users/caregivers/{id}": Request(
        before=(("PATCH", f"/organization/v1/users/patients/{seed.PATIENT_ID}", {"_caregiver": None}),)
    ),
    "PATCH/device/v1/devices/{deviceId}/usage-sessions/{id}": Request(
        body={"_startTime": TIME, "_endTime": TIME, "_state": "DONE"}
    ),
    "POST/ums/v2/services/accessToken": Request(body=CREDENTIALS),
    "DELETE/ums/v2/services/{id}/secret-keys/{secretKeyId}": Request(
        before=(("POST", "/ums/v2/services/self/secret-keys", None),), keep={"secretKeyId": "id"}
    ),
    "DELETE/ums/v2/services/self/secret-keys/{secretKeyId}": Request(
        before=(("POST", "/ums/v2/services/self/secret-keys", None),), keep={"secretKeyId": "id"}
    ),
    "GET/organization/v1/users/self": Request(user=_PATIENT),
    "GET/organization/v1/users/patients/self": Request(user=_PATIENT),
    "GET/organization/v1/users/caregivers/self": Request(user="casey@example.org"),
    "GET/organization/v1/users/organizations/self": Request(user="olga.office@example.org"),
    "POST/ums/v2/users/login": Request(body=_LOGIN[2]),
    "POST/ums/v2/users/logout": Request(body=_REFRESH, before=(_LOGIN,), keep=_KEEP),
    "POST/ums/v2/users/token/login": Request(body=_REFRESH, before=(_LOGIN,), keep=_KEEP),
    "POST/ums/v2/users/token/refresh": Request(body=_REFRESH, before=(_LOGIN,), keep=_KEEP),
    "GET/ums/v2/users/self": Request(user=_PATIENT),
    "PATCH/ums/v2/users/self": Request(
        body={"password": {"current": USER_PASSWORD, "new": "another-password"}}, user=_PATIENT
    ),
    "DELETE/ums/v2/users/self": Request(user=_PATIENT),
    "DELETE/device/v2/devices/{id}/certificate": Request(before=(_CERTIFICATE,)),
    "POST/device/v2/devices/{id}/certificate/activate": Request(before=(_CERTIFICATE,)),
    f"POST{_CONTROL}/pause": Request(before=(_START,), keep={"id": "_id"}),
    f"POST{_CONTROL}/resume": Request(
        before=(_START, ("POST", SESSIONS + "/{id}/remote-control/pause", None)), keep={"id": "_id"}
    ),
    f"POST{_CONTROL}/stop": Request(before=(_START,), keep={"id": "_id"}),
    "POST/device/v1/devices/{deviceId}/commands/{id}/stop": Request(
        before=(("POST", COMMANDS + "/start", TEMPLATE),), keep={"id": "_id"}
    ),
    "GET/file/v1/files/{id}/download": Request(before=(("POST", "/file/v1/files/upload", _FILE),), keep={"id": "id"}),
    f"POST{_PARTS}/{{id}}": Request(body={"fromPart": 1, "toPart": 2}, before=(_IN_PARTS,), keep={"id": "id"}),
    f"PUT{_PARTS}/{{id}}": Request(body=_ETAGS, before=(_IN_PARTS,), keep={"id": "id"}),
    f"POST{_PARTS}/{{id}}/complete": Request(body=_ETAGS, before=(_IN_PARTS,), keep={"id": "id"}),
    f"DELETE{_PARTS}/{{id}}/cancel": Request(before=(_IN_PARTS,), keep={"id": "id"}),
    f"POST{_HOOKS}/subscribe": Request(body=_HOOK),
    f"POST{_HOOKS}/unsubscribe": Request(body=_HOOK, before=(("POST", _HOOKS + "/subscribe", _HOOK),)),
    "POST/settings/v1/templates": Request(body=_TEMPLATE),
    "PUT/settings/v1/templates/{templateId}": Request(
        body=_TEMPLATE | {"builtInAttributes": [], "templateAttributes": []},
        before=(_TEMPLATED,),
        keep={"templateId": "id"},
    ),
    "GET/settings/v1/templates/{templateId}": Request(before=(_TEMPLATED,), keep={"templateId": "id"}),
    "GET/settings/v1/templates/{templateId}/overview": Request(before=(_TEMPLATED,), keep={"templateId": "id"}),
    "DELETE/settings/v1/templates/{templateId}": Request(before=(_TEMPLATED,), keep={"templateId": "id"}),
    "POST/settings/v2/plugins": Request(body=_PLUGIN),
    "GET/settings/v2/plugins/{name}": Request(before=(_PLUGGED,), keep={"name": "name"}),
    "PATCH/settings/v2/plugins/{name}": Request(
        body=Form({"config": {"version": 2}}, {"code": b"zip"}), before=(_PLUGGED,), keep={"name": "name"}
    ),
    "DELETE/settings/v2/plugins/{name}": Request(before=(_PLUGGED,), keep={"name": "name"}),
    "POST/settings/v1/locales": Request(body={"code": "de-de"}),
    "DELETE/settings/v1/locales/{id}": Request({"id": "de-de"}, before=(_GERMAN,)),
    "PATCH/settings/v1/locales/configuration": Request(
        body={"availableLocales": [{"code": "en-us"}, {"code": "de-de"}], "defaultLocaleCode": "de-de"}
    ),
    "GET/settings/v1/code-snippets/{id}": Request(before=(_SNIPPED,), keep={"id": "id"}),
    "DELETE/settings/v1/code-snippets/{id}": Request(before=(_SNIPPED,), keep={"id": "id"}),
    "POST/notification/v1/sms/send": Request(body={"message": "invented", "phoneNumber": "+15550100"}),
    "POST/notification/v1/attachment": Request(body=Form({}, {"file": b"bytes"})),
    "GET/dms/v1/data/reports": Request(before=(_REPORTED,)),
    "GET/dms/v1/data/reports/{id}": Request(before=(_REPORTED,), keep={"id": "id"}),
    "DELETE/dms/v1/data/reports/{id}": Request(before=(_REPORTED,), keep={"id": "id"}),
    "POST/dms/v1/data/reports/{id}/cancel": Request(before=(_REPORTED,), keep={"id": "id"}),
    "POST/api-gateway/v1/sign-up": Request(body=_SIGN_UP),
    "POST/api-gateway/v1/sign-up/anonymous": Request(
        body={"_username": "nobody@example.org", "_password": "long-enough", "_deviceRegistrationCode": "demo-code-2"}
    ),
    "POST/api-gateway/v1/devices/assign": Request(body={"deviceRegistrationCode": "demo-code-2"}, user=_PATIENT),
    f"POST{_NOTIFICATIONS}/subscribe": Request(body=_NOTIFICATION),
    f"POST{_NOTIFICATIONS}/unsubscribe": Request(
        body=_NOTIFICATION, before=(("POST", _NOTIFICATIONS + "/subscribe", _NOTIFICATION),)
    ),
    "POST/measurement/v1/measurements": Request(body=_PULSE),
    "POST/measurement/v1/measurements/bulk": Request(body={"measures": [_PULSE]}),
    "GET/measurement/v1/measurements/raw": Request(query=_V1, before=_SAVED),
    "GET/measurement/v1/measurements/aggregated": Request(query=_V1 | {"binIntervalSeconds": "60"}, before=_SAVED),
    "GET/measurement/v2/measurements/raw": Request(query={"searchRequest": {"filter": _FILTER}}, before=_SAVED),
    "GET/measurement/v2/measurements/aggregated": Request(
        query={"searchRequest": {"filter": _FILTER | {"binIntervalSeconds": {"eq": 60}}}}, before=_SAVED
    ),
}
