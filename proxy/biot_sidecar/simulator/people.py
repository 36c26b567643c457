"""Patients, caregivers and organization users: their kinds, and the operations that only people have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from biot_sidecar.simulator.entities import Entities, refusal_404
from biot_sidecar.simulator.facts import facts_of, fields_of, refusal
from biot_sidecar.simulator.kinds import OWNER, Kind, Stored, Unique
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, timestamp

_EMAIL = Unique("_email", "EMAIL_ALREADY_EXIST", "email", "people")
_NO_MFA = {"enabled": False, "expirationInMinutes": None}


def _person(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    if old is None:
        entity["_mfa"] = _NO_MFA | entity.get("_mfa", {})
        defaults = {"_invitationAccepted": False, "_enabled": "ENABLED", "_credentialType": "PASSWORD"}
        entity.update({name: entity.get(name, value) for name, value in defaults.items()})
    facts = facts_of(call.api_id)
    if entity.get("_credentialType") == "OTP" and facts.declared("OTP_PHONE_CANNOT_BE_NULL"):
        if not entity.get("_phone"):
            refuse(
                call,
                refusal(facts, "OTP_PHONE_CANNOT_BE_NULL", "A user with one-time passwords needs a phone"),
                "_phone",
            )
        if entity["_mfa"].get("enabled"):
            refuse(
                call,
                refusal(facts, "OTP_MFA_ENABLED_CONFLICT", "One-time passwords and MFA exclude each other"),
                "_mfa",
            )


def _patient(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    _person(entity, old, call, stored)
    entity.setdefault("_canLogin", False)
    if entity["_canLogin"] and not entity.get("_email"):
        message = "A patient who can log in needs an email"
        refuse(call, refusal(facts_of(call.api_id), "EMAIL_CANNOT_BE_EMPTY_FOR_LOGGABLE_USER", message), "_email")
    caregiver = stored.of("caregiver").get((entity.get("_caregiver") or {}).get("id", ""))
    if caregiver is None:
        return
    theirs, ours = ((one.get("_ownerOrganization") or {}).get("id") for one in (caregiver, entity))
    if theirs != ours and stored.of("organization").get(str(ours)) is not None:
        message = "A patient's caregiver must be of the same organization"
        details = {"patientOrganizationId": ours, "caregiverOrganizationId": theirs}
        refuse(
            call, BiotError(409, "CAREGIVER_MUST_BE_IN_SAME_ORGANIZATION_AS_PATIENT", message, details), "_caregiver"
        )


def _named(number: str) -> Callable[[Json], str]:
    """`lastName firstName (number)`, where the number is the attribute of this name."""

    def caption(entity: Json) -> str:
        name = entity.get("_name") or {}
        told = f" ({entity[number]})" if entity.get(number) else ""
        return f"{name.get('lastName', '')} {name.get('firstName', '')}{told}".strip()

    return caption


def _keep_assigned(entity: Json, call: Call, stored: Stored) -> None:
    identity = entity["_id"]
    if stored.of("patient").having("_caregiver.id", [identity]):
        message = "The caregiver is assigned to a patient"
        raise BiotError(409, "CAREGIVER_ASSIGNED_TO_PATIENT", message, {"id": identity})


def _keep_admin(entity: Json, call: Call, stored: Stored) -> None:
    identity = entity["_id"]
    if stored.of("organization").having("_primaryAdministrator.id", [identity]):
        message = "The user is the administrator of an organization"
        raise BiotError(409, "USER_IS_ORGANIZATION_ADMIN", message, {"id": identity})


_PERSON = Kind(
    name="",
    shape="",
    not_found="USER_NOT_FOUND",
    caption=_named("_employeeId"),
    derive=_person,
    references=OWNER,
    unique=(_EMAIL,),
    mandatory=("_name", "_ownerOrganization"),
)
PATIENT = replace(
    _PERSON,
    name="patient",
    shape="PatientResponse",
    template="Patient",
    caption=_named("_nationalId"),
    derive=_patient,
    references={**OWNER, "_caregiver": ("caregiver",)},
)
CAREGIVER = replace(_PERSON, name="caregiver", shape="CaregiverResponse", template="Clinician", guard=_keep_assigned)
ORGANIZATION_USER = replace(
    _PERSON,
    name="organization-user",
    shape="OrganizationUserResponse",
    template="OrganizationUser",
    guard=_keep_admin,
)
PEOPLE = (PATIENT, CAREGIVER, ORGANIZATION_USER)


class People:
    """The operations that all three kinds of people have beside those of every entity."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def find(self, identity: str) -> tuple[Kind, Json] | None:
        """The person with this id, and of which kind."""
        for kind in PEOPLE:
            entity = self._entities.of(kind.name).get(identity)
            if entity is not None:
                return kind, entity
        return None

    def at_phone(self, number: str) -> tuple[Kind, Json] | None:
        """The person with this phone number, and of which kind."""
        for kind in PEOPLE:
            for entity in self._entities.of(kind.name).having("_phone", [number]):
                return kind, entity
        return None

    def read_self(self, kind: Kind) -> Callable[[Call], Answer]:
        """`GET .../self` of one kind: who calls, if it is one of these."""

        def read(call: Call) -> Answer:
            return Answer(200, self._entities.shown(kind, self._entities.get(kind, call.initiator.id, call)))

        return read

    def read_any_self(self, call: Call) -> Answer:
        """`GET /organization/v1/users/self`."""
        found = self.find(call.initiator.id)
        if found is None:
            raise user_not_found(call, call.initiator.id)
        shown = self._entities.shown(*found)
        basic = {name: shown.get(name) for name in fields_of("@UserResponse")}
        return Answer(200, basic | {"_userType": found[0].name})

    def set_enabled(self, kind: Kind) -> Callable[[Call], Answer]:
        """`POST .../{id}/enabled-state/{state}`."""

        def set_enabled(call: Call) -> Answer:
            state = call.variables["state"]
            if state not in ("ENABLED", "DISABLED"):
                raise BiotError(400, "BAD_REQUEST", "The state must be ENABLED or DISABLED", {"state": state})
            action = "_updateEnabledState"
            return Answer(200, self._entities.update(kind, call.variables["id"], {}, call, action, _enabled=state))

        return set_enabled

    def invite(self, call: Call) -> Answer:
        """`POST /organization/v1/invitations/{userId}`: sends the invitation again."""
        found = self.find(call.variables["userId"])
        if found is None:
            raise user_not_found(call, call.variables["userId"])
        entity = found[1]
        message = f"User with id [{entity['_id']}] has no invitation to be sent again"
        if entity.get("_invitationAccepted") or not entity.get("_email"):
            raise BiotError(404, "INVITATION_NOT_FOUND", message, {"userId": entity["_id"]})
        now = timestamp(call.now)
        return Answer(200, {"userId": entity["_id"], "creationTime": entity["_creationTime"], "lastModifiedTime": now})


def user_not_found(call: Call, identity: str) -> BiotError:
    return refusal_404(call, "USER_NOT_FOUND", f"User with id [{identity}] not found", {"id": identity})
