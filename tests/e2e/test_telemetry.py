"""What the running program counts, logs and tells of itself."""

from __future__ import annotations

import json

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.live import LIVE
from tests.support.scripted_upstream import then_reset
from tests.support.sidecar import CANARY, House
from tests.support.wire import request, response

pytestmark = LIVE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01".encode()


async def counted(house: House, *fields: bytes) -> dict[tuple[str, frozenset], float]:
    """Every sample above zero of the program's own."""
    answer = await house.get("/metrics", *fields)
    assert answer.status == 200
    parse = parse_openmetrics if fields else parse_text
    samples = [sample for family in parse(answer.body.decode()) for sample in family.samples if sample.value]
    prefix = "biot_sidecar_"
    return {
        (one.name.removeprefix(prefix), frozenset(one.labels.items())): one.value
        for one in samples
        if one.name.startswith(prefix)
    }


def key(name: str, **labels: str) -> tuple[str, frozenset]:
    return name, frozenset(labels.items())


async def logged(house: House) -> list[dict]:
    """The log's lines, once the program has stopped, but for what it thinks of the routes that tests use."""
    await house.sidecar.stop()
    lines = [json.loads(line) for line in house.sidecar.log().splitlines()]
    return [line for line in lines if line["event"] != "routes"]


async def a_little_of_everything(house: House) -> None:
    house.upstream.on("/once/lost", then_reset())
    house.upstream.on("/busy", response(503), response(200, body=b"12345"))
    await house.warm_up()
    await house.get(f"/on/patients?name={CANARY}&page=2", TRACEPARENT)
    await house.get("/busy")
    await house.get("/once/lost")
    await house.get("/closed/door")
    await house.get("/any", b"Origin: https://evil.example")
    await house.ask(request("PROPFIND", "/any", body=CANARY.encode()))


async def test_what_happened_is_counted_under_its_names(start):
    house = await start()
    await a_little_of_everything(house)
    seen = await counted(house)

    def requests(route, method, status, interception="none"):
        return seen.get(key("requests_total", route=route, method=method, status=status, interception=interception))

    assert requests("intercepted", "GET", "200", "set") == 1
    assert requests("unmatched", "GET", "200") == 2
    assert requests("once", "GET", "502") == 1
    assert requests("closed", "GET", "403") == 1
    assert requests("unmatched", "GET", "403") == 1
    assert requests("unmatched", "_OTHER", "200") == 1
    assert seen[key("interception_total", route="intercepted", action="set")] == 1
    assert seen[key("retries_total", reason="status")] == 1
    assert seen[key("refused_total", reason="deny")] == 1
    assert seen[key("refused_total", reason="browser")] == 1
    assert seen[key("request_body_bytes_total")] == len(CANARY)
    assert seen[key("logins_total", outcome="success", reason="start")] == 1
    assert seen[key("login_duration_seconds_count")] == 1
    assert seen[key("overhead_seconds_count")] == 5
    assert seen[key("upstream_connects_total", outcome="success")] >= 1
    assert seen[key("token_expiry_timestamp_seconds")] > 1_700_000_000
    assert key("requests_in_flight") not in seen
    assert key("upstream_connections", state="active") not in seen


async def test_openmetrics_carries_the_callers_trace(start):
    house = await start()
    await house.get("/on/patients", TRACEPARENT)
    answer = await house.get("/metrics", b"Accept: application/openmetrics-text;version=1.0.0")
    assert dict(answer.fields)[b"Content-Type"].startswith(b"application/openmetrics-text")
    assert f'# {{trace_id="{TRACE}"}}'.encode() in answer.body
    assert await counted(house, b"Accept: application/openmetrics-text;version=1.0.0")


async def test_every_request_is_one_line_of_the_log(start):
    house = await start()
    await a_little_of_everything(house)
    lines = await logged(house)
    told = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["status"], line["rule"], line["error"]) for line in told] == [
        ("GET", 200, "unmatched", None),
        ("GET", 200, "intercepted", None),
        ("GET", 200, "unmatched", None),
        ("GET", 502, "once", "SIDECAR_UPSTREAM_UNREACHABLE"),
        ("GET", 403, "closed", "SIDECAR_ROUTE_DENIED"),
        ("GET", 403, None, "SIDECAR_BROWSER_REFUSED"),
        ("_OTHER", 200, "unmatched", None),
    ]
    intercepted, busy, lost = told[1:4]
    assert (intercepted["trace_id"], intercepted["query"]) == (TRACE, ["name", "page"])
    assert (intercepted["path"], intercepted["interception"]) == ("/on/**", "set")
    assert (busy["tries"], busy["retries"], busy["response_bytes"]) == (2, ["status"], 5)
    assert (lost["level"], lost["upstream_status"]) == ("warning", None)
    assert [line["event"] for line in lines if line["event"] != "request"] == [
        "ready",
        "login",
        "draining",
        "stopped",
    ]


async def test_text_lines_are_for_people(start):
    house = await start(SIDECAR_LOG_FORMAT="text")
    await house.get(f"/on/patients?name={CANARY}", TRACEPARENT)
    await house.sidecar.stop()
    (line,) = [line for line in house.sidecar.log().splitlines() if " INFO request " in line]
    assert f"trace_id={TRACE} method=GET path=/on/** query=name rule=intercepted interception=set status=200" in line


async def test_only_what_went_wrong_is_told_at_a_higher_level(start):
    house = await start(SIDECAR_LOG_LEVEL="warning")
    await a_little_of_everything(house)
    (line,) = await logged(house)
    assert (line["level"], line["error"]) == ("warning", "SIDECAR_UPSTREAM_UNREACHABLE")


async def test_the_status_page_tells_of_rules_token_and_logins(start):
    house = await start()
    await a_little_of_everything(house)
    page = (await house.get("/_sidecar/status")).json
    hits = {route["name"]: route["hits"] for route in page["routes"]}
    assert (hits["intercepted"], hits["once"], hits["closed"], hits["hasty"]) == (1, 1, 1, 0)
    assert page["token"]["state"] == "valid"
    assert set(page["token"]) == {"state", "obtained", "expires"}
    assert (page["logins"]["total"], page["logins"]["calls_per_login"]) == (1, 5.0)
    assert page["reload"]["error"] is None
    assert set(page["build"]) == {"version", "python"}
