"""Alerts of patients and devices: found, made, cleared, and kept within their parent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import ORGANIZATION_ID

from tests.simulator.helpers import NOW, Desk
from tests.simulator.judging import TEMPLATE, UNKNOWN_ID

PARENTS = [
    ("/organization/v1/users/patients", seed.PATIENT_ID, seed.SECOND_PATIENT_ID, seed.PATIENT_ALERT_ID, "_patient"),
    ("/device/v1/devices", seed.DEVICE_ID, seed.FREE_DEVICE_ID, seed.DEVICE_ALERT_ID, "_device"),
]


@pytest.mark.parametrize(("path", "parent", "other", "alert", "attribute"), PARENTS)
async def test_an_alert_is_its_parents(
    desk: Desk, path: str, parent: str, other: str, alert: str, attribute: str
) -> None:
    made = (await desk.ask("POST", f"{path}/{parent}/alerts", TEMPLATE)).body
    assert (made["_state"], made["_severity"], made["_setDateTime"]) == ("ACTIVE", "INFO", "2025-11-24T16:00:00.000Z")
    assert made[attribute]["id"] == parent
    assert made["_ownerOrganization"]["id"] == ORGANIZATION_ID
    assert (await desk.ask("GET", f"{path}/{parent}/alerts/{made['_id']}")).body == made
    foreign = await desk.ask("GET", f"{path}/{other}/alerts/{made['_id']}")
    assert (foreign.status, foreign.body["code"]) == (400, "INCORRECT_PARENT")
    assert foreign.body["details"] == {"parentEntityId": other, "id": made["_id"]}
    unknown = await desk.ask("GET", f"{path}/{parent}/alerts/{UNKNOWN_ID}")
    assert (unknown.status, unknown.body["code"]) == (404, "ALERT_NOT_FOUND")
    wanted = json.dumps({"filter": {f"{attribute}.id": {"eq": parent}, "_state": {"in": ["ACTIVE"]}}})
    found = (await desk.ask("GET", f"{path}/alerts", query={"searchRequest": wanted})).body["data"]
    assert [one["_id"] for one in found] == [made["_id"], alert]


@pytest.mark.parametrize(("path", "parent", "other", "alert", "attribute"), PARENTS)
async def test_an_alert_is_made_by_the_name_of_its_template(
    desk: Desk, path: str, parent: str, other: str, alert: str, attribute: str
) -> None:
    made = await desk.ask("POST", f"{path}/{parent}/alerts/LowBattery", {"_severity": "CRITICAL"})
    assert (made.status, made.body["_template"]["name"], made.body["_severity"]) == (201, "LowBattery", "CRITICAL")


@pytest.mark.parametrize(("path", "parent", "other", "alert", "attribute"), PARENTS)
async def test_a_cleared_alert_says_when_and_stays_cleared(
    desk: Desk, path: str, parent: str, other: str, alert: str, attribute: str
) -> None:
    one = f"{path}/{parent}/alerts/{alert}"
    open_one = await desk.ask("PATCH", one, {"_clearNotes": "too early"})
    assert (open_one.status, open_one.body["code"]) == (400, "CLEAR_NOTES_GIVEN_ON_OPEN_ALERT")
    desk.clock.now = NOW + 60
    cleared = (await desk.ask("PATCH", one, {"_state": "CLEARED", "_clearNotes": "done"})).body
    assert cleared["_clearDateTime"] == "2025-11-24T16:01:00.000Z"
    assert (cleared["_clearTrigger"], cleared["_clearNotes"]) == ("MANUAL", "done")
    again = await desk.ask("PATCH", one, {"_state": "ACTIVE"})
    assert (again.status, again.body["code"]) == (400, "ILLEGAL_STATE_CHANGE")
    assert again.body["details"] == {"oldState": "CLEARED", "newState": "ACTIVE"}


@pytest.mark.parametrize(("path", "parent", "other", "alert", "attribute"), PARENTS)
async def test_current_alerts_are_the_open_ones_by_parent(
    desk: Desk, path: str, parent: str, other: str, alert: str, attribute: str
) -> None:
    second = (await desk.ask("POST", f"{path}/{parent}/alerts", TEMPLATE)).body["_id"]
    (found,) = (await desk.ask("GET", f"{path}/current/alerts")).body["data"]
    assert found[attribute]["_id"] == parent
    assert [one["_id"] for one in found["_alerts"]] == [second, alert]
    for identity in (alert, second):
        await desk.ask("PATCH", f"{path}/{parent}/alerts/{identity}", {"_state": "CLEARED"})
    assert (await desk.ask("GET", f"{path}/current/alerts")).body["data"] == []


async def test_who_clears_an_alert_is_named(desk: Desk) -> None:
    one = f"/organization/v1/users/patients/{seed.PATIENT_ID}/alerts/{seed.PATIENT_ALERT_ID}"
    token = desk.user_token("casey@example.org")
    cleared = (await desk.ask("PATCH", one, {"_state": "CLEARED"}, token=token)).body
    assert (cleared["_clearedBy"]["id"], cleared["_clearedBy"]["name"]) == (seed.CAREGIVER_ID, "Carer Casey")


async def test_clearing_is_told_beside_the_update(desk: Desk) -> None:
    told: list[Any] = []
    desk.simulator.plugin_events.announce = lambda call, source: told.extend(call.changes)  # type: ignore[method-assign]
    one = f"/organization/v1/users/patients/{seed.PATIENT_ID}/alerts/{seed.PATIENT_ALERT_ID}"
    for body in ({"_severity": "MAJOR"}, {"_state": "CLEARED"}, {"_clearNotes": "more"}):
        await desk.ask("PATCH", one, body)
    assert [change.action for change in told] == ["_update", "_update", "_clear", "_update"]
    assert (told[1].old["_state"], told[1].entity["_state"]) == ("ACTIVE", "CLEARED")


async def test_the_alerts_of_a_deleted_patient_are_gone(desk: Desk) -> None:
    await desk.ask("DELETE", f"/organization/v1/users/patients/{seed.PATIENT_ID}")
    assert (await desk.ask("GET", "/organization/v1/users/patients/alerts")).body["data"] == []
