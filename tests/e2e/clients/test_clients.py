"""curl, urllib, Node's fetch and Java's HttpClient, without credentials, through the real program to the simulator."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path
from threading import Thread
from urllib.parse import quote, quote_plus

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import ORGANIZATION_ID

from tests.deploy.programs import call
from tests.e2e.clients.asked import Client, talker
from tests.e2e.clients.conftest import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENTS = "/organization/v1/users/patients"
PATIENT = f"{PATIENTS}/{seed.PATIENT_ID}"
ECHO = "/_simulator/echo"
JSON = "Content-Type: application/json"
LARGE = random.Random(1).randbytes(8 * 1024 * 1024 + 11)


def names(stage: Stage, path: str) -> set[str]:
    """The header fields that BioT got with the last request for this path."""
    return {name.lower() for name in stage.arrived(path)["headerNames"]}


def test_a_first_call_without_credentials_reaches_biot_with_a_token(client: Client, stage: Stage) -> None:
    answer = client("GET", stage.url + PATIENT, "X-Of-Plugin: 1")
    assert (answer.status, answer.json["_id"]) == (200, seed.PATIENT_ID)
    arrived = stage.arrived(PATIENT)
    assert (arrived["token"], arrived["interception"]) == ("valid", False)
    assert {"authorization", "x-of-plugin", "user-agent", "traceparent"} <= names(stage, PATIENT)


def test_an_offer_to_speak_another_protocol_ends_at_the_sidecar(client: Client, stage: Stage) -> None:
    """Java makes one with the first request for a host, and goes on in HTTP/1.1."""
    for path in (PATIENT, PATIENTS):
        assert client("GET", stage.url6 + path).status == 200
        assert not {"upgrade", "http2-settings"} & names(stage, path)


def test_java_does_make_that_offer(tmp_path: Path) -> None:
    heads = []

    def answer_one(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            heads.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with talker("java", tmp_path) as java, socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=answer_one, args=(listening,), daemon=True)
        thread.start()
        java("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        thread.join(30)
    assert b"Upgrade: h2c\r\n" in heads[0]


@pytest.mark.parametrize("streamed", [False, True], ids=["of a known length", "in chunks"])
def test_java_may_make_that_offer_with_a_large_upload(streamed, stage: Stage, tmp_path: Path) -> None:
    with talker("java", tmp_path) as java:
        assert java("POST", stage.url + ECHO, body=LARGE, streamed=streamed).body == LARGE
        assert not {"upgrade", "http2-settings"} & names(stage, ECHO)


def test_a_rule_lets_interceptors_see_a_change(client: Client, stage: Stage) -> None:
    age = random.Random().randrange(20, 90)
    answer = client("PATCH", stage.url + PATIENT, JSON, body=json.dumps({"age": age, "note": "ü ☃"}).encode())
    assert answer.status == 200
    assert (answer.json["age"], answer.json["note"]) == (age, "ü ☃")
    assert answer.json["sampleInterceptor"] == "was here"
    arrived = stage.arrived(PATIENT)
    assert (arrived["method"], arrived["token"], arrived["interception"]) == ("PATCH", "valid", True)


def test_a_client_cannot_switch_interception_on_by_itself(client: Client, stage: Stage) -> None:
    assert "sampleInterceptor" not in client("GET", stage.url + PATIENT, "Allow-Interception: 1").json
    assert "allow-interception" not in names(stage, PATIENT)


@pytest.mark.parametrize("encode", [quote, quote_plus])
def test_a_search_finds_what_its_awkward_query_asks_for(encode, client: Client, stage: Stage) -> None:
    name = "a+b & c/d=é%2F;'\"☃"
    person = {"firstName": name, "lastName": "Awkward"}
    body = {"_name": person, "_email": "a@example.org", "_ownerOrganization": {"id": ORGANIZATION_ID}}
    created = client("POST", f"{stage.url}{PATIENTS}/templates/Patient", JSON, body=json.dumps(body).encode())
    assert created.status == 201
    wanted = {"filter": {"_name.firstName": {"eq": name}}, "limit": 5, "page": 0}
    found = client("GET", f"{stage.url}{PATIENTS}?searchRequest={encode(json.dumps(wanted, ensure_ascii=False))}")
    assert created.json["_id"] in [one["_id"] for one in found.json["data"]]
    assert {one["_name"]["firstName"] for one in found.json["data"]} == {name}
    gone = client("DELETE", f"{stage.url}{PATIENTS}/{created.json['_id']}")
    assert (gone.status, gone.body) == (204, b"")


def test_an_error_of_biot_is_passed_on_as_it_is(client: Client, stage: Stage) -> None:
    path = f"{PATIENTS}/00000000-0000-0000-0000-000000000000"
    answer = client("GET", stage.url + path)
    assert (answer.status, answer.json["code"]) == (404, "USER_NOT_FOUND")
    assert answer.json["serviceName"] == "Organization Service"
    assert "proxy-status" not in answer.fields


def test_a_call_that_a_rule_denies_gets_an_error_of_the_sidecars_own(client: Client, stage: Stage) -> None:
    path = "/ums/v2/services/self/secret-keys"
    answer = client("POST", stage.url + path, JSON, body=b"{}")
    assert (answer.status, answer.json["code"]) == (403, "SIDECAR_ROUTE_DENIED")
    assert "plugins must not manage secret keys" in answer.json["message"]
    assert answer.json["details"]["route"] == "keys are not for plugins"
    assert answer.fields["proxy-status"] == "biot-sidecar; error=http_request_denied"


def test_a_host_that_is_not_served_gets_an_error_of_the_sidecars_own(client: Client, stage: Stage) -> None:
    """0.0.0.0 leads to this machine as a rebound name does."""
    answer = client("GET", stage.url.replace("127.0.0.1", "0.0.0.0") + PATIENT)
    assert (answer.status, answer.json["code"]) == (421, "SIDECAR_HOST_REFUSED")
    assert answer.fields["proxy-status"].startswith("biot-sidecar; error=")


@pytest.mark.parametrize("streamed", [False, True], ids=["of a known length", "in chunks"])
def test_a_large_body_comes_through_both_ways(streamed, client: Client, stage: Stage) -> None:
    answer = client("POST", stage.url + ECHO, "Content-Type: application/x-large", body=LARGE, streamed=streamed)
    assert (answer.status, answer.fields["content-type"]) == (200, "application/x-large")
    assert answer.body == LARGE
    assert ("content-length" in names(stage, ECHO)) is not streamed
    assert ("content-length" in answer.fields) is not streamed


def test_a_refused_upload_leaves_a_client_that_can_go_on(client: Client, stage: Stage) -> None:
    for _ in range(3):
        answer = client("POST", stage.url + "/ums/v2/services/self/secret-keys", body=LARGE)
        assert (answer.status, answer.json["code"]) == (403, "SIDECAR_ROUTE_DENIED")
    assert client("GET", stage.url + PATIENT).status == 200


def test_head_has_no_body_and_leaves_a_client_that_can_go_on(client: Client, stage: Stage) -> None:
    for _ in range(2):
        assert client("HEAD", stage.url + ECHO).body == b""
        assert client("GET", stage.url + PATIENT).status == 200


def test_all_these_clients_together_cost_biot_one_login(client: Client, stage: Stage) -> None:
    assert client("GET", stage.url + PATIENT).status == 200
    assert call("GET", f"{stage.biot}/_simulator/stats")["logins"] == 1


def test_the_sidecars_own_pages_read_well_in_every_client(client: Client, stage: Stage) -> None:
    assert client("GET", stage.url + "/healthz").status == 200
    assert b"biot_sidecar_requests_total" in client("GET", stage.url + "/metrics").body
    assert client("GET", stage.url + "/_sidecar/status").json["token"]["state"]
