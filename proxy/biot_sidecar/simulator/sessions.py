"""Usage sessions and commands of devices: their kinds, and their states, as of a device that obeys at once."""

from __future__ import annotations

from collections.abc import Callable

from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.kinds import OWNER, Kind, Parent, Stored
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Json, instant, timestamp

_INTERVAL = 1000  # milliseconds between measurements, unless the template says otherwise
_TIMEOUT = 60  # seconds for which a command may run


def _session(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    entity.setdefault("_initiator", "EXTERNAL")
    entity.setdefault("_requiredMeasurementIntervalMilliseconds", _INTERVAL)
    entity.setdefault("_sessionContext", "simulator")
    entity["_summary"] = {"_stopReason": None, "_stopReasonCode": None} | (entity.get("_summary") or {})
    entity.setdefault("_state", "ACTIVE")
    _check_times(entity, call)
    if old is None:
        _check_device(entity, call, stored)
    elif old["_state"] == "DONE" and entity["_state"] != "DONE":
        raise _wrong_state(call, old["_state"], entity["_state"])


def _check_times(entity: Json, call: Call) -> None:
    facts = facts_of(call.api_id)
    start, end, state = instant(entity.get("_startTime")), instant(entity.get("_endTime")), entity["_state"]
    if start is not None and start > call.now + 60:  # a device's clock may be a little ahead
        details = {"time": entity["_startTime"], "currentTime": timestamp(call.now)}
        refuse(call, refusal(facts, "TIME_IN_FUTURE", "A session cannot start in the future", **details), "_startTime")
    if start is not None and end is not None and start > end:
        details = {"startTime": entity["_startTime"], "endTime": entity["_endTime"]}
        refuse(
            call,
            refusal(facts, "START_TIME_AFTER_END_TIME", "A session cannot end before it starts", **details),
            "_endTime",
        )
    if (end is None) is (state == "DONE"):
        details = {"value": entity.get("_endTime"), "state": state}
        message = "A session that is DONE has an end, and no other has"
        refuse(call, refusal(facts, "END_TIME_VALUE_INVALID_FOR_SESSION_STATE", message, **details), "_endTime")
    for name, value in entity["_summary"].items():
        if value is not None and state != "DONE" and name in ("_stopReason", "_stopReasonCode"):
            details = {"attributeName": f"_summary.{name}", "value": value, "state": state}
            message = "Only a session that is DONE has a reason why it stopped"
            refuse(call, refusal(facts, "STOP_DATA_NOT_NULL_FOR_NON_DONE_SESSION", message, **details))


def _check_device(entity: Json, call: Call, stored: Stored) -> None:
    identity = entity["_device"]["id"]
    if entity.get("_patient") is None:
        device = stored.of("device").get(identity) or {}
        entity["_patient"] = device.get("_patient")
    facts, patient = facts_of(call.api_id), (entity.get("_patient") or {}).get("id")
    if patient is None:
        message = "Neither the session nor its device has a patient"
        refuse(call, refusal(facts, "SESSION_MISSING_PATIENT_ID", message, deviceId=identity), "_patient")
    for other in stored.of("usage-session").having("_device.id", [identity]):
        if other["_state"] == "DONE" or entity["_state"] == "DONE":
            continue
        if (other.get("_patient") or {}).get("id") != patient:
            message = "The device is in a session with another patient"
            refuse(call, BiotError(409, "DEVICE_IN_SESSION_WITH_ANOTHER_PATIENT", message, {"deviceId": identity}))
        elif other["_template"]["id"] == entity["_template"]["id"]:
            details = {"deviceId": identity, "usageTypeId": other["_template"]["id"]}
            message = "The device is in a session of this usage type"
            refuse(call, BiotError(409, "DEVICE_IN_SESSION_WITH_USAGE_TYPE", message, details))


def _keep_running(entity: Json, call: Call, stored: Stored) -> None:
    if entity["_state"] != "DONE":
        details = {"id": entity["_id"], "state": entity["_state"]}
        raise BiotError(409, "CANNOT_DELETE_NON_DONE_SESSION", "A session that is not DONE cannot be deleted", details)


def _command(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    defaults: Json = {"_startTime": timestamp(call.now), "_state": "IN_PROGRESS"}
    defaults |= {"_supportStop": True, "_timeoutInSeconds": _TIMEOUT}
    entity.update({name: entity.get(name, value) for name, value in defaults.items()})
    if old is not None:
        return
    identity, template = entity["_device"]["id"], entity["_template"]["id"]
    for other in stored.of("command").having("_device.id", [identity]):
        if other["_state"] == "IN_PROGRESS" and other["_template"]["id"] == template:
            details = {"deviceId": identity, "templateId": template}
            message = "The device is in a command of this template"
            refuse(call, BiotError(409, "DEVICE_IN_COMMAND_WITH_SAME_TEMPLATE", message, details))


def _keep_in_progress(entity: Json, call: Call, stored: Stored) -> None:
    if entity["_state"] == "IN_PROGRESS":
        details = {"currentState": entity["_state"]}
        raise BiotError(409, "COMMAND_STATE_DELETE_INVALID", "A running command cannot be deleted", details)


def _parent(wrong: str) -> Parent:
    return Parent("deviceId", "_device", "device", "DEVICE_NOT_FOUND", "id", wrong, "deviceId")


def _caption(entity: Json) -> str:
    return str(entity.get("_name") or entity["_template"]["displayName"])


SESSION = Kind(
    name="usage-session",
    shape="SessionResponseV2",
    not_found="SESSION_NOT_FOUND",
    template="UsageSession",
    caption=_caption,
    derive=_session,
    guard=_keep_running,
    references={**OWNER, "_device": ("device",), "_patient": ("patient",)},
    parent=_parent("SESSION_WRONG_DEVICE_ID"),
    parent_template="device",
)
COMMAND = Kind(
    name="command",
    shape="CommandResponse",
    not_found="COMMAND_NOT_FOUND",
    template="Command",
    caption=_caption,
    derive=_command,
    guard=_keep_in_progress,
    references={**OWNER, "_device": ("device",)},
    parent=_parent("COMMAND_WRONG_DEVICE_ID"),
    parent_template="device",
)


class Sessions:
    """What sessions and commands have beside the operations of every entity."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def move(self, action: str, wanted: tuple[str, ...], target: str) -> Callable[[Call], Answer]:
        """`POST .../{id}/remote-control/...`: a session in one of the wanted states gets the target one."""

        def move(call: Call) -> Answer:
            session = self._entities.get(SESSION, call.variables["id"], call)
            if session["_initiator"] != "REMOTE_CONTROL":
                details = {"originalInitiator": session["_initiator"], "currentInitiator": "REMOTE_CONTROL"}
                message = "The session was not started by remote control"
                raise refusal(facts_of(call.api_id), "SESSION_INITIATOR_MISMATCH", message, **details)
            if session["_state"] not in wanted:
                raise _wrong_state(call, session["_state"], target)
            ends = {"_endTime": timestamp(call.now)} if target == "DONE" else {}
            moved = self._entities.update(SESSION, session["_id"], {}, call, action, _state=target, **ends)
            return Answer(200, moved)

        return move

    def delete_orphans(self, call: Call) -> Answer:
        """`DELETE .../usage-sessions/maintenance/orphans/{deleteOrphanSessionsEnum}`."""
        which = call.variables["deleteOrphanSessionsEnum"]
        if which not in ("DEVICE", "PATIENT"):
            raise BiotError(400, "BAD_REQUEST", "Orphans are those of a DEVICE or a PATIENT")
        name = which.lower()
        sessions = self._entities.of(SESSION.name)
        parents = self._entities.of(name)
        alone = [one for one in sessions if parents.get((one.get("_" + name) or {}).get("id", "")) is None]
        for session in alone[:500]:
            sessions.remove(session["_id"])
        return Answer(200, {"deletedSessions": [self._entities.shown(SESSION, one) for one in alone[:500]]})

    def start_command(self, create: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        """`POST .../commands/start`: a command that begins, which is an action of its device's, too."""

        def start(call: Call) -> Answer:
            answer, kind = create(call), self._entities.kinds["device"]
            device = self._entities.of(kind.name).get(call.variables["deviceId"])
            if device is not None:
                call.changes.append(Change(kind.name, "_command", self._entities.shown(kind, device)))
            return answer

        return start

    def stop_command(self, call: Call) -> Answer:
        """`POST .../commands/{id}/stop`."""
        command = self._entities.get(COMMAND, call.variables["id"], call)
        if command["_state"] != "IN_PROGRESS":
            details = {"currentState": command["_state"]}
            raise BiotError(409, "COMMAND_STATE_CHANGE_INVALID", "The command has ended already", details)
        end = timestamp(call.now)
        stopped = self._entities.update(COMMAND, command["_id"], {}, call, "_stop", _state="ABORTED", _endTime=end)
        return Answer(200, stopped)


def _wrong_state(call: Call, current: str, target: str) -> BiotError:
    message = f"A session that is {current} cannot become {target}"
    details = {"currentState": current, "targetState": target}
    return refusal(facts_of(call.api_id), "SESSION_STATE_CHANGE_INVALID", message, **details)
