"""The events that were sent: kept with bodies and replies, sent again, told in the log without values."""

from __future__ import annotations

from typing import Any

import pytest
from biot_sidecar.simulator.event_log import EventLog
from biot_sidecar.simulator.event_names import event_name, event_name_of
from biot_sidecar.simulator.values import BiotError

from tests.simulator.helpers import Clock, ScriptedPost

URL = "http://127.0.0.1:9000/"
EVENT = {
    "metadata": {"entityTypeName": "patient", "actionName": "_update"},
    "data": {"entity": {"age": 42}},
    "jwt": "old",
}
HEADERS = {"hooktype": "NOTIFICATION", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "authorization": "Bearer secret"}


def log_of(*replies: tuple[int, Any] | OSError) -> tuple[EventLog, ScriptedPost]:
    post = ScriptedPost(*replies)
    return EventLog(post, Clock(), kept=2), post


async def test_an_event_is_kept_with_its_reply_and_no_authorization(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log, _ = log_of((200, {"ok": True}))
    assert await log(URL, EVENT, HEADERS) == (200, {"ok": True})
    (kept,) = log.shown()
    assert (kept["name"], kept["status"], kept["reply"]) == ("NOTIFICATION patient._update", 200, {"ok": True})
    assert (kept["body"], kept["traceId"]) == (EVENT, "a" * 32)
    assert "authorization" not in kept["headers"]
    assert caplog.messages == [f"event NOTIFICATION patient._update -> {URL} 200 in 0 ms"]


async def test_a_failure_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log, _ = log_of(ConnectionRefusedError(111, "Connection refused"))
    with pytest.raises(OSError, match="refused"):
        await log(URL, EVENT, HEADERS)
    (kept,) = log.shown()
    assert (kept["status"], kept["failure"]) == (0, "Connection refused")
    assert "failed: Connection refused" in caplog.text


async def test_only_the_last_ones_are_kept() -> None:
    log, _ = log_of(*[(200, None)] * 3)
    for _ in range(3):
        await log(URL, EVENT, HEADERS)
    assert [one["number"] for one in log.shown()] == [2, 3]


async def test_a_kept_event_is_sent_again_as_it_is_made_fresh() -> None:
    log, post = log_of((200, None), TimeoutError())
    await log(URL, EVENT, HEADERS)
    again = await log.send_again(1, lambda event: (event.body | {"jwt": "new"}, event.headers))
    assert (again.number, again.again, again.failure) == (2, 1, "no answer in time")
    assert post.asked[1][1]["jwt"] == "new"
    with pytest.raises(BiotError):
        await log.send_again(7, lambda event: (event.body, event.headers))


@pytest.mark.parametrize(
    ("hook_type", "body", "name"),
    [
        ("NOTIFICATION", EVENT, "NOTIFICATION patient._update"),
        ("INTERCEPTOR_PRE", {"apiId": "PATCH/x/{id}"}, "INTERCEPTOR_PRE PATCH/x/{id}"),
        ("NOTIFICATION", {"metadata": "no"}, "NOTIFICATION None.None"),
        ("NOTIFICATION", {"metadata": {"entityTypeName": "a b\n", "actionName": "c"}}, "NOTIFICATION"),
        ("", EVENT, ""),
        ("two words", EVENT, ""),
        ("NOTIFICATION", [1], ""),
    ],
)
def test_a_name_holds_nothing_but_names(hook_type: str, body: Any, name: str) -> None:
    assert event_name(hook_type, body) == name


def test_what_is_no_json_has_no_name() -> None:
    assert event_name_of("NOTIFICATION", b"\xff") == ""
