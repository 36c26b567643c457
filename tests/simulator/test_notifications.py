"""Notifications: who is subscribed, what an event says, and that they are sent in order, whatever comes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.delivery import MOST_PER_TRACE, Delivery
from biot_sidecar.simulator.notifications import (
    NOTIFIABLE,
    NotificationSubscriptions,
    Subscriber,
    from_control,
)
from biot_sidecar.simulator.options import USER_PASSWORD
from biot_sidecar.simulator.values import BiotError, Call, Change, Initiator

from tests.simulator.helpers import NOW, Desk

URL = "http://127.0.0.1:9000/"
PATH = "/dispatcher/v1/hooks/notifications"
PATIENT = {"_id": "p1", "_template": {"name": "adult"}, "age": 43}
UPDATED = Change("patient", "_update", PATIENT, PATIENT | {"age": 42})


def subscribed(*subscribers: Subscriber) -> NotificationSubscriptions:
    subscriptions = NotificationSubscriptions()
    for one in subscribers:
        subscriptions.add(one)
    return subscriptions


async def test_a_plugin_subscribes_is_listed_and_unsubscribes_by_biots_own_operations(desk: Desk) -> None:
    asked = {"entityTypeName": "patient", "actionName": "_update", "endpoint": URL}
    first = await desk.ask("POST", f"{PATH}/subscribe", asked)
    again = await desk.ask("POST", f"{PATH}/subscribe", asked)
    assert (first.status, first.body["id"]) == (201, again.body["id"])
    found = await desk.ask("GET", PATH)
    assert found.body["data"] == [first.body]
    assert (await desk.ask("POST", f"{PATH}/unsubscribe", asked)).status == 204
    gone = await desk.ask("POST", f"{PATH}/unsubscribe", asked)
    assert (gone.status, gone.body["code"], gone.body["details"]) == (404, "SUBSCRIBER_NOT_FOUND", asked)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"entityTypeName": "patients"}, "INVALID_ENTITY_TYPE_NAME"),
        ({"actionName": "_activateCertificate"}, "INVALID_ACTION_NAME"),
        ({"actionName": "*"}, "INVALID_ACTION_NAME"),
        ({"endpoint": "https://plugin.example/"}, "BAD_REQUEST"),
    ],
)
async def test_what_biot_would_not_notify_of_is_refused(desk: Desk, change: dict[str, Any], code: str) -> None:
    asked = {"entityTypeName": "patient", "actionName": "_update", "endpoint": URL} | change
    refused = await desk.ask("POST", f"{PATH}/subscribe", asked)
    assert (refused.status, refused.body["code"]) == (400, code)


async def test_a_text_message_that_comes_in_is_told_with_whose_it_is(desk: Desk) -> None:
    people, number = "/organization/v1/users/patients", "+15550123"
    await desk.ask("PATCH", f"{people}/{seed.PATIENT_ID}", {"_phone": number})
    sent = await desk.ask("POST", "/notification/v1/sms/send", {"message": "taken?", "phoneNumber": number})
    body = {"entityTypeName": "patient", "actionName": "_incomingSms", "endpoint": URL}
    await desk.ask("POST", f"{PATH}/subscribe", body)
    desk.post.replies += [(200, {})]
    told = desk.simulator.receive_sms(number, "1", "127.0.0.1:0")
    assert told == {"userId": seed.PATIENT_ID, "told": True}
    while not desk.post.asked:
        await asyncio.sleep(0)
    ((_, event, _),) = desk.post.asked
    assert (event["metadata"]["actionName"], event["data"]["entity"]["_id"]) == ("_incomingSms", seed.PATIENT_ID)
    more = {"message": "1", "phoneNumber": number, "previousMessageId": sent.body["messageId"]}
    assert event["data"]["additionalData"] == more
    assert desk.simulator.receive_sms(seed.CAREGIVER_ID, "1", "")["told"] is False
    with pytest.raises(BiotError):
        desk.simulator.receive_sms("+1999", "1", "")


def test_the_simulators_own_registration_may_ask_for_everything() -> None:
    everything = from_control({"type": "NOTIFICATION", "url": URL})
    assert everything.wants(UPDATED)
    assert everything.wants(Change("device", "_create", {}))
    with pytest.raises(BiotError):
        from_control({"type": "NOTIFICATION", "url": URL, "entityNam": "patient"})
    with pytest.raises(BiotError):
        from_control({"type": "NOTIFICATION", "url": "http://192.0.2.1/"})


def test_a_template_narrows_a_subscription() -> None:
    assert Subscriber("patient", "_update", URL, "adult").wants(UPDATED)
    assert not Subscriber("patient", "_update", URL, "child").wants(UPDATED)
    assert not Subscriber("patient", "_create", URL).wants(UPDATED)


def test_every_entity_type_can_be_created_updated_or_ended() -> None:
    assert all("_create" in actions and "_delete" in actions for actions in NOTIFIABLE.values())
    assert len(NOTIFIABLE) == 11


def test_an_event_says_what_changed_who_did_it_and_when(desk: Desk) -> None:
    (sent,) = announced(desk, UPDATED)
    url, event, headers = sent
    assert (url, headers["hooktype"]) == (URL, "NOTIFICATION")
    assert headers["traceparent"].split("-")[1] == event["metadata"]["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    metadata = event["metadata"]
    assert (metadata["entityTypeName"], metadata["actionName"], metadata["status"]) == ("patient", "_update", "SUCCESS")
    assert metadata["initiator"] == {"subject": {"id": "u1"}, "sourceIpAddress": "192.0.2.7:59290"}
    assert metadata["startTime"] == "2025-11-24T16:00:00.000Z"
    assert event["data"] == {"entity": PATIENT, "additionalData": {"oldEntity": PATIENT | {"age": 42}}}
    claims = desk.simulator.tokens._signer.claims(event["jwt"])
    assert claims is not None
    assert (claims["scopes"], claims["tokenType"]) == (["ACTION_NOTIFICATION"], "SERVICE_INTERNAL")


def test_what_was_created_has_no_old_entity(desk: Desk) -> None:
    (sent,) = announced(desk, Change("patient", "_create", PATIENT))
    assert sent[1]["data"]["additionalData"] == {}


def test_a_chosen_initiator_stands_in_the_events(desk: Desk) -> None:
    events = desk.simulator.plugin_events
    events.choose_initiator("d1", "DEVICE")
    assert events.initiator(Initiator("u1")).token_type == "DEVICE"
    events.chosen_initiator = None
    assert events.initiator(Initiator("u1")).id == "u1"


async def test_a_person_who_logs_in_is_named_by_what_follows(desk: Desk) -> None:
    desk.post.replies += [(200, None)] * 2
    desk.simulator.plugin_events.notifications.add(from_control({"type": "NOTIFICATION", "url": URL}))
    credentials = {"username": "demo.patient@example.org", "password": USER_PASSWORD}
    login = await desk.ask("POST", "/ums/v2/users/login", credentials, token=None)
    path = f"/organization/v1/users/patients/{seed.PATIENT_ID}"
    await desk.ask("PATCH", path, {"age": 5}, token=login.body["accessJwt"]["token"])
    while len(desk.post.asked) < 2:
        await asyncio.sleep(0)
    told = [event["metadata"] for _, event, _ in desk.post.asked]
    assert [one["actionName"] for one in told] == ["_login", "_update"]
    assert [one["initiator"]["subject"]["id"] for one in told] == [seed.PATIENT_ID] * 2


def announced(desk: Desk, *changes: Change) -> list[tuple[str, Any, dict[str, str]]]:
    """What a plugin that wants everything is sent."""

    async def main() -> None:
        events = desk.simulator.plugin_events
        events.notifications.add(from_control({"type": "NOTIFICATION", "url": URL}))
        trace = "0af7651916cd43dd8448eb211c80319c"
        events.announce(
            Call(changes=list(changes), initiator=Initiator("u1"), now=NOW, trace_id=trace), "192.0.2.7:59290"
        )
        while len(desk.post.asked) < len(changes):
            await asyncio.sleep(0)

    desk.post.replies += [(200, None)] * len(changes)
    asyncio.run(main())
    return desk.post.asked


class SlowPost:
    """Answers one event at a time, when told; OSError for those that are to fail."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def __call__(self, url: str, event: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        name = event["data"]["entity"]["_id"]
        self.begun.append(name)
        self.gates[name] = asyncio.get_running_loop().create_future()
        await self.gates[name]
        return 200, None

    def finish(self, name: str, error: OSError | None = None) -> None:
        self.gates[name].set_exception(error) if error else self.gates[name].set_result(None)


