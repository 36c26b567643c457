"""An interceptor that triggers itself is stopped, and every error names the trace that its request went out under."""

from __future__ import annotations

import re

import pytest

from tests.support.live import LIVE
from tests.support.rawclient import Answer
from tests.support.scripted_upstream import then_reset
from tests.support.sidecar import CANARY, House
from tests.support.wire import request

pytestmark = LIVE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PATIENT = "/organization/v1/users/patients/42"
ROUTES = """\
version: 1
routes:
  - {name: patient updates, match: "PATCH /organization/v1/users/patients/{id}", interception: on}
  - {name: as the plugin says, match: "* /client/**", interception: client}
  - {name: once, match: "* /once/**", retry: none}
"""


def traced(method: str, path: str, *fields: bytes, trace: str = TRACE, span: int = 1) -> bytes:
    return request(method, path, b"traceparent: 00-%b-%016x-01" % (trace.encode(), span), *fields, body=b"{}")


async def calls(house: House, number: int, method: str = "PATCH", path: str = PATIENT, *fields: bytes) -> list[int]:
    """The statuses of as many calls under one trace, each with a span of its own."""
    client = await house.client()
    return [(await client.ask(traced(method, path, *fields, span=span + 1))).status for span in range(number)]


def assert_stopped(answer: Answer) -> None:
    assert answer.status == 508
    assert answer.head.first(b"proxy-status") == b"biot-sidecar; error=proxy_loop_detected"
    assert answer.json["code"] == "SIDECAR_LOOP_DETECTED"
    assert answer.json["traceId"] == TRACE
    assert answer.json["details"]["route"] == "patient updates"
    assert "PATCH /organization/v1/users/patients/{id}" in answer.json["message"]


@pytest.mark.parametrize(("settings", "limit"), [({}, 8), ({"SIDECAR_LOOP_LIMIT": "2"}, 2)])
async def test_as_many_as_the_limit_go_and_the_next_is_stopped(start, settings, limit):
    house = await start(routes=ROUTES, **settings)
    assert await calls(house, limit) == [200] * limit
    assert_stopped(await house.ask(traced("PATCH", f"{PATIENT}?again={CANARY}")))
    assert len(house.upstream.seen(PATIENT)) == limit
    metrics = (await house.get("/metrics")).body.decode()
    assert 'biot_sidecar_refused_total{reason="loop"} 1.0' in metrics


async def test_another_trace_path_or_method_is_another_matter(start):
    house = await start(routes=ROUTES, SIDECAR_LOOP_LIMIT="1")
    assert await calls(house, 2) == [200, 508]
    assert (await house.ask(traced("PATCH", PATIENT, trace="5" * 32))).status == 200
    assert (await house.ask(traced("PATCH", PATIENT[:-1] + "3"))).status == 200
    assert await calls(house, 3, "GET") == [200] * 3
    assert await calls(house, 3, "PUT", "/client/x") == [200] * 3
    assert await calls(house, 2, "PUT", "/client/x", b"allow-interception: 1") == [200, 508]


async def test_several_processes_count_as_one(start):
    house = await start(routes=ROUTES, SIDECAR_LOOP_LIMIT="3", SIDECAR_WORKERS="2")
    answers = [await house.ask(traced("PATCH", PATIENT, span=span + 1)) for span in range(5)]
    assert [answer.status for answer in answers] == [200] * 3 + [508] * 2
    assert_stopped(answers[-1])


@pytest.mark.parametrize(
    "fields",
    [(), (b"traceparent: junk",), (b"traceparent: 00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", b"Traceparent:")],
)
async def test_a_request_without_a_valid_traceparent_goes_out_with_one_that_its_error_names(start, fields):
    house = await start(routes=ROUTES)
    house.upstream.on("/once/lost", then_reset())
    answer = await house.get("/once/lost", *fields)
    assert answer.status == 502
    [sent] = house.upstream.seen("/once/lost")[0].head.values(b"traceparent")
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", sent)
    assert answer.json["traceId"] == sent[3:35].decode()
