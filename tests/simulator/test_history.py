"""What the simulator remembers and logs of a request, and what it must not."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.history import History, Seen
from biot_sidecar.telemetry.redact import printable

from tests.simulator.helpers import NOW, Desk

DEMO = f"/organization/v1/users/patients/{seed.PATIENT_ID}"


def seen(**changes: object) -> Seen:
    entry = Seen(1, NOW, "GET", "/a/b", ["Host"], "trace")
    for name, value in ({"status": 200} | changes).items():
        setattr(entry, name, value)
    return entry


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "GET /a/b 200"),
        ({"status": 0, "fault": "reset"}, "GET /a/b no answer (fault: reset)"),
        ({"token": "invalid", "status": 401}, "GET /a/b 401 (token invalid)"),
        ({"interception": True, "interceptors": ["x", "y"]}, "GET /a/b 200 (interceptors ran: x, y)"),
        ({"interception": True}, "GET /a/b 200 (interception asked for, no interceptor is registered for this)"),
        ({"path": "/a\nforged"}, "GET /a\\nforged 200"),
    ],
)
def test_the_log_line_says_what_happened(changes: dict[str, object], line: str) -> None:
    assert seen(**changes).line() == line


@pytest.mark.parametrize(
    ("text", "shown"), [("/a%0Ab", "/a%0Ab"), ("\x1b[2J", "\\x1b[2J"), ("\u2028", "\\u2028"), ("é", "é")]
)
def test_what_could_break_a_line_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_only_the_last_requests_are_kept_and_all_are_counted() -> None:
    history = History(kept=2)
    for path in ("/1", "/2", "/3"):
        history.add(NOW, "GET", path, [], "trace")
    assert [entry["path"] for entry in history.shown()] == ["/2", "/3"]
    assert [entry["number"] for entry in history.shown()] == [2, 3]
    assert history.requests == 3


async def test_a_request_is_remembered_without_token_query_and_values(desk: Desk) -> None:
    token = desk.token()
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "X-Secret": "sesame"}
    await desk.ask("GET", DEMO, token=token, query={"q": "private"}, headers=headers)
    shown = desk.simulator.history.shown()[-1]
    assert shown["headerNames"] == ["traceparent", "X-Secret", "Authorization"]
    assert (shown["path"], shown["token"]) == (DEMO, "valid")
    assert shown["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    text = json.dumps(shown) + desk.seen.line()
    assert not [secret for secret in (token, "sesame", "private") if secret in text]


@pytest.mark.parametrize(("token", "word"), [(None, "none"), ("a.b.c", "invalid"), ("", "valid")])
async def test_the_token_is_remembered_as_a_word(desk: Desk, token: str | None, word: str) -> None:
    await desk.ask("GET", DEMO, token=token)
    assert desk.seen.token == word


async def test_a_request_without_traceparent_gets_a_trace_id_that_its_error_names(desk: Desk) -> None:
    refused = await desk.ask("GET", DEMO, token=None)
    assert len(desk.seen.trace_id) == 32
    assert refused.body["traceId"] == desk.seen.trace_id
