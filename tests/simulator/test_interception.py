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
    body = {"name": "x.txt", "mimeType": "text/plain"}
    answer = await desk.ask("POST", "/file/v1/files/upload", body, interception=("1",))
    assert answer.status == 200
    assert (desk.seen.interception, desk.seen.interceptors) == (True, [])


async def test_a_create_by_a_templates_name_is_intercepted_as_one_by_its_id(desk: Desk) -> None:
    body = {"_name": {"firstName": "Nora", "lastName": "New"}} | judging.OWNER
    await desk.ask("POST", f"{PATIENTS}/templates/trial", body, interception=("1",))
    assert desk.seen.interceptors == ["sample-adapt-patient"]


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


# ---- what a PRE_REQUEST interceptor may change, and what an event always holds


async def test_an_event_has_header_names_in_lower_case_a_trace_and_a_language(signer: Signer) -> None:
    post = ScriptedPost((200, {}))
    desk = desk_with(signer, hook(PRE, url=URL), post=post)
    await desk.ask("PATCH", DEMO, {"age": 1}, headers={"X-Mine": "1"}, interception=("1",))
    ((_, event, sent),) = post.asked
    headers = event["request"]["headers"]
    assert headers["x-mine"] == "1"
    assert headers["authorization"].startswith("Bearer ")
    assert {"accept-language", "traceparent", "x-forwarded-for", "x-amzn-trace-id"} <= headers.keys()
    assert not [name for name in headers if name != name.lower()]
    assert sent["traceparent"] == headers["traceparent"]
    assert sent["traceparent"].split("-")[1] == desk.seen.trace_id
    assert sent["accept-language"] == "en-us"


async def test_a_replys_path_navigates_the_call_to_another_operation_of_the_service(signer: Signer) -> None:
    elsewhere = f"{PATIENTS}/{seed.PATIENT_ID}"
    reply = {"request": {"path": elsewhere, "body": {"age": 77}, "headers": {"accept-language": "es-es"}}}
    post = ScriptedPost((200, reply), (200, {}))
    desk = desk_with(signer, hook(PRE, url=URL), hook(POST, url=URL), post=post)
    other = next(one["_id"] for one in (await desk.ask("GET", PATIENTS)).body["data"] if one["_id"] != seed.PATIENT_ID)
    answer = await desk.ask("PATCH", f"{PATIENTS}/{other}", {"age": 1}, interception=("1",))
    assert (answer.status, answer.body["_id"], answer.body["age"]) == (200, seed.PATIENT_ID, 77)
    after = post.asked[1][1]["request"]
    assert (after["path"], after["headers"]["accept-language"]) == (elsewhere, "es-es")
    assert after["pathVariables"] == [{"name": "id", "value": seed.PATIENT_ID}]
    assert (await desk.ask("GET", f"{PATIENTS}/{other}")).body["age"] != 1


@pytest.mark.parametrize("path", ["/device/v2/devices/1", "/organization/v1/nowhere"])
async def test_a_reply_cannot_send_the_call_to_what_is_not_of_the_service(signer: Signer, path: str) -> None:
    desk = desk_with(signer, hook(PRE, url=URL), post=ScriptedPost((200, {"request": {"path": path}})))
    assert (await desk.ask("PATCH", DEMO, {"age": 1}, interception=("1",))).status == 404


async def test_a_replys_query_may_be_texts_or_lists_of_texts(signer: Signer) -> None:
    search = json.dumps({"filter": {"_id": {"eq": seed.PATIENT_ID}}})
    for value in (search, [search]):
        reply = (200, {"request": {"queryParameters": {"searchRequest": value}}})
        entry = {"type": PRE, "apiId": "GET/organization/v1/users/patients", "url": URL}
        desk = desk_with(signer, entry, post=ScriptedPost(reply))
        found = await desk.ask("GET", PATIENTS, interception=("1",))
        assert [one["_id"] for one in found.body["data"]] == [seed.PATIENT_ID]


# ---- subscriptions


SUBSCRIBE = "/dispatcher/v1/hooks/interceptions/subscribe"


async def subscribed(desk: Desk, **more: Any) -> Any:
    document = {"type": PRE, "apiId": UPDATE, "entityName": "", "endpoint": URL} | more
    return await desk.ask("POST", SUBSCRIBE, document)


async def test_no_two_subscriptions_have_one_order_and_older_ones_move_on_in_a_chain(signer: Signer) -> None:
    desk = desk_with(signer)
    for number, order in enumerate((5, 6, 5, None, None)):
        more = {} if order is None else {"executionOrder": order}
        assert (await subscribed(desk, endpoint=f"{URL}{number}", **more)).status == 201
    orders = {one.url[-1]: one.order for one in desk.simulator.subscriptions.registered()}
    assert orders == {"2": 5, "0": 6, "1": 7, "4": 1000, "3": 1001}


async def test_subscribing_again_overrides_and_path_filters_tell_subscriptions_apart(signer: Signer) -> None:
    desk = desk_with(signer)
    by_template = "POST/organization/v1/users/patients/templates/{templateName}"
    first = await subscribed(desk, apiId=by_template, pathFilters={"templateName": "adult"}, executionOrder=1)
    await subscribed(desk, apiId=by_template, pathFilters={"templateName": "adult"}, executionOrder=9)
    await subscribed(desk, apiId=by_template.replace("{templateName}", "child"), executionOrder=3)
    assert first.status == 201
    shown = [(one.order, dict(one.path_filters)) for one in desk.simulator.subscriptions.registered()]
    assert sorted(shown, key=str) == [(3, {"templateName": "child"}), (9, {"templateName": "adult"})]


@pytest.mark.parametrize(
    ("document", "code", "detail"),
    [
        ({"apiId": "PATCH/organization/v1/nowhere"}, "INVALID_API_ID", "validApiIds"),
        ({"apiId": "POST/file/v1/files/upload"}, "INVALID_API_ID", "validApiIds"),
        ({"type": ADAPT, "entityName": "spaceship"}, "INVALID_ENTITY_TYPE_NAME", "validEntityTypes"),
    ],
)
async def test_what_cannot_be_intercepted_is_refused_with_what_can(
    desk: Desk, document: Any, code: str, detail: str
) -> None:
    refused = await subscribed(desk, **document)
    assert (refused.status, refused.body["code"]) == (400, code)
    assert refused.body["details"][detail]


async def test_every_operation_of_biots_list_and_every_entity_can_be_subscribed_to(signer: Signer) -> None:
    desk = desk_with(signer)
    listed = (await desk.ask("GET", "/settings/v1/interceptions", query={"searchRequest": '{"limit": 500}'})).body[
        "data"
    ]
    assert len(listed) >= 97
    for one in listed:
        assert (await subscribed(desk, apiId=one["apiId"])).status == 201, one
    for entity in ("patient", "caregiver", "organization-user", "organization", "device", "generic-entity",
                   "patient-alert", "device-alert", "command", "usage-session"):  # fmt: skip
        assert (await subscribed(desk, type=ADAPT, apiId="", entityName=entity)).status == 201, entity