def tell(delivery: Delivery, *names: str, trace: str = "") -> None:
    for name in names:
        delivery.announce(
            [Change("patient", "_update", {"_id": name})], Initiator(),
            began=NOW, ended=NOW, trace_id=trace or name, traceparent="", source="",
        )  # fmt: skip


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_notifications_reach_a_plugin_one_after_the_other_in_their_order() -> None:
    post = SlowPost()
    delivery = Delivery(subscribed(Subscriber("patient", "_update", URL)), post, lambda scope: "jwt")
    tell(delivery, "1", "2", "3")
    await turns()
    assert post.begun == ["1"]
    post.finish("1")
    await turns()
    assert post.begun == ["1", "2"]
    post.finish("2", ConnectionRefusedError())
    await turns()
    assert post.begun == ["1", "2", "3"]
    post.finish("3")
    await turns()
    tell(delivery, "4")
    await turns()
    assert post.begun == ["1", "2", "3", "4"]
    await delivery.close()


async def test_a_slow_plugin_holds_up_no_other() -> None:
    post = SlowPost()
    other = Subscriber("patient", "_update", "http://127.0.0.1:9001/")
    delivery = Delivery(subscribed(Subscriber("patient", "_update", URL), other), post, lambda scope: "jwt")
    tell(delivery, "1")
    await turns()
    assert post.begun == ["1", "1"]
    await delivery.close()


