"""`biot-sidecar trigger`: one event to a real plugin, with a simulator's entities and key or without any."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.request import urlopen

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.cli.support import Ran, ran
from tests.deploy.programs import simulator

NOBODY = "http://127.0.0.1:9"
PATIENT = "11111111-1111-1111-1111-111111111111"


class Plugin:
    """A plugin that answers every event in the same way and keeps it."""

    def __init__(self, status: int = 200, body: bytes = b'{"done": true}') -> None:
        self.events: list[tuple[dict[str, str], Any]] = []
        plugin = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                plugin.events.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(text)))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def plugin(status: int = 200, body: bytes = b'{"done": true}') -> Iterator[Plugin]:
    made = Plugin(status, body)
    threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


def trigger(capsys: pytest.CaptureFixture[str], *words: str) -> Ran:
    return ran(capsys, "trigger", *words)


def test_the_plugin_gets_the_event_and_its_answer_is_printed(capsys):
    with plugin() as one:
        done = trigger(capsys, "patient._update", "--to", one.url, "--set", "age=50", "--simulator", NOBODY)
    assert done.status == 0
    assert done.out[0].startswith(f"NOTIFICATION patient._update -> {one.url}: 200 in ")
    assert done.out[1] == '{"done": true}'
    assert "signed by a fresh key" in done.err[0]
    ((headers, event),) = one.events
    assert (headers["hooktype"], event["data"]["entity"]["age"]) == ("NOTIFICATION", 50)
    assert headers["user-agent"].startswith("ReactorNetty/")


@pytest.mark.parametrize("status", [400, 502])
def test_any_other_answer_is_status_1(capsys, status):
    with plugin(status, b"no") as one:
        done = trigger(capsys, "patient._update", "--to", one.url, "--simulator", NOBODY)
    assert (done.status, done.out[1]) == (1, "no")


def test_no_plugin_is_status_1_and_one_line(capsys):
    done = trigger(capsys, "patient._update", "--to", NOBODY, "--simulator", NOBODY)
    assert (done.status, done.out) == (1, [])
    assert done.err[-1].startswith(f"biot-sidecar: no plugin answers at {NOBODY}: ")


def test_print_shows_the_request_and_sends_nothing(capsys):
    with plugin() as one:
        done = trigger(capsys, "patient._update", "--to", one.url + "/hook?x=1", "--simulator", NOBODY, "--print")
    assert (done.status, one.events) == (0, [])
    head, body = done.out[: done.out.index("")], done.out[done.out.index("") + 1]
    assert head[:2] == ["POST /hook?x=1 HTTP/1.1", f"host: {one.url.removeprefix('http://')}"]
    assert f"content-length: {len(body)}" in head
    assert json.loads(body)["metadata"]["actionName"] == "_update"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["patient._updated"], "did you mean _update"),
        (["patient._update", "--set", "age"], "NAME=VALUE"),
        (["patient._update", "--to", "plugin"], "no URL"),
        (["pre", "PATCH"], "METHOD and PATH"),
    ],
)
def test_a_slip_is_status_2(capsys, words, told):
    done = trigger(capsys, *words)
    assert (done.status, done.out) == (2, [])
    assert told in done.err[0]


@pytest.mark.e2e
def test_a_simulator_lends_its_entities_and_signs_what_its_public_key_proves(capsys, tmp_path):
    with simulator(tmp_path) as biot, plugin() as one:
        words = ["pre", "PATCH", "/organization/v1/users/patients/{id}", "--to", one.url, "--simulator", biot]
        assert trigger(capsys, *words, "--id", PATIENT, "--set", "_name.firstName=Ann", "--set", "age=43").status == 0
        ((headers, event),) = one.events
        assert event["request"]["body"] == {"_name": {"firstName": "Ann"}, "age": 43}
        with urlopen(f"{biot}/ums/v1/security/public-key") as answer:
            key = load_der_public_key(base64.b64decode(json.load(answer)["publicKey"]))
        claims = jwt.decode(headers["authorization"].removeprefix("Bearer "), key, algorithms=["RS512"])
        assert claims["scopes"] == ["PLUGIN_INTERCEPTOR"]
        refused = trigger(capsys, "patient._update", "--id", "nobody", "--to", one.url, "--simulator", biot)
        assert (refused.status, len(one.events)) == (1, 1)
        assert refused.err == ["biot-sidecar: patient with id [nobody] not found"]
