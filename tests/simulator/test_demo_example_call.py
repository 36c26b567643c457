"""What `demo -- CMD` proposes: each call makes the event, at a simulator that has just started."""

from __future__ import annotations

import asyncio
import json

import pytest
from biot_sidecar.cli.demo_example_call import ExampleCall, call_for
from biot_sidecar.simulator.event_spec import parse_event
from biot_sidecar.simulator.notifications import NOTIFIABLE
from biot_sidecar.simulator.tokens import Signer

from tests.simulator.helpers import Desk, ScriptedPost

PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
BY_CALLS_OF_ITS_OWN = {"_stop", "_activateCertificate", "_revokeCertificate", "_logout", "_saveMeasurementBulk"}
BY_CALLS_OF_ITS_OWN |= {"_updateAdmin", "_incomingSms", "_remotePause", "_remoteResume", "_remoteStart", "_remoteStop"}
"""What no single call does."""
NOT_SO_SIMPLE = {
    *("organization._create", "organization._delete", "usage-session._update", "command._create", "command._update"),
    "caregiver._delete",  # has a patient
}
EVENTS = [f"{entity}.{action}" for entity, all_ in NOTIFIABLE.items() for action in {*all_} - BY_CALLS_OF_ITS_OWN]


@pytest.mark.parametrize("event", sorted({*EVENTS} - NOT_SO_SIMPLE))
async def test_the_call_makes_the_event(event: str, signer: Signer) -> None:
    desk, call = Desk(signer, post=ScriptedPost((200, {}))), call_for(parse_event([event]))
    assert call is not None
    entity, action = event.split(".")
    subscription = {"entityTypeName": entity, "actionName": action, "endpoint": "http://127.0.0.1:9000/"}
    assert (await desk.ask("POST", "/dispatcher/v1/hooks/notifications/subscribe", subscription)).status == 201
    answer = await desk.ask(call.method, call.path, json.loads(call.body) if call.body else None)
    assert answer.status < 300, answer.body
    for _ in range(50):
        await asyncio.sleep(0)
    assert [one["name"] for one in desk.simulator.plugin_events.log.shown()] == [f"NOTIFICATION {event}"]


@pytest.mark.parametrize(
    ("event", "call"),
    [
        ("*", ExampleCall("PATCH", PATIENT, '{"age": 43}')),
        ("adapt patient", ExampleCall("GET", PATIENT)),
        ("pre PATCH /organization/v1/users/patients/{id}", ExampleCall("PATCH", PATIENT, '{"age": 43}')),
        ("post GET /organization/v1/users/patients", ExampleCall("GET", PATIENT.rpartition("/")[0])),
        ("post GET /device/v2/devices/{id}", ExampleCall("GET", "/device/v2/devices/demo-device-1")),
        (
            "pre POST /generic-entity/v1/generic-entities/templates/{templateName}",
            ExampleCall("POST", "/generic-entity/v1/generic-entities/templates/GenericEntity", '{"_name": "New"}'),
        ),
        ("adapt file", None),
    ],
)
def test_an_interceptors_call_is_put_together(event: str, call: ExampleCall | None) -> None:
    assert call_for(parse_event([event], wildcards=True)) == call


@pytest.mark.parametrize("event", ["patient._logout", "command._stop"])
def test_what_no_single_call_makes_has_none(event: str) -> None:
    assert call_for(parse_event([event])) is None
