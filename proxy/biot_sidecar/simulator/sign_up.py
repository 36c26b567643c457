"""BioT's facade: patients who sign up by themselves, and take a device by its registration code."""

from __future__ import annotations

from collections.abc import Iterator

from biot_sidecar.simulator.devices import DEVICE, REGISTRATION_CODE
from biot_sidecar.simulator.entities import Entities, made_by_biot
from biot_sidecar.simulator.people import PATIENT
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.users import Users
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json


class SignUp:
    """`/api-gateway/v1`."""

    def __init__(self, entities: Entities, users: Users) -> None:
        self._entities = entities
        self._users = users

    def operations(self) -> Iterator[Operation]:
        path = "/api-gateway/v1"
        yield Operation("POST", path + "/sign-up", self.sign_up, PATIENT.name)
        yield Operation("POST", path + "/sign-up/anonymous", self.sign_up_anonymously, PATIENT.name)
        yield Operation("POST", path + "/devices/assign", self.assign, DEVICE.name)

    def sign_up(self, call: Call) -> Answer:
        body = call.document()
        code = body.get("_deviceRegistrationCode")
        device = self._free_device(code, "") if code else None
        told = {name: value for name, value in body.items() if name not in ("_password", "_deviceRegistrationCode")}
        return self._signed_up(told | {"_registrationSource": "SELF"}, device, call)

    def sign_up_anonymously(self, call: Call) -> Answer:
        body = call.document()
        device = self._free_device(body["_deviceRegistrationCode"], "")
        name = body.get("_nickname") or "Anonymous"
        patient = {
            "_name": {"firstName": name, "lastName": "Patient"},
            "_email": body["_username"],
            "_username": body["_username"],
            "_nickname": body.get("_nickname"),
            "_registrationSource": "ANONYMOUS",
            "_ownerOrganization": {"id": device["_ownerOrganization"]["id"]},
        }
        return self._signed_up(patient, device, call)

    def assign(self, call: Call) -> Answer:
        """The patient of the token gets the device."""
        if self._entities.of(PATIENT.name).get(call.initiator.id) is None:
            raise BiotError(403, "ACCESS_DENIED", "Only a patient can be assigned a device")
        device = self._free_device(call.document()["deviceRegistrationCode"], call.initiator.id)
        return Answer(200, self._assigned(device, call.initiator.id, call))

    def _signed_up(self, patient: Json, device: Json | None, call: Call) -> Answer:
        if self._users.is_taken(patient["_username"]):
            details = {"username": patient["_username"], "userId": None}
            raise BiotError(409, "USERNAME_ALREADY_EXIST", "Another user has this name", details)
        made = self._entities.create(
            PATIENT, patient | {"_canLogin": True}, made_by_biot(call), "", **self._carer(patient)
        )
        self._users.set_password(made["_id"], call.document()["_password"])
        assigned = self._assigned(device, made["_id"], call) if device else None
        return Answer(201, {"patient": made, "device": assigned})

    def _carer(self, patient: Json) -> Json:
        """The specification's answer has a caregiver: who names none gets the organization's first."""
        if patient.get("_caregiver"):
            return {}
        owner = (patient.get("_ownerOrganization") or {}).get("id")
        found = self._entities.of("caregiver").having("_ownerOrganization.id", [owner])
        return {"_caregiver": {"id": found[-1]["_id"]}} if found else {}

    def _free_device(self, code: str, patient: str) -> Json:
        """The device with the registration code, which nobody else has."""
        codes = self._entities.of(REGISTRATION_CODE.name).having("_code", [code])
        devices = self._entities.of(DEVICE.name).having("_registrationCode.id", [one["_id"] for one in codes])
        if not codes or not devices:
            raise BiotError(404, "REGISTRATION_CODE_NOT_FOUND", "No device has this registration code", {"id": code})
        if (devices[0].get("_patient") or {}).get("id") not in (None, patient):
            details = {"registrationCodeId": codes[0]["_id"]}
            raise BiotError(409, "REGISTRATION_CODE_ALREADY_IN_USE", "The device has a patient already", details)
        return devices[0]

    def _assigned(self, device: Json, patient: str, call: Call) -> Json:
        return self._entities.update(
            DEVICE, device["_id"], {"_patient": {"id": patient}}, made_by_biot(call), "_update"
        )
