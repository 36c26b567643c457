"""The interceptor chain around an operation, with a scripted caller in place of sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.interception import status_name
from biot_sidecar.simulator.interceptors import ADAPT, POST, PRE, from_control
from biot_sidecar.simulator.tokens import Signer

from tests.simulator import judging
from tests.simulator.helpers import CREDENTIALS, Desk, ScriptedPost

PATIENTS = "/organization/v1/users/patients"
DEMO = f"{PATIENTS}/{seed.PATIENT_ID}"
UPDATE = "PATCH/organization/v1/users/patients/{id}"
URL = "http://127.0.0.1:9000/hook"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def desk_with(signer: Signer, *interceptors: dict[str, Any], post: ScriptedPost | None = None) -> Desk:
    """A simulator with these interceptors only."""
    desk = Desk(signer, post=post)
    desk.simulator.subscriptions.remove()
    for document in interceptors:
        entry = from_control(document, desk.clock(), desk.simulator.router.operations)
        desk.simulator.subscriptions.add(entry)
    return desk


def hook(type_: str, name: str = "plugin", **more: Any) -> dict[str, Any]:
    target = {"entityName": "patient"} if type_ == ADAPT else {"apiId": UPDATE}
    return {"name": name, "type": type_, **target, **more}


async def test_the_samples_run_for_a_patient_update_and_can_be_seen(desk: Desk) -> None:
    answer = await desk.ask("PATCH", DEMO, {"age": 43}, interception=("1",))
    assert (answer.status, answer.body["age"], answer.body["sampleInterceptor"]) == (200, 43, "was here")
    assert desk.seen.interceptors == ["sample-before-patient-update", "sample-adapt-patient"]
    assert desk.simulator.history.intercepted()[0]["ran"] == desk.seen.interceptors


@pytest.mark.parametrize("values", [(), ("",), ("null",)])
async def test_without_the_header_nothing_runs(desk: Desk, values: tuple[str, ...]) -> None:
    answer = await desk.ask("PATCH", DEMO, {"age": 43}, interception=values)
    assert "sampleInterceptor" not in answer.body
    assert (desk.seen.interception, desk.seen.interceptors) == (False, [])


async def test_what_an_interceptor_adds_to_an_answer_is_not_stored(desk: Desk) -> None:
    await desk.ask("PATCH", DEMO, {"age": 43}, interception=("1",))
    assert "sampleInterceptor" not in (await desk.ask("GET", DEMO)).body


async def test_an_operation_that_cannot_be_intercepted_runs_none(desk: Desk) -> None:
    body = {"_name": {"firstName": "Nora", "lastName": "New"}} | judging.OWNER
    answer = await desk.ask("POST", f"{PATIENTS}/templates/trial", body, interception=("1",))
    assert answer.status == 201
    assert (desk.seen.interception, desk.seen.interceptors) == (True, [])


async def test_a_call_without_token_is_refused_before_any_interceptor(desk: Desk) -> None:
    assert (await desk.ask("PATCH", DEMO, {"age": 1}, token=None, interception=("1",))).status == 401
    assert desk.seen.interceptors == []


async def test_an_adapting_interceptor_adapts_every_entity_of_a_search(desk: Desk) -> None:
    found = await desk.ask("GET", PATIENTS, interception=("1",))
    assert [entity["sampleInterceptor"] for entity in found.body["data"]] == ["was here"] * 2
    assert found.body["metadata"]["page"]["totalResults"] == 2


async def test_an_adapting_interceptor_leaves_an_empty_answer_empty(desk: Desk) -> None:
    deleted = await desk.ask("DELETE", DEMO, interception=("1",))
    assert (deleted.status, deleted.body) == (204, None)
    assert desk.seen.interceptors == ["sample-adapt-patient"]


async def test_types_run_in_biots_order_and_each_type_by_its_own(signer: Signer) -> None:
    desk = desk_with(
        signer, hook(POST, "post"), hook(ADAPT, "adapt 2", order=2), hook(ADAPT, "adapt 1", order=1), hook(PRE, "pre")
    )
    await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))
    assert desk.seen.interceptors == ["pre", "adapt 1", "adapt 2", "post"]


async def test_an_interceptor_before_the_operation_changes_what_is_stored(signer: Signer) -> None:
    desk = desk_with(signer, hook(PRE, set={"checked": True}))
    await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))
    assert (await desk.ask("GET", DEMO)).body["checked"] is True


async def test_an_interceptor_with_a_url_gets_biots_event(signer: Signer) -> None:
    post = ScriptedPost((200, {}))
    desk = desk_with(signer, hook(PRE, url=URL), post=post)
    headers = {"traceparent": TRACEPARENT, "allow-interception": "1"}
    await desk.ask("PATCH", DEMO, {"age": 1}, query={"x": "1"}, headers=headers, interception=("1",))
    ((url, event, sent),) = post.asked
    assert url == URL
    assert (sent["hooktype"], sent["traceparent"]) == ("INTERCEPTOR_PRE", TRACEPARENT)
    claims = signer.claims(sent["authorization"].removeprefix("Bearer "))
    assert claims is not None
    assert claims["scopes"] == ["PLUGIN_INTERCEPTOR"]
    assert event["initiatorData"]["subjectId"] == CREDENTIALS["id"]
    assert (event["method"], event["entityName"], event["apiId"]) == ("PATCH", "patient", UPDATE)
    request = event["request"]
    assert (request["body"], request["path"], request["queryParameters"]) == ({"age": 1}, DEMO, {"x": ["1"]})
    assert request["pathVariables"] == [{"name": "id", "value": seed.PATIENT_ID}]
    # As at BioT: whoever copies these to a call of his own asks for interception again.
    assert request["headers"]["allow-interception"] == "1"
    assert "response" not in event
    json.dumps(event)


async def test_a_reply_before_the_operation_changes_body_and_query(signer: Signer) -> None:
    reply = {"request": {"body": {"age": 77}, "queryParameters": {}}}
    desk = desk_with(signer, hook(PRE, url=URL), post=ScriptedPost((200, reply)))
    assert (await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))).body["age"] == 77


async def test_a_reply_to_an_entity_event_replaces_entity_and_status(signer: Signer) -> None:
    post = ScriptedPost((200, {"response": {"entities": [{"_id": "x"}], "httpStatusCode": "202 ACCEPTED"}}))
    desk = desk_with(signer, hook(ADAPT, url=URL), post=post)
    answer = await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))
    assert (answer.status, answer.body) == (202, {"_id": "x"})
    event = post.asked[0][1]
    assert event["response"]["httpStatusCode"] == "200 OK"
    assert event["response"]["entities"][0]["age"] == 1


async def test_a_reply_after_the_operation_replaces_the_body(signer: Signer) -> None:
    post = ScriptedPost((200, {"response": {"body": {"hidden": True}, "httpStatusCode": "200 OK"}}))
    desk = desk_with(signer, hook(POST, url=URL), post=post)
    assert (await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))).body == {"hidden": True}
    assert post.asked[0][2]["hooktype"] == "INTERCEPTOR_POST"
    assert post.asked[0][1]["response"]["body"]["age"] == 1


@pytest.mark.parametrize("reply", [None, [], {}, {"request": None}, {"response": None}])
@pytest.mark.parametrize("type_", [PRE, ADAPT, POST])
async def test_a_reply_that_changes_nothing_changes_nothing(signer: Signer, type_: str, reply: Any) -> None:
    desk = desk_with(signer, hook(type_, url=URL), post=ScriptedPost((200, reply)))
    answer = await desk.ask("PATCH", DEMO, {"age": 5}, interception=("1",))
    assert (answer.status, answer.body["age"]) == (200, 5)


async def test_an_interceptor_blocks_with_its_own_status_and_body(signer: Signer) -> None:
    refusal = {"code": "MODIFICATION_FORBIDDEN", "message": "no"}
    desk = desk_with(signer, hook(PRE, url=URL), hook(ADAPT, "never"), post=ScriptedPost((409, refusal)))
    answer = await desk.ask("PATCH", DEMO, {"age": 99}, interception=("1",))
    assert (answer.status, answer.body) == (409, refusal)
    assert desk.seen.interceptors == ["plugin"]
    assert (await desk.ask("GET", DEMO)).body["age"] == 42


async def test_a_block_without_a_json_body_gets_biots_shape(signer: Signer) -> None:
    desk = desk_with(signer, hook(PRE, url=URL), post=ScriptedPost((403, None)))
    answer = await desk.ask("PATCH", DEMO, {"age": 99}, interception=("1",))
    assert (answer.status, answer.body["code"]) == (403, "INTERCEPTOR_API_BLOCKED")


async def test_an_interceptor_that_cannot_be_reached_fails_the_call(signer: Signer) -> None:
    desk = desk_with(signer, hook(PRE, url=URL), post=ScriptedPost(ConnectionRefusedError()))
    answer = await desk.ask("PATCH", DEMO, {"age": 99}, interception=("1",))
    assert (answer.status, answer.body["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "plugin" in answer.body["message"]


async def test_an_interceptor_that_times_out_fails_the_call(signer: Signer) -> None:
    desk = desk_with(signer, hook(POST, url=URL), post=ScriptedPost(TimeoutError()))
    assert (await desk.ask("PATCH", DEMO, {"age": 99}, interception=("1",))).status == 500


@pytest.mark.parametrize(("status", "name"), [(200, "200 OK"), (204, "204 NO_CONTENT"), (404, "404 NOT_FOUND")])
def test_statuses_are_written_as_biot_writes_them(status: int, name: str) -> None:
    assert status_name(status) == name


async def test_biots_dispatcher_subscribes_lists_and_unsubscribes(desk: Desk) -> None:
    hooks = "/dispatcher/v1/hooks/interceptions"
    document = {"type": PRE, "apiId": UPDATE, "entityName": "", "endpoint": URL, "executionOrder": 3}
    created = await desk.ask("POST", f"{hooks}/subscribe", document)
    assert created.status == 201
    assert document.items() <= created.body.items()
    listed = (await desk.ask("GET", hooks)).body
    assert created.body["id"] in [entry["id"] for entry in listed["data"]]
    again = await desk.ask("POST", f"{hooks}/subscribe", document | {"executionOrder": 9})
    assert again.body["executionOrder"] == 9
    assert (await desk.ask("GET", hooks)).body["metadata"]["page"]["totalResults"] == 3
    assert (await desk.ask("POST", f"{hooks}/unsubscribe", document)).status == 204
    assert (await desk.ask("POST", f"{hooks}/unsubscribe", document)).status == 404


async def test_the_settings_service_lists_what_can_be_intercepted(desk: Desk) -> None:
    answer = await desk.ask("GET", "/settings/v1/interceptions", query={"searchRequest": json.dumps({"limit": 1000})})
    listed = {entry["apiId"]: entry for entry in answer.body["data"]}
    assert listed[UPDATE] == {"entityTypeName": "patient", "servicePrefix": "organization", "apiId": UPDATE}
    assert "POST/ums/v2/services/accessToken" not in listed
    assert "POST/file/v1/files/upload" not in listed