async def test_beyond_what_may_wait_notifications_are_dropped_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    post = SlowPost()
    delivery = Delivery(subscribed(Subscriber("patient", "_update", URL)), post, lambda scope: "jwt", most=1)
    tell(delivery, "1")
    await turns()
    tell(delivery, "2", "3")
    assert "dropped" in caplog.text
    post.finish("1")
    await turns()
    assert post.begun == ["1", "2"]
    await delivery.close()


async def test_a_plugin_that_notifies_itself_comes_to_an_end(caplog: pytest.LogCaptureFixture) -> None:
    post = SlowPost()
    delivery = Delivery(subscribed(Subscriber("patient", "_update", URL)), post, lambda scope: "jwt")
    for number in range(MOST_PER_TRACE + 2):
        tell(delivery, str(number), trace="same")
        await turns()
        if str(number) in post.gates:
            post.finish(str(number))
        await turns()
    assert len(post.begun) == MOST_PER_TRACE
    assert caplog.text.count("probably a loop") == 1
    await delivery.close()


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (f"/device/v1/devices/{seed.DEVICE_ID}/commands/reboot/start", {}, ["command._start", "device._command"]),
        (
            f"/device/v1/devices/{seed.DEVICE_ID}/usage-sessions/remote-control/start",
            {"_templateId": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"},
            ["usage-session._remoteStart"],
        ),
        (
            f"/device/v1/devices/{seed.DEVICE_ID}/usage-sessions/usage-type/UsageSession",
            {"_startTime": "2025-01-01T00:00:00Z", "_state": "ACTIVE"},
            ["usage-session._create"],
        ),
        (
            f"/organization/v1/users/patients/{seed.PATIENT_ID}/alerts/{seed.PATIENT_ALERT_ID}",
            {"_state": "CLEARED"},
            ["patient-alert._update", "patient-alert._clear"],
        ),
    ],
)
async def test_a_change_is_told_once_under_each_of_its_actions(
    desk: Desk, path: str, body: Any, told: list[str]
) -> None:
    desk.simulator.plugin_events.notifications.add(from_control({"type": "NOTIFICATION", "url": URL}))
    desk.post.replies += [(200, {})] * 5
    assert (await desk.ask("PATCH" if "alerts" in path else "POST", path, body)).status < 300
    await turns()
    actions = [one[1]["metadata"] for one in desk.post.asked]
    assert [f"{one['entityTypeName']}.{one['actionName']}" for one in actions] == told
