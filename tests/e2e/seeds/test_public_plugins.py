"""What BioT's five public plugins do, called by the simulator, calling it through the sidecar."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from biot_sidecar.simulator import seed

from tests.deploy.programs import DEADLINE, call, sidecar
from tests.e2e.seeds.public_plugins import (
    ALERT_TEMPLATE,
    LAST_SESSION,
    PATIENTS,
    PULSE_TEMPLATE_ID,
    SESSION_TEMPLATE,
    running_plugins,
)
from tests.support.simulated_biot import simulated_biot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PATIENT = f"{PATIENTS}/{seed.PATIENT_ID}"
ROUTES = "{version: 1, defaults: {interception: client}}"


@dataclass
class World:
    """BioT, the sidecar in front of it, and the plugins."""

    biot: str
    url: str
    plugins: str

    def subscribe(self, plugin: str, *events: str) -> None:
        """Send that plugin these events."""
        for event in events:
            call("POST", f"{self.biot}/_simulator/interceptions", {"event": event, "url": f"{self.plugins}/{plugin}"})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        try:
            return call(method, self.url + path, body, **headers)
        except HTTPError as refused:
            with refused:
                raise AssertionError(refused.read().decode()) from None

    def events(self, count: int) -> list[Any]:
        """The events, once there are so many and all have their reply."""
        end = time.monotonic() + DEADLINE
        while True:
            events = call("GET", f"{self.biot}/_simulator/events")["events"]
            if len(events) >= count and all(one["milliseconds"] is not None for one in events):
                assert [(one["status"], one["reply"]) for one in events if one["status"] != 200] == []
                return events
            assert time.monotonic() < end, events
            time.sleep(0.01)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    with (
        simulated_biot() as biot,
        sidecar(tmp_path, biot, SIDECAR_ROUTES=str(tmp_path / "routes.yaml")) as url,
        running_plugins(url) as plugins,
    ):
        yield World(biot, url, plugins)


def test_the_python_seed_is_notified(world: World) -> None:
    wanted = {"entityTypeName": "generic-entity", "actionName": "_update", "endpoint": f"{world.plugins}/python_seed"}
    world.call("POST", "/dispatcher/v1/hooks/notifications/subscribe", wanted)
    world.call(
        "PATCH", f"/generic-entity/v1/generic-entities/{seed.GENERIC_ID}", {"_name": "Demo note", "text": "changed"}
    )
    (event,) = world.events(1)
    assert event["reply"]["traceparent"].split("-")[1] == event["traceId"]
    calls = [one["path"] for one in call("GET", f"{world.biot}/_simulator/events")["calls"]]
    assert calls[-1] == PATIENTS


def test_the_javascript_seed_intercepts_before_and_after_and_adapts(world: World) -> None:
    world.subscribe("javascript_seed", f"pre PATCH {PATIENTS}/{{id}}", f"post PATCH {PATIENTS}/{{id}}", "adapt patient")
    body = {"_name": {"firstName": "Ann", "lastName": "Ray"}}
    answer = world.call("PATCH", PATIENT, body, **{"allow-interception": "1"})
    assert answer["_name"]["firstName"] == "Ann PRE POST_ENTITY POST"
    assert world.call("GET", PATIENT)["_name"]["firstName"] == "Ann PRE"  # what is stored


def test_the_alerts_sample_raises_an_alert_keeps_it_and_clears_it(world: World) -> None:
    world.subscribe("alerts_sample", "patient._saveMeasurement")

    def measured(pulse: int, count: int) -> list[str]:
        metadata = {"timestamp": "2026-01-01T10:00:00.000Z", "deviceId": seed.DEVICE_ID, "patientId": seed.PATIENT_ID}
        world.call("POST", "/measurement/v1/measurements", {"metadata": metadata, "data": {"pulse": pulse}})
        world.events(count)
        found = world.call("GET", f"{PATIENTS}/alerts")["data"]
        return [one["_state"] for one in found if one["_template"]["id"] == PULSE_TEMPLATE_ID]

    assert measured(100, 1) == []
    assert measured(150, 2) == ["ACTIVE"]
    assert measured(160, 3) == ["ACTIVE"]
    assert measured(60, 4) == ["CLEARED"]


def test_the_adherence_plugins_keep_the_last_session_and_alert_of_those_without(world: World) -> None:
    world.subscribe("last_session_tracker", "usage-session._update")
    path = f"/device/v1/devices/{seed.DEVICE_ID}/usage-sessions"
    body = {"_startTime": "2026-01-01T10:00:00.000Z", "_state": "ACTIVE", "_name": "walk"}
    session = world.call("POST", f"{path}/usage-type/{SESSION_TEMPLATE}", body)
    done = body | {"_state": "DONE", "_endTime": "2026-01-01T11:00:00.000Z"}
    world.call("PATCH", f"{path}/{session['_id']}", done)
    world.events(1)
    assert world.call("GET", PATIENT)[LAST_SESSION] == done["_endTime"]
    # Not a BioT event: the clock calls it, and its event has no shape that BioT publishes.
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    told = call("POST", f"{world.plugins}/adherence_alert", {"since": "2200-01-01T00:00:00.000Z"}, **headers)
    found = world.call("GET", f"{PATIENTS}/alerts")["data"]
    alerts = [one for one in found if one["_id"] in told["alerts"]]
    assert {one["_patient"]["id"] for one in alerts} == {seed.PATIENT_ID, seed.SECOND_PATIENT_ID}
    assert {one["_template"]["name"] for one in alerts} == {ALERT_TEMPLATE}


@pytest.mark.parametrize("path", [PATIENTS, f"{PATIENTS}/templates/adult"])
def test_the_otp_plugin_changes_how_a_new_patient_logs_in(world: World, path: str) -> None:
    world.subscribe(
        "update_credential_type_otp", f"pre POST {PATIENTS}", f"pre POST {PATIENTS}/templates/{{templateName}}"
    )
    body = {
        "_name": {"firstName": "Nora", "lastName": "New"},
        "_email": "nora@example.org",
        "_phone": "+12025550123",
        "_templateId": PULSE_TEMPLATE_ID,
        "_ownerOrganization": {"id": "33333333-3333-3333-3333-333333333333"},
    }
    created = world.call("POST", path, body, **{"allow-interception": "1"})
    (event,) = world.events(1)
    assert event["reply"]["request"]["body"]["_credentialType"] == "OTP"
    assert (created["_email"], created["_credentialType"]) == ("nora@example.org", "OTP")
