"""`biot-sidecar trigger`: one event to a real plugin, with a simulator's entities and key or without any."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType
from typing import Any
from urllib.request import urlopen

import jwt
import pytest
from biot_sidecar.__main__ import main
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.cli.support import Ran, ran
from tests.deploy.programs import simulator

NOBODY = "http://127.0.0.1:9"
PATIENT = "11111111-1111-1111-1111-111111111111"


class Plugin:
    """A plugin that answers every event in the same way and keeps it."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.events: list[tuple[dict[str, str], Any]] = []
        plugin = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                plugin.events.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(text)))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def plugin(
    status: int = 200, body: bytes = b'{"done": true}', headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Plugin]:
    made = Plugin(status, body, headers)
    threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


@contextmanager
def answering(server: socket.socket, reply: bytes) -> Iterator[list[bytes]]:
    """Whoever connects gets `reply`; what it sent is in the list."""
    sent: list[bytes] = []

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            sent.append(connection.recv(65536))
            connection.sendall(reply)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield sent
    thread.join(timeout=5)


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


def test_a_redirect_is_the_plugins_answer(capsys):
    with plugin() as other, plugin(302, b"", {"location": f"{other.url}/other"}) as one:
        done = trigger(capsys, "patient._update", "--to", one.url, "--simulator", NOBODY)
    assert (done.status, other.events) == (1, [])
    assert ": 302 in " in done.out[0]


def test_what_is_no_http_is_status_1_and_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server, answering(server, b"nonsense\r\n"):
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = trigger(capsys, "patient._update", "--to", url, "--simulator", NOBODY)
    assert (done.status, done.out) == (1, [])
    assert done.err[-1].startswith(f"biot-sidecar: no plugin answers at {url}: ")


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999"])
def test_what_json_has_no_number_for_is_a_text(capsys, value):
    done = trigger(capsys, "patient._update", "--set", f"age={value}", "--simulator", NOBODY, "--print")
    assert json.loads(done.out[-1])["data"]["entity"]["age"] == value


def test_print_is_the_request_that_is_sent(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        words = ("patient._update", "--to", f"http://user:word@{where}/hook?x=1", "--simulator", NOBODY)
        main(["trigger", *words, "--print"], {})
        printed = capsys.readouterr().out.encode()
        with answering(server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as sent:
            assert trigger(capsys, *words).status == 0
    (head, _, body), (sent_head, _, _) = printed.partition(b"\r\n\r\n"), sent[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /hook?x=1 HTTP/1.1", b"host: " + where.encode()]
    assert b"content-length: %d" % len(body) in head.split(b"\r\n")
    assert [line for line in head.split(b"\r\n") if b"traceparent" not in line] == [
        line for line in sent_head.split(b"\r\n") if b"traceparent" not in line
    ]


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
        (["patient._update", "--to", "http://127.0.0.1:port"], "no URL"),
        (["patient._update", "--to", "http://:9000"], "no URL"),
        (["pre", "PATCH"], "METHOD and PATH"),
        (["schedule", "--id", "1"], "about no entity"),
        (["patient._update", "--event", "x"], "only the event of a schedule"),
    ],
)
def test_a_slip_is_status_2(capsys, words, told):
    done = trigger(capsys, *words)
    assert (done.status, done.out) == (2, [])
    assert told in done.err[0]


def test_the_event_of_a_schedule_goes_raw_to_the_invoke_api(capsys):
    with plugin(body=b'{"statusCode": 200}') as one:
        done = trigger(capsys, "schedule", "--to", one.url, "--set", "body.dry=true")
        ((_, event),) = one.events
    assert (done.status, done.err) == (0, [])
    assert event == {"headers": {}, "body": {"scheduled": True, "dry": True}}
    printed = trigger(capsys, "schedule", "--print").out
    assert printed[0] == "POST /2015-03-31/functions/function/invocations HTTP/1.1"
    assert trigger(capsys, "schedule", "--to", "http://127.0.0.1:9/own", "--print").out[0] == "POST /own HTTP/1.1"


def test_a_file_may_hold_the_event_of_a_schedule(capsys, tmp_path):
    (tmp_path / "event.json").write_text('{"detail-type": "Scheduled Event", "detail": {}}')
    done = trigger(capsys, "schedule", "--event", str(tmp_path / "event.json"), "--set", "detail.a=1", "--print")
    assert json.loads(done.out[-1]) == {"detail-type": "Scheduled Event", "detail": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "told"), [("[]", "an event is a JSON object"), ("no", "this is no JSON"), (None, "cannot be read")]
)
def test_a_file_that_holds_no_event_is_status_1(capsys, tmp_path, text, told):
    if text is not None:
        (tmp_path / "event.json").write_text(text)
    done = trigger(capsys, "schedule", "--event", str(tmp_path / "event.json"))
    assert (done.status, done.out) == (1, [])
    assert told in done.err[0]


@pytest.mark.parametrize(
    ("status", "headers", "body", "shown"),
    [
        (200, {}, b'{"statusCode": 500, "body": {}}', "500"),
        (200, {"x-amz-function-error": "Unhandled"}, b'{"errorType": "KeyError"}', "502"),
        (404, {}, b"", "404"),
        (200, {}, b"5", "200"),
    ],
)
def test_what_the_functions_reply_says_of_itself_counts(capsys, status, headers, body, shown):
    with plugin(status, body, headers) as one:
        done = trigger(capsys, "schedule", "--to", one.url)
    assert (done.status, f": {shown} in " in done.out[0]) == (0 if shown == "200" else 1, True)


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
