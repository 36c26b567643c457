"""AWS Lambda's events, from an Extensions API in memory."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.error_catalogue import lost_before_response
from biot_sidecar.http.messages import Response
from biot_sidecar.process.lambda_events import LambdaEvents

NOW = 1_000.0
END = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 2000}


class Api:
    """Answers the questions one after the other, and keeps them."""

    def __init__(self, *answers: dict | int | UpstreamError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
        self.seconds: list[float] = []
        self.told: list[str] = []

    async def __call__(self, method, path, headers, body, **more):
        self.asked.append((method, path, dict(headers), body))
        answer = self._answers.pop(0)
        if isinstance(answer, UpstreamError):
            raise answer
        status, content = (answer, {}) if isinstance(answer, int) else (200, answer)
        return Response(status, [(b"Lambda-Extension-Identifier", b"id-1")], json.dumps(content).encode())

    async def follow(self, identifier: str) -> bool:
        events = LambdaEvents(
            self, identifier, self.seconds.append, lambda: NOW, lambda level, kind, text: self.told.append(text)
        )
        return await events.follow()


def invoke(seconds: float) -> dict:
    return {"eventType": "INVOKE", "deadlineMs": round((NOW + seconds) * 1000), "requestId": "r", "tracing": {}}


async def test_each_event_tells_the_seconds_to_its_deadline_until_the_environment_ends():
    api = Api(invoke(3.0), invoke(2.5), END)
    assert await api.follow("given") is True
    assert api.seconds == [3.0, 2.5]
    fields = {b"Lambda-Extension-Identifier": b"given"}
    assert api.asked == [(b"GET", b"/2020-01-01/extension/event/next", fields, b"")] * 3
    assert api.told == []


async def test_who_has_not_registered_yet_does_as_an_internal_extension_for_events_alone():
    api = Api({}, END)
    assert await api.follow("") is True
    method, path, fields, body = api.asked[0]
    assert (method, path, json.loads(body)) == (b"POST", b"/2020-01-01/extension/register", {"events": ["INVOKE"]})
    assert fields == {b"Lambda-Extension-Name": b"biot-sidecar"}
    assert api.asked[1][2] == {b"Lambda-Extension-Identifier": b"id-1"}


@pytest.mark.parametrize("answer", [403, lost_before_response(), {"eventType": 7}, {"deadlineMs": 1}])
async def test_an_api_that_tells_nothing_is_told_of_once_and_is_no_end(answer):
    api = Api(invoke(3.0), answer)
    assert await api.follow("given") is False
    assert len(api.told) == 1
    assert "SIDECAR_TIMEOUT_MOST" in api.told[0]
