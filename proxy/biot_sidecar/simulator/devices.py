"""Devices and registration codes: their kinds, a device's status, certificate and connection."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from biot_sidecar.simulator.entities import Entities, merged, refusal_404
from biot_sidecar.simulator.facts import fields_of
from biot_sidecar.simulator.kinds import OWNER, Kind, Stored, Unique
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, timestamp

_HOST = "mqtt.example.invalid"
_REGION = "us-east-1"
_LIFE = 3600.0  # seconds for which temporary credentials are said to be valid


def _status() -> Json:
    status = dict.fromkeys(fields_of("@DeviceStatus"))
    connection = dict.fromkeys(fields_of("@ConnectionStatus")) | {"_connected": False}
    operational = dict.fromkeys(fields_of("@DeviceOperationalStatusResponse"))
    return status | {"_certificateStatus": "NOT_INSTALLED", "_connection": connection, "_operational": operational}


def _device(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    entity.setdefault("_status", _status())
    code = (entity.get("_registrationCode") or {}).get("id")
    if code and any(found is not old for found in stored.of("device").having("_registrationCode.id", [code])):
        message = "Another device has this registration code"
        refuse(
            call,
            BiotError(409, "REGISTRATION_CODE_ALREADY_IN_USE", message, {"registrationCodeId": code}),
            "_registrationCode",
        )
    if old is not None and (entity.get("_patient") or {}).get("id") != (old.get("_patient") or {}).get("id"):
        _refuse_while_used(entity["_id"], call, stored, "UPDATED_DEVICE_HAS_AN_ACTIVE_COMMAND", "_patient")


def _keep_used(entity: Json, call: Call, stored: Stored) -> None:
    _refuse_while_used(entity["_id"], call, stored, "DELETED_DEVICE_HAS_AN_ACTIVE_COMMAND", "")


def _refuse_while_used(identity: str, call: Call, stored: Stored, command_code: str, attribute: str) -> None:
    about = {"attributeName": attribute} if attribute else {}
    if any(one["_state"] != "DONE" for one in stored.of("usage-session").having("_device.id", [identity])):
        details = {"attributeName": attribute or None, "deviceId": identity}
        raise BiotError(403, "UPDATE_DEVICE_HAS_AN_ACTIVE_SESSION", "The device has an active session", details)
    if any(one["_state"] == "IN_PROGRESS" for one in stored.of("command").having("_device.id", [identity])):
        raise BiotError(403, command_code, "The device has an active command", about | {"deviceId": identity})


DEVICE = Kind(
    name="device",
    shape="DeviceResponse",
    not_found="DEVICE_NOT_FOUND",
    template="Device",
    caption=lambda entity: entity["_id"],
    derive=_device,
    guard=_keep_used,
    references={**OWNER, "_patient": ("patient",), "_registrationCode": ("registration-code",)},
    unique=(Unique("_id", "DEVICE_ID_ALREADY_EXISTS", "deviceId"),),
    mandatory=("_ownerOrganization",),
    given_id=True,
)
REGISTRATION_CODE = Kind(
    name="registration-code",
    shape="RegistrationCodeResponse",
    not_found="REGISTRATION_CODE_NOT_FOUND",
    template="RegistrationCode",
    caption=lambda entity: entity.get("_code"),
    references=OWNER,
    unique=(Unique("_code", "REGISTRATION_CODE_ALREADY_EXISTS", "id"),),
    mandatory=("_code", "_ownerOrganization"),
)
GENERIC = Kind(
    name="generic-entity",
    shape="GenericEntityResponse",
    not_found="GENERIC_ENTITY_NOT_FOUND",
    template="GenericEntity",
    caption=lambda entity: entity.get("_name") or "",
    references=OWNER,
    mandatory=("_name",),
)


class Devices:
    """What devices have beside the operations of every entity. Nothing of it leads to a real broker."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def update_status(self, call: Call) -> Answer:
        """`PATCH /device/v2/devices/{id}/status`."""
        device = self._device(call)
        status = merged(device["_status"], call.document().get("data") or {})
        return self._with_status(call, "_update", status)

    def create_certificate(self, call: Call) -> Answer:
        """`POST /device/v2/devices/{id}/certificate`."""
        device, identity = self._device(call), str(uuid.uuid4())
        if device["_status"]["_certificateStatus"] != "NOT_INSTALLED":
            details = {"certificateId": identity, "certificateType": _type(call)}
            raise BiotError(409, "CERTIFICATE_ALREADY_EXISTS", "The device has a certificate already", details)
        self._with_certificate(call, "_generateCertificate", "BOOTSTRAP")
        names = fields_of("@GenerateCertificateResponse")
        invented = {name: f"invented {name}" for name in names}
        told = {"certificateId": identity, "connectionClientId": device["_id"], "endPointUrl": _HOST}
        return Answer(201, invented | told)

    def activate_certificate(self, call: Call) -> Answer:
        """`POST /device/v2/devices/{id}/certificate/activate`."""
        if self._device(call)["_status"]["_certificateStatus"] == "NOT_INSTALLED":
            details = {"certificateType": _type(call)}
            raise refusal_404(call, "CERTIFICATE_NOT_FOUND", "The device has no certificate", details)
        self._with_certificate(call, "_activateCertificate", "PERMANENT")
        return Answer(200)

    def delete_certificate(self, call: Call) -> Answer:
        """`DELETE /device/v2/devices/{id}/certificate`."""
        if self._device(call)["_status"]["_certificateStatus"] == "NOT_INSTALLED":
            details = {"certificateType": _type(call)}
            raise refusal_404(call, "CERTIFICATE_NOT_FOUND", "The device has no certificate", details)
        self._with_certificate(call, "_revokeCertificate", "NOT_INSTALLED")
        return Answer(204)

    def connection(self, call: Call) -> Answer:
        """`GET /device/v2/devices/{id}/connection/details`."""
        identity = self._device(call)["_id"]
        topics = [
            {"actionEnum": one, "toDevice": f"to/{identity}/{one}", "fromDevice": f"from/{identity}/{one}"}
            for one in ("STATUS", "MEASUREMENT", "TOKEN")
        ]
        return Answer(200, {"connectionClientId": identity, "topicInfoList": topics})

    def device_credentials(self, call: Call) -> Answer:
        """`GET /device/v2/devices/{id}/mqtt-credentials`."""
        return Answer(200, _credentials(call) | {"connectionClientId": self._device(call)["_id"]})

    def organization_credentials(self, call: Call) -> Answer:
        """`GET /device/v2/credentials/organization` and `GET /ums/v1/temp-credentials/organization`."""
        return Answer(200, _credentials(call) | {"topic": f"organization/{call.initiator.organization}"})

    def endpoint(self, call: Call) -> Answer:
        """`GET /device/v1/endpoint`."""
        return Answer(200, {"endpoint": _HOST})

    def _device(self, call: Call) -> Json:
        return self._entities.get(DEVICE, call.variables["id"], call)

    def _with_certificate(self, call: Call, action: str, state: str) -> Answer:
        return self._with_status(call, action, self._device(call)["_status"] | {"_certificateStatus": state})

    def _with_status(self, call: Call, action: str, status: Any) -> Answer:
        return Answer(200, self._entities.update(DEVICE, call.variables["id"], {}, call, action, _status=status))


def _type(call: Call) -> str:
    return call.parameter("type") or "PERMANENT"


def _credentials(call: Call) -> Json:
    return {
        "endpoint": _HOST,
        "region": _REGION,
        "credentials": {
            "accessKeyId": "INVENTED",
            "secretAccessKey": secrets.token_urlsafe(30),
            "sessionToken": secrets.token_urlsafe(60),
            "expiration": timestamp(call.now + _LIFE),
        },
    }
