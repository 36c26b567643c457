"""What curl can do on the wire that the other clients cannot, through the real program to the simulator."""

from __future__ import annotations

import json
import re

import pytest
from biot_sidecar.simulator import seed

from tests.e2e.clients.asked import Curl
from tests.e2e.clients.conftest import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENT = f"/organization/v1/users/patients/{seed.PATIENT_ID}"
ECHO = "/_simulator/echo"
JSON = "Content-Type: application/json"
EXPECT = "Expect: 100-continue"


def test_a_client_that_waits_for_100_continue_gets_it_and_then_the_answer(curl: Curl, stage: Stage) -> None:
    body = b"x" * 100_000
    answer = curl("POST", stage.url + ECHO, EXPECT, body=body, words="--expect100-timeout 20")
    assert answer.body == body
    assert "< HTTP/1.1 100 Continue" in curl.said
    assert "Done waiting for 100-continue" not in curl.said


def test_a_denied_upload_is_refused_before_its_body_is_sent(curl: Curl, stage: Stage) -> None:
    path = "/ums/v2/services/self/secret-keys"
    answer = curl("POST", stage.url + path, EXPECT, body=b"x" * 100_000, words="--expect100-timeout 20")
    assert answer.json["code"] == "SIDECAR_ROUTE_DENIED"
    assert "100 Continue" not in curl.said
    assert "We are completely uploaded" not in curl.said


def test_http_1_0_gets_an_answer_it_can_read(curl: Curl, stage: Stage) -> None:
    answer = curl("GET", stage.url + PATIENT, words="--http1.0")
    assert (answer.status, answer.json["_id"]) == (200, seed.PATIENT_ID)
    assert "> GET " + PATIENT + " HTTP/1.0" in curl.said
    assert stage.arrived(PATIENT)["token"] == "valid"


def test_http_1_0_changes_a_patient(curl: Curl, stage: Stage) -> None:
    answer = curl("PATCH", stage.url + PATIENT, JSON, body=b'{"age": 61}', words="--http1.0")
    assert (answer.json["age"], answer.json["sampleInterceptor"]) == (61, "was here")


def test_http_1_0_reads_an_answer_of_unknown_length_up_to_its_end(curl: Curl, stage: Stage) -> None:
    """The simulator sends it in chunks, which HTTP/1.0 does not know."""
    body = b"y" * 300_000
    answer = curl("POST", stage.url + ECHO, body=body, words="--http1.0")
    assert answer.body == body
    assert "transfer-encoding" not in answer.fields


def test_http_1_0_is_told_of_an_error_of_the_sidecars_own(curl: Curl, stage: Stage) -> None:
    answer = curl("POST", stage.url + "/ums/v2/services/self/secret-keys", words="--http1.0")
    assert (answer.status, answer.json["code"]) == (403, "SIDECAR_ROUTE_DENIED")


@pytest.mark.not_on("windows", why="unix sockets")
def test_a_unix_socket_serves_as_a_port_does(curl: Curl, stage: Stage) -> None:
    words = f"--unix-socket {stage.socket}"
    for host in ("localhost", "127.0.0.1"):
        answer = curl("GET", f"http://{host}{PATIENT}", words=words)
        assert (answer.status, answer.json["_id"]) == (200, seed.PATIENT_ID)
    refused = curl("GET", f"http://rebound.example{PATIENT}", words=words)
    assert refused.json["code"] == "SIDECAR_HOST_REFUSED"


@pytest.mark.not_on("windows", why="unix sockets")
def test_a_unix_socket_belongs_to_one_user(stage: Stage) -> None:
    assert stage.socket.stat().st_mode & 0o777 == 0o600


def test_ipv6_serves_as_ipv4_does(curl: Curl, stage: Stage) -> None:
    assert stage.url6.startswith("http://[::1]:")
    answer = curl("GET", stage.url6 + PATIENT)
    assert (answer.status, answer.json["_id"]) == (200, seed.PATIENT_ID)
    port = stage.url6.rpartition(":")[2]
    assert curl("GET", f"http://localhost:{port}{PATIENT}").status == 200


def test_an_offer_of_http_2_is_answered_in_http_1_1(curl: Curl, stage: Stage) -> None:
    answer = curl("GET", stage.url + PATIENT, words="--http2")
    assert "> Upgrade: h2c" in curl.said
    assert answer.status == 200
    assert "< HTTP/1.1 200" in curl.said
    assert not {"Upgrade", "HTTP2-Settings"} & set(stage.arrived(PATIENT)["headerNames"])


def test_many_calls_share_one_connection(curl: Curl, stage: Stage) -> None:
    curl("GET", stage.url + PATIENT, words=f"{stage.url}{PATIENT} -o /dev/null {stage.url}/healthz -o /dev/null")
    assert len(re.findall("Re-using existing (?:http: )?connection", curl.said)) == 2


def test_a_forward_proxys_request_form_works_and_names_only_biot(curl: Curl, stage: Stage) -> None:
    """A client that takes the sidecar for its HTTP proxy."""
    host = stage.biot.removeprefix("http://")
    answer = curl("GET", f"http://{host}{PATIENT}", words=f"--proxy {stage.url}")
    assert (answer.status, answer.json["_id"]) == (200, seed.PATIENT_ID)
    assert curl("GET", f"http://elsewhere.example{PATIENT}", words=f"--proxy {stage.url}").status == 421


def test_a_form_with_a_file_arrives_as_it_was(curl: Curl, stage: Stage) -> None:
    answer = curl("POST", stage.url + ECHO, words="-F config={} -F code=@/etc/hostname")
    assert answer.fields["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="config"' in answer.body
    assert json.loads(answer.body.split(b"\r\n\r\n")[1].split(b"\r\n")[0]) == {}
