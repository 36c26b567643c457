"""How people name events, and the events that are made of that: BioT's shape, an entity that there is, a real JWT."""

from __future__ import annotations

import pytest
from biot_sidecar.simulator.event_maker import MadeEvent
from biot_sidecar.simulator.event_spec import EventSpec, parse_event
from biot_sidecar.simulator.values import BiotError, with_values

from tests.simulator.helpers import Desk

PATIENT = "11111111-1111-1111-1111-111111111111"
PATH = "/organization/v1/users/patients/{id}"


def made(desk: Desk, event: str, identity: str = "", **sets: object) -> MadeEvent:
    return desk.simulator.plugin_events.maker.make(parse_event([event]), identity, sets)


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        (["patient._update"], EventSpec("NOTIFICATION", "patient", "_update")),
        (["pre", "patch", PATH], EventSpec("PRE_REQUEST", method="PATCH", path=PATH)),
        ([f"post GET {PATH}"], EventSpec("POST_REQUEST", method="GET", path=PATH)),
        (["adapt", "patient"], EventSpec("ADAPT_ENTITY", entity="patient")),
    ],
)
def test_an_event_is_named_in_a_few_words(words: list[str], spec: EventSpec) -> None:
    assert parse_event(words) == spec


def test_where_several_are_meant_a_star_will_do() -> None:
    assert parse_event(["*"], wildcards=True) == EventSpec("NOTIFICATION", "*", "*")
    assert parse_event(["device.*"], wildcards=True) == EventSpec("NOTIFICATION", "device", "*")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "which event"),
        (["patient"], "is no event"),
        (["patient.*"], "BioT sends no notification"),
        (["patient.update"], "did you mean _update"),
        (["pateint._update"], "did you mean patient"),
        (["pre", PATH], "METHOD and PATH"),
        (["pre", "FETCH", PATH], "METHOD and PATH"),
        (["pre", "patient"], "METHOD and PATH"),
    ],
)
def test_what_is_no_event_is_told_with_what_was_meant(words: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_event(words)


def test_a_notification_lends_an_entity_and_keeps_what_it_was(desk: Desk) -> None:
    event = made(desk, "patient._update", PATIENT, age=50)
    data = event.body["data"]
    assert (data["entity"]["_id"], data["entity"]["age"], data["additionalData"]["oldEntity"]["age"]) == (
        PATIENT,
        50,
        42,
    )
    claims = desk.simulator.tokens._signer.claims(event.body["jwt"])
    assert claims is not None
    assert claims["scopes"] == ["ACTION_NOTIFICATION"]
    assert event.headers["hooktype"] == "NOTIFICATION"
    assert event.headers["traceparent"].split("-")[1] == event.body["metadata"]["traceId"]


def test_a_created_or_deleted_entity_was_nothing_else_before(desk: Desk) -> None:
    assert made(desk, "patient._create").body["data"]["additionalData"] == {}
    assert made(desk, "patient._delete").body["data"]["additionalData"] == {}


def test_a_measurement_is_of_a_patient_and_has_the_values(desk: Desk) -> None:
    entity = made(desk, "patient._saveMeasurement", PATIENT, pulse=80).body["data"]["entity"]
    assert (entity["metadata"]["patientId"], entity["data"]) == (PATIENT, {"pulse": 80})


def test_what_the_simulator_has_no_entity_of_gets_one_with_an_id(desk: Desk) -> None:
    assert made(desk, "registration-code._create").body["data"]["entity"]["_id"]


def test_a_pre_request_event_has_the_path_filled_in_and_the_body_as_set(desk: Desk) -> None:
    event = made(desk, f"pre PATCH {PATH}", PATIENT, age=43)
    request = event.body["request"]
    assert (event.body["apiId"], event.body["entityName"]) == (f"PATCH{PATH}", "patient")
    assert (request["path"], request["body"]) == (PATH.replace("{id}", PATIENT), {"age": 43})
    assert request["pathVariables"] == [{"name": "id", "value": PATIENT}]
    assert event.body["initiatorData"]["tokenType"] == "USER"
    assert "response" not in event.body
    assert event.headers["hooktype"] == "INTERCEPTOR_PRE"
    claims = desk.simulator.tokens._signer.claims(event.headers["authorization"].removeprefix("Bearer "))
    assert claims is not None
    assert claims["scopes"] == ["PLUGIN_INTERCEPTOR"]


def test_an_end_users_token_is_valid_at_the_simulator(desk: Desk) -> None:
    authorization = made(desk, f"pre PATCH {PATH}").body["request"]["headers"]["authorization"]
    issued = desk.simulator.tokens.recognise(authorization, desk.clock())
    assert issued is not None
    assert issued.initiator.token_type == "USER"


def test_the_other_interceptors_get_a_response_too(desk: Desk) -> None:
    post = made(desk, f"post GET /organization/v1/users/patients/{PATIENT}", age=1).body
    assert (post["response"]["body"]["_id"], post["response"]["body"]["age"]) == (PATIENT, 1)
    assert (post["response"]["httpStatusCode"], post["request"]["body"]) == ("200 OK", None)
    adapt = made(desk, "adapt patient", PATIENT, age=1).body
    assert [(one["_id"], one["age"]) for one in adapt["response"]["entities"]] == [(PATIENT, 1)]


@pytest.mark.parametrize("event", ["pre GET /nowhere", "pre GET /ums/v1/security/public-key", "adapt spaceship"])
def test_what_biot_does_not_intercept_is_refused(desk: Desk, event: str) -> None:
    with pytest.raises(BiotError) as refused:
        made(desk, event)
    assert refused.value.status == 400


def test_an_entity_that_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(BiotError) as refused:
        made(desk, "patient._update", "nobody")
    assert refused.value.status == 404


def test_values_are_put_at_dotted_paths_of_a_copy() -> None:
    before = {"a": {"b": 1, "c": 2}}
    assert with_values(before, {"a.b": 3, "d.e": 4}) == {"a": {"b": 3, "c": 2}, "d": {"e": 4}}
    assert before == {"a": {"b": 1, "c": 2}}
