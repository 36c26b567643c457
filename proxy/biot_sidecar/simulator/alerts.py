"""Alerts of patients and devices: their kinds, how they are cleared, and what is open now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.kinds import OWNER, Kind, Parent, Stored
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.values import Answer, Call, Json, timestamp


def _alert(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    entity.setdefault("_state", "ACTIVE")
    entity.setdefault("_severity", "INFO")
    entity.setdefault("_setDateTime", entity["_creationTime"])
    before = (old or {}).get("_state", "ACTIVE")
    cleared = entity["_state"] == "CLEARED"
    facts = facts_of(call.api_id)
    if before == "CLEARED" and not cleared:
        details = {"oldState": before, "newState": entity["_state"]}
        refuse(call, refusal(facts, "ILLEGAL_STATE_CHANGE", "A cleared alert stays cleared", **details), "_state")
    if entity.get("_clearNotes") and not cleared:
        refuse(
            call,
            refusal(facts, "CLEAR_NOTES_GIVEN_ON_OPEN_ALERT", "Only a cleared alert has clear notes"),
            "_clearNotes",
        )
    if cleared and "_clearDateTime" not in entity:
        entity |= {"_clearDateTime": timestamp(call.now), "_clearTrigger": "MANUAL"}
        if call.initiator.token_type == "USER":
            entity["_clearedBy"] = {"id": call.initiator.id}


def _cleared(entity: Json, old: Json | None) -> Sequence[str]:
    """An update that clears an alert is told as that, too."""
    is_cleared, was_cleared = entity["_state"] == "CLEARED", old is None or old["_state"] == "CLEARED"
    return ("_clear",) if is_cleared and not was_cleared else ()


def _of(parent: str, variable: str) -> tuple[Mapping[str, Sequence[str]], Parent]:
    """The references and the parent of an alert."""
    attribute = "_" + parent
    references = {**OWNER, attribute: (parent,), "_clearedBy": ("organization-user", "caregiver", "patient")}
    codes = ("ALERT_PARENT_ENTITY_NOT_FOUND", "parentEntityId", "INCORRECT_PARENT", "parentEntityId")
    return references, Parent(variable, attribute, parent, *codes)


_PATIENT_REFERENCES, _PATIENT = _of("patient", "patientId")
_DEVICE_REFERENCES, _DEVICE = _of("device", "deviceId")

PATIENT_ALERT = Kind(
    name="patient-alert",
    shape="PatientAlertResponse",
    not_found="ALERT_NOT_FOUND",
    template="PatientAlert",
    caption=lambda entity: entity.get("_name") or entity["_template"]["displayName"],
    derive=_alert,
    also=_cleared,
    references=_PATIENT_REFERENCES,
    parent=_PATIENT,
    parent_template="patient",
)
DEVICE_ALERT = replace(
    PATIENT_ALERT,
    name="device-alert",
    shape="DeviceAlertResponse",
    template="DeviceAlert",
    references=_DEVICE_REFERENCES,
    parent=_DEVICE,
    parent_template="device",
)


def current(entities: Entities, kind: Kind, within: Json, name: str) -> Callable[[Call], Answer]:
    """`GET .../current/...`: the parents that have entities of the kind within a filter, each with these (`name`)."""

    def read(call: Call) -> Answer:
        inside, parent = search.predicate(within), kind.parent
        if parent is None:
            raise ValueError(f"{kind.name} has no parent")
        by_parent: dict[str, list[Json]] = {}
        for entity in filter(inside, entities.of(kind.name)):
            by_parent.setdefault((entity.get(parent.attribute) or {}).get("id", ""), []).append(entity)
        owners = [owner for identity in by_parent if (owner := entities.of(parent.kind).get(identity))]
        owner_kind = entities.kinds[parent.kind]
        found = search.search(owners, search.parse(call.parameter("searchRequest")))
        data = [
            {
                parent.attribute: entities.shown(owner_kind, owner),
                name: [entities.shown(kind, entity) for entity in by_parent[owner_kind.id_of(owner)]],
            }
            for owner in found["data"]
        ]
        return Answer(200, found | {"data": data})

    return read
