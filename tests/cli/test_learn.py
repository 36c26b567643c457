"""`biot-sidecar learn`: from a log to a routes file."""

from __future__ import annotations

import io
import json
import sys

import pytest
from biot_sidecar.__main__ import main
from biot_sidecar.cli.learn import read_calls
from biot_sidecar.errors import BadSettings
from biot_sidecar.routing.learn import Call
from biot_sidecar.telemetry.access_log import Log

from tests.support.finished import exchange

ROUTES = "version: 1\nroutes: [{name: slow, match: GET /device/v2/devices, timeout: 9m}]\n"


@pytest.fixture
def routes(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    return str(file)


def lines(*told: dict) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in told)


def request(**told: object) -> dict:
    return {"event": "request", "method": "GET", "path": "/device/v2/devices", "rule": "slow", **told}


def test_it_reads_what_the_sidecar_writes():
    written: list[bytes] = []
    log = Log(level="info", form="json", write=lambda data: written.append(data) or 0, wall=lambda: 1.0)
    log.event("info", "ready", "listening")
    log.finished(exchange(query=b"patient=secret"))
    assert list(read_calls(b"".join(written).splitlines(), "x")) == [
        Call("GET", "/organization/v1/users/patients/{id}", "a rule", 200)
    ]


def test_files_and_standard_input_are_read_and_what_is_printed_passes_check(tmp_path, routes, capsys, monkeypatch):
    log = tmp_path / "log"
    log.write_bytes(b"biot-sidecar ready on x -> y\n\n" + lines({"event": "ready"}, request(query=["patient"])))
    assert main(["learn", "--deny", "--routes", routes, str(log), str(log)], {}) == 0
    printed = capsys.readouterr().out
    assert "What 2 calls" in printed
    assert "timeout: 9m" in printed
    assert "unmatched: deny" in printed
    assert "patient" not in printed
    made = tmp_path / "made.yaml"
    made.write_text(printed)
    assert main(["check", "--routes", str(made)], {}) == 0
    assert "1 route, 1 test passes" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.read_bytes())))
    assert main(["learn", "--routes", routes], {}) == 0
    assert "unmatched: observe" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        lines({"event": "ready"}),
        b"hello\n",
        b'{"a": 1}\n',
        b"[]\n",
        lines(request()) + b'{"event": "requ',
        b"\xff\n",
        b"[" * 9000,
    ],
)
def test_what_is_no_json_access_log_is_refused(tmp_path, routes, capsys, content):
    log = tmp_path / "log"
    log.write_bytes(content)
    assert main(["learn", "--routes", routes, str(log)], {}) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "no line of a JSON access log" in told.err or "no request stands in the log" in told.err


def test_a_file_that_is_not_there_and_a_wrong_routes_file_are_told(tmp_path, routes, capsys):
    assert main(["learn", "--routes", routes, str(tmp_path / "none")], {}) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 2\n")
    assert main(["learn", "--routes", str(wrong), "/dev/null"], {}) == 1
    assert "version '2' is unknown" in capsys.readouterr().err


def test_odd_values_are_no_error():
    (call,) = read_calls([lines(request(method=None, upstream_status="x"))], "x")
    assert call == Call("", "/device/v2/devices", "slow", 0)
    with pytest.raises(BadSettings):
        list(read_calls([b'{"event": 1}'], "x"))
