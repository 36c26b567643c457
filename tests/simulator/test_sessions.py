"""Usage sessions and commands of devices: their states, what one device may have at a time, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from biot_sidecar.simulator import seed

from tests.simulator.helpers import Desk
from tests.simulator.judging import TEMPLATE, TIME, UNKNOWN_ID

SESSIONS = f"/device/v1/devices/{seed.DEVICE_ID}/usage-sessions"
FREE = f"/device/v1/devices/{seed.FREE_DEVICE_ID}/usage-sessions"
COMMANDS = f"/device/v1/devices/{seed.DEVICE_ID}/commands"
ACTIVE = {"_startTime": TIME, "_state": "ACTIVE"} | TEMPLATE
DONE = {"_startTime": TIME, "_endTime": TIME, "_state": "DONE"} | TEMPLATE


async def test_a_session_has_its_devices_patient(desk: Desk) -> None:
    made = (await desk.ask("POST", SESSIONS, ACTIVE)).body
    assert (made["_patient"]["id"], made["_device"]["id"]) == (seed.PATIENT_ID, seed.DEVICE_ID)
    assert (made["_initiator"], made["_state"]) == ("EXTERNAL", "ACTIVE")
    (current,) = (await desk.ask("GET", "/device/v1/devices/current/usage-sessions")).body["data"]
    assert (current["_device"]["_id"], [one["_id"] for one in current["_sessions"]]) == (seed.DEVICE_ID, [made["_id"]])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (FREE, ACTIVE, 400, "SESSION_MISSING_PATIENT_ID"),
        (SESSIONS, ACTIVE | {"_startTime": "2030-01-01T00:00:00Z"}, 400, "TIME_IN_FUTURE"),
        (SESSIONS, ACTIVE | {"_endTime": TIME}, 400, "END_TIME_VALUE_INVALID_FOR_SESSION_STATE"),
        (SESSIONS, {**DONE, "_endTime": None}, 400, "END_TIME_VALUE_INVALID_FOR_SESSION_STATE"),
        (SESSIONS, DONE | {"_endTime": "2025-11-24T14:00:00Z"}, 400, "START_TIME_AFTER_END_TIME"),
        (
            SESSIONS,
            ACTIVE | {"_summary": {"_stopReasonCode": "TIMEOUT"}},
            400,
            "STOP_DATA_NOT_NULL_FOR_NON_DONE_SESSION",
        ),
        (SESSIONS, ACTIVE | {"_patient": {"id": UNKNOWN_ID}}, 404, "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND"),
    ],
)
async def test_a_session_that_cannot_be_is_refused(desk: Desk, path: str, body: Any, status: int, code: str) -> None:
    refused = await desk.ask("POST", path, body)
    assert (refused.status, refused.body["code"]) == (status, code), refused.body


async def test_a_device_has_one_patient_and_one_session_of_a_template_at_a_time(desk: Desk) -> None:
    await desk.ask("POST", SESSIONS, ACTIVE)
    same = await desk.ask("POST", SESSIONS, ACTIVE)
    assert (same.status, same.body["code"]) == (409, "DEVICE_IN_SESSION_WITH_USAGE_TYPE")
    other = await desk.ask("POST", f"{SESSIONS}/usage-type/other", {"_startTime": TIME, "_state": "ACTIVE"})
    assert (other.status, other.body["_template"]["name"]) == (201, "other")
    patient = ACTIVE | {"_patient": {"id": seed.SECOND_PATIENT_ID}}
    second = await desk.ask("POST", SESSIONS, patient)
    assert (second.status, second.body["code"]) == (409, "DEVICE_IN_SESSION_WITH_ANOTHER_PATIENT")
    assert (await desk.ask("POST", SESSIONS, DONE)).status == 201


async def test_a_session_under_remote_control_goes_its_way(desk: Desk) -> None:
    started = await desk.ask("POST", f"{SESSIONS}/remote-control/start", TEMPLATE)
    one = f"{SESSIONS}/{started.body['_id']}"
    assert (started.status, started.body["_initiator"], started.body["_state"]) == (201, "REMOTE_CONTROL", "ACTIVE")
    refused = await desk.ask("POST", f"{one}/remote-control/resume")
    assert (refused.status, refused.body["code"]) == (409, "SESSION_STATE_CHANGE_INVALID")
    assert refused.body["details"] == {"currentState": "ACTIVE", "targetState": "ACTIVE"}
    for step, state in (("pause", "PAUSED"), ("resume", "ACTIVE"), ("stop", "DONE")):
        assert (await desk.ask("POST", f"{one}/remote-control/{step}")).body["_state"] == state
    assert (await desk.ask("GET", one)).body["_endTime"] == "2025-11-24T16:00:00.000Z"
    assert (await desk.ask("POST", f"{one}/remote-control/stop")).status == 409


async def test_a_session_of_somebody_else_is_not_under_remote_control(desk: Desk) -> None:
    refused = await desk.ask("POST", f"{SESSIONS}/{seed.SESSION_ID}/remote-control/stop")
    assert (refused.status, refused.body["code"]) == (403, "SESSION_INITIATOR_MISMATCH")


async def test_a_session_is_its_devices_and_is_deleted_when_it_is_done(desk: Desk) -> None:
    made = (await desk.ask("POST", SESSIONS, ACTIVE)).body["_id"]
    foreign = await desk.ask("GET", f"{FREE}/{made}")
    assert (foreign.status, foreign.body["code"]) == (409, "SESSION_WRONG_DEVICE_ID")
    running = await desk.ask("DELETE", f"{SESSIONS}/{made}")
    assert (running.status, running.body["code"]) == (409, "CANNOT_DELETE_NON_DONE_SESSION")
    done = {"_startTime": TIME, "_endTime": TIME, "_state": "DONE", "_summary": {"_stopReasonCode": "COMPLETION"}}
    updated = (await desk.ask("PATCH", f"{SESSIONS}/{made}", done)).body
    assert updated["_summary"] == {"_stopReason": None, "_stopReasonCode": "COMPLETION"}
    back = await desk.ask("PATCH", f"{SESSIONS}/{made}", {"_startTime": TIME, "_endTime": None, "_state": "ACTIVE"})
    assert back.status in (400, 409)
    assert (await desk.ask("DELETE", f"{SESSIONS}/{made}")).status == 204


async def test_sessions_without_a_patient_are_orphans(desk: Desk) -> None:
    assert (await desk.ask("DELETE", f"/organization/v1/users/patients/{seed.PATIENT_ID}")).status == 204
    path = "/device/v1/devices/usage-sessions/maintenance/orphans"
    deleted = (await desk.ask("DELETE", f"{path}/PATIENT")).body["deletedSessions"]
    assert [one["_id"] for one in deleted] == [seed.SESSION_ID]
    assert (await desk.ask("DELETE", f"{path}/DEVICE")).body == {"deletedSessions": []}
    assert (await desk.ask("DELETE", f"{path}/NOBODY")).status == 400


async def test_a_command_runs_until_it_is_stopped(desk: Desk) -> None:
    started = await desk.ask("POST", f"{COMMANDS}/start", TEMPLATE)
    one = f"{COMMANDS}/{started.body['_id']}"
    assert (started.status, started.body["_state"], started.body["_endTime"]) == (201, "IN_PROGRESS", None)
    again = await desk.ask("POST", f"{COMMANDS}/start", TEMPLATE)
    assert (again.status, again.body["code"]) == (409, "DEVICE_IN_COMMAND_WITH_SAME_TEMPLATE")
    assert (await desk.ask("POST", f"{COMMANDS}/reboot/start", {})).body["_template"]["name"] == "reboot"
    running = await desk.ask("DELETE", one)
    assert (running.status, running.body["code"]) == (409, "COMMAND_STATE_DELETE_INVALID")
    stopped = (await desk.ask("POST", f"{one}/stop")).body
    assert (stopped["_state"], stopped["_endTime"]) == ("ABORTED", "2025-11-24T16:00:00.000Z")
    ended = await desk.ask("POST", f"{one}/stop")
    assert (ended.status, ended.body["code"]) == (409, "COMMAND_STATE_CHANGE_INVALID")
    assert (await desk.ask("DELETE", one)).status == 204
    foreign = await desk.ask("GET", f"/device/v1/devices/{seed.FREE_DEVICE_ID}/commands/{seed.COMMAND_ID}")
    assert (foreign.status, foreign.body["code"]) == (409, "COMMAND_WRONG_DEVICE_ID")


@pytest.mark.parametrize(
    ("start", "body", "delete", "update"),
    [
        (SESSIONS, ACTIVE, "UPDATE_DEVICE_HAS_AN_ACTIVE_SESSION", "UPDATE_DEVICE_HAS_AN_ACTIVE_SESSION"),
        (
            f"{COMMANDS}/start",
            TEMPLATE,
            "DELETED_DEVICE_HAS_AN_ACTIVE_COMMAND",
            "UPDATED_DEVICE_HAS_AN_ACTIVE_COMMAND",
        ),
    ],
)
async def test_a_device_in_use_stays_with_its_patient(
    desk: Desk, start: str, body: Any, delete: str, update: str
) -> None:
    await desk.ask("POST", start, body)
    device = f"/device/v2/devices/{seed.DEVICE_ID}"
    refused = await desk.ask("DELETE", device)
    assert (refused.status, refused.body["code"]) == (403, delete)
    moved = await desk.ask("PATCH", device, {"_patient": {"id": seed.SECOND_PATIENT_ID}})
    assert (moved.status, moved.body["code"]) == (403, update)
    assert (await desk.ask("PATCH", device, {"_description": "renamed"})).status == 200
