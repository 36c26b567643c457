"""`biot-sidecar demo -- CMD`: simulator, sidecar and a plugin together, and what the plugin is told."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.cli.processes import PATIENCE, Running, gone, running
from tests.cli.support import ran
from tests.deploy.programs import ROOT, call
from tests.support.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
RUNTIME = ROOT / "tests" / "deploy" / "runtime.py"
# Calls BioT in each event, with the event's trace, and prints what it was told.
PLUGIN = """
import json, os, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Plugin(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        patient = urllib.request.Request(os.environ["BIOT_BASE_URL"] + "PATIENT")
        patient.add_header("traceparent", self.headers["traceparent"])
        urllib.request.urlopen(patient).close()
        told = {"hook": self.headers["hooktype"], "secret": os.environ["BIOT_SERVICE_USER_SECRET_KEY"]}
        print("told " + json.dumps(told), flush=True)
        body = b"{}"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_request(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Plugin).serve_forever()
""".replace("PATIENT", PATIENT)
HANDLER = """
import json
def handler(event, context):
    if event["body"] == {"scheduled": True}:
        print("scheduled", flush=True)
        return {"statusCode": 200}
    request = json.loads(event["body"])["request"]
    if request["body"]["age"] < 0:
        return {"statusCode": 422, "body": {"code": "AGE", "message": "none is so young", "details": {}}}
    request["body"]["age"] = 77
    return {"statusCode": 200, "body": json.dumps({"request": request})}
"""
CALLER = """
import os, urllib.request
def handler(event, context):
    patient = urllib.request.Request(os.environ["BIOT_BASE_URL"] + "PATIENT")
    patient.add_header("traceparent", event["headers"]["traceparent"])
    urllib.request.urlopen(patient).close()
    return {"statusCode": 200, "body": "{}"}
""".replace("PATIENT", PATIENT)
PRE = "pre PATCH /organization/v1/users/patients/{id}"


def demo(folder: Path, *words: str, **env: str):
    """The demo with free ports everywhere; the plugin's is in PLUGIN_URL."""
    where = {"SIDECAR_LISTEN": "127.0.0.1:0", "PLUGIN_URL": f"http://127.0.0.1:{free_port()}"}
    return running(folder, "demo", "--simulator-listen", "127.0.0.1:0", *words, **where | env)


def introduced(one: Running) -> dict[str, str]:
    """The URLs of simulator and sidecar, once all has been said."""
    one.until("Ctrl-C ends all.")
    curl = next(line.split() for line in one.said if line.strip().startswith("curl "))
    return {"simulator": one.said[0].split()[3], "sidecar": curl[4].removesuffix(PATIENT)}


def changed(urls: dict[str, str]) -> dict:
    return call("PATCH", urls["sidecar"] + PATIENT, {"age": 43})


def test_the_plugin_gets_the_events_and_its_calls_belong_to_them(tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    words = ["--subscribe", PRE, "--", sys.executable, str(tmp_path / "plugin.py")]
    with demo(tmp_path, *words) as one:
        urls = introduced(one)
        children = one.children
        assert set(children) == {"simulate", "serve", "command"}
        changed(urls)
        told = json.loads(one.until("told ").removeprefix("told "))
        assert told == {"hook": "INTERCEPTOR_PRE", "secret": "kept-by-biot-sidecar"}
        stories = call("GET", urls["simulator"] + "/_simulator/events")
        (event,) = stories["events"]
        assert (event["status"], event["name"]) == (200, f"INTERCEPTOR_PRE PATCH{PATIENT.rpartition('/')[0]}/{{id}}")
        inside = [(seen["method"], seen["path"]) for seen in stories["calls"]]
        assert inside == [("PATCH", PATIENT), ("GET", PATIENT)]
        one.send(signal.SIGTERM)
        assert one.ended() == 0
        assert all(gone(pid) for pid in children.values())
    log = one.log()
    assert f"GET {PATIENT} 200" in log  # a line for each call
    assert "event INTERCEPTOR_PRE PATCH/organization/v1/users/patients/{id} -> " in log  # and for each event
    assert "Traceback" not in log


def test_a_change_is_told_to_the_plugin_whether_interceptors_run_or_not(tmp_path):
    with demo(tmp_path, "--subscribe", "patient._update", "--", sys.executable, "-c", PLUGIN) as one:
        urls = introduced(one)
        changed(urls)
        assert json.loads(one.until("told ").removeprefix("told "))["hook"] == "NOTIFICATION"
        (event,) = call("GET", urls["simulator"] + "/_simulator/events")["events"]
        data = event["body"]["data"]
        assert (data["entity"]["age"], data["additionalData"]["oldEntity"]["age"]) == (43, 42)
        assert event["body"]["metadata"]["traceId"] == event["traceId"]


@pytest.mark.parametrize("words", [[], ["--lambda"]])
def test_the_inspector_knows_both_directions(tmp_path, words):
    (tmp_path / "index.py").write_text(CALLER)
    command = [sys.executable, str(RUNTIME)] if words else [sys.executable, "-c", PLUGIN]
    env = {"SIDECAR_INSPECT": "1", "LAMBDA_TASK_ROOT": str(tmp_path)}
    with demo(tmp_path, *words, "--subscribe", "patient._update", "--", *command, **env) as one:
        urls = introduced(one)
        changed(urls)
        end = time.monotonic() + PATIENCE
        while (
            len(records := [r for r in call("GET", urls["sidecar"] + "/_sidecar/requests") if r["method"] != "PATCH"])
            < 2
        ):
            assert time.monotonic() < end, records
            time.sleep(0.02)
        event = next(record for record in records if record["method"] == "EVENT")
        inside = next(record for record in records if record["method"] == "GET")
        assert (event["template"], event["status"]) == ("NOTIFICATION patient._update", 200)
        assert event["trace_id"] == inside["trace_id"]
        assert event["at"] <= inside["at"] <= event["at"] + event["durations"]["total"]


def test_with_lambda_it_is_run_as_lambda_runs_it(tmp_path):
    (tmp_path / "index.py").write_text(HANDLER)
    words = ["--lambda", "--subscribe", PRE, "--", sys.executable, str(RUNTIME)]
    with demo(tmp_path, *words, LAMBDA_TASK_ROOT=str(tmp_path)) as one:
        urls = introduced(one)
        assert changed(urls)["age"] == 77
        with pytest.raises(HTTPError) as refused:  # the seeds' error replies have an object as body
            call("PATCH", urls["sidecar"] + PATIENT, {"age": -1})
        with refused.value as answer:
            told = {"code": "AGE", "message": "none is so young", "details": {}}
            assert (answer.status, json.load(answer)) == (422, told)
        one.send(signal.SIGINT)
        assert one.ended() == 0
    assert one.log().count("event INTERCEPTOR_PRE") == 2  # the simulator's line, not lambda's too


def test_a_scheduled_plugin_gets_its_event_by_trigger(tmp_path, capsys):
    (tmp_path / "index.py").write_text(HANDLER)
    words = ["--lambda", "--subscribe", "schedule", "--", sys.executable, str(RUNTIME)]
    with demo(tmp_path, *words, LAMBDA_TASK_ROOT=str(tmp_path)) as one:
        one.until("  biot-sidecar trigger schedule --to ")
        plugin = one.said[-1].split()[4]
        registered = call("GET", one.said[0].split()[3] + "/_simulator/interceptions")
        assert registered["notifications"] == []
        done = ran(capsys, "trigger", "schedule", "--to", plugin)
        assert (done.status, done.out[0].startswith(f"schedule -> {plugin}: 200 in ")) == (0, True)
        failed = ran(capsys, "trigger", "schedule", "--to", plugin, "--set", "body=5")
        assert (failed.status, failed.out[0].startswith(f"schedule -> {plugin}: 502 in ")) == (1, True)
        one.until("scheduled")
        one.send(signal.SIGINT)
        assert one.ended() == 0
    assert "event invoke 200 in " in one.log()


def test_without_events_named_every_notification_is_subscribed(tmp_path):
    with demo(tmp_path, "--", sys.executable, "-c", PLUGIN) as one:
        urls = introduced(one)
        (told,) = call("GET", urls["simulator"] + "/_simulator/interceptions")["notifications"]
        assert (told["entityName"], told["actionName"]) == ("*", "*")


def test_a_plugin_that_runs_elsewhere_is_told_too(tmp_path):
    with demo(tmp_path, "--subscribe", "patient.*", "--subscribe", "adapt device") as one:
        registered = call("GET", introduced(one)["simulator"] + "/_simulator/interceptions")
        assert [(told["entityName"], told["actionName"]) for told in registered["notifications"]] == [("patient", "*")]
        assert ("ADAPT_ENTITY", "device") in [
            (own["type"], own.get("entityName")) for own in registered["interceptors"]
        ]


def test_a_call_is_proposed_of_which_the_plugin_hears(tmp_path):
    for event, proposed in (
        ("device._delete", "curl -s -X DELETE http://127.0.0.1:"),
        ("post GET /device/v2/devices/{id}", "# interceptors do not run for GET /device/v2/devices/demo-device-1:"),
    ):
        with demo(tmp_path, "--subscribe", event) as one:
            one.until("Ctrl-C ends all.")
            assert any(line.strip().startswith(proposed) for line in one.said), one.said
            assert any(line.strip().startswith("biot-sidecar trigger ") for line in one.said)


def test_when_the_plugin_ends_the_demo_ends_with_its_status(tmp_path):
    with demo(tmp_path, "--", sys.executable, "-c", "raise SystemExit(42)") as one:
        assert one.ended() == 42
        assert "the plugin ended (status 42)" in one.log()


def test_a_lambda_plugin_that_never_asks_ends_the_demo_with_its_status(tmp_path):
    with demo(tmp_path, "--lambda", "--", sys.executable, "-c", "raise SystemExit(42)") as one:
        assert one.ended() == 42


def test_a_plugin_that_cannot_be_started_is_status_127_and_nothing_is_left(tmp_path):
    with demo(tmp_path, "--", "/no/such/plugin") as one:
        assert one.ended() == 127
        assert "there is no such command" in one.log()


def test_a_wrong_routes_file_ends_it_with_status_1(tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 2\n")
    for words in (["--", "true"], ["--lambda", "--", "true"]):
        with demo(tmp_path, "--routes", str(tmp_path / "routes.yaml"), *words) as one:
            assert one.ended() == 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--lambda"], 2, "--lambda needs a command"),
        (["--subscribe", "patient._updated", "--", "true"], 2, "did you mean _update"),
        (["--subscribe", "schedule", "--", "true"], 2, "--lambda"),
        (["--", "true"], 1, "PLUGIN_URL: 'https://plugin.example' is no http URL of this machine"),
    ],
)
def test_slips_are_told_before_anything_starts(capsys, words, status, told):
    done = ran(capsys, "demo", *words, PLUGIN_URL="https://plugin.example" if status == 1 else "")
    assert (done.status, done.out) == (status, [])
    assert told in done.err[0]
