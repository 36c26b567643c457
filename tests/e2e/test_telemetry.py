"""What the running program counts, logs and tells of itself."""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
from collections.abc import Callable, Iterable

import pytest
from biot_sidecar.telemetry import snapshot as state
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.exchanges import Exchange
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.rawclient import Answer, RawClient
from tests.support.scripted_upstream import then_reset
from tests.support.sidecar import CANARY, House, until_refused
from tests.support.wire import DEADLINE, lines, request, response

pytestmark = LIVE

CLOSED = "upstream_connections_closed_total"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01".encode()


async def counted(house: House, *fields: bytes) -> dict[tuple[str, frozenset], float]:
    """Every sample above zero of the program's own."""
    seen = samples_of(await house.get("/metrics", *fields), parse_openmetrics if fields else parse_text)
    return {name: value for name, value in seen.items() if value}


def samples_of(answer: Answer, parse: Callable[[str], Iterable[Metric]]) -> dict[tuple[str, frozenset], float]:
    assert answer.status == 200
    samples = [sample for family in parse(answer.body.decode()) for sample in family.samples]
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

    def requests(route, method, status, interception="off"):
        return seen.get(key("requests_total", route=route, method=method, status=status, interception=interception))

    assert requests("intercepted", "GET", "200", "on") == 1
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
    assert " INFO request GET /on/** 200 " in line
    assert " query=name rule=intercepted interception=set " in line
    assert line.endswith(f" trace_id={TRACE}")


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


# ---- where the log cannot be written


async def test_a_full_disk_takes_no_half_lines_and_what_is_lost_is_counted(start):
    house = await start()
    await house.warm_up()
    pid, room = house.sidecar.process.pid, house.sidecar.stderr.stat().st_size + 700
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    for _ in range(20):
        assert (await house.get("/x")).status == 200

    async def lost() -> float:
        return (await counted(house)).get(key("log_lines_dropped_total"), 0)

    async with asyncio.timeout(DEADLINE):
        while await lost() < 15:
            await asyncio.sleep(0.02)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    async with asyncio.timeout(DEADLINE):
        while "log_lines_dropped" not in house.sidecar.log():
            assert (await house.get("/x")).status == 200
            await asyncio.sleep(0.15)
    dropped = await lost()
    await house.sidecar.stop()
    lines = house.sidecar.log().splitlines()
    halves = [line for line in lines if not line.endswith("}")]
    assert len(halves) == 1
    told = [json.loads(line) for line in lines if line not in halves]
    assert [line["lines"] for line in told if line["event"] == "log_lines_dropped"] == [dropped]


# ---- where descriptors are used up


@pytest.mark.not_on("windows", why="a limit of open files")
async def test_without_descriptors_nobody_is_reset_and_the_admin_listener_answers(start):
    house = await start(SIDECAR_ADMIN_LISTEN="127.0.0.1:0")
    await house.warm_up()
    limit = 64
    resource.prlimit(house.sidecar.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    clients = [await house.client() for _ in range(2 * limit)]

    async def ask(client: RawClient) -> int:
        async with asyncio.timeout(DEADLINE):
            return (await client.ask(request("GET", "/x"))).status

    asked = [asyncio.ensure_future(ask(client)) for client in clients]
    for _ in range(3):
        admin = await house.admin()
        seen = samples_of(await admin.ask(request("GET", "/metrics")), parse_text)
        admin.close()
    assert await asyncio.gather(*asked) == [200] * len(clients)
    assert seen[key("descriptor_shortages_total")] >= 1
    told = [line for line in await logged(house) if line["event"] != "request"]
    assert [line["level"] for line in told if line["event"] == "descriptors"] == ["warning"]
    assert not [line for line in told if line["event"] == "bug"]


# ---- everything that can be counted


async def be_refused(house: House) -> None:
    """Once for each reason of refused_total but for overload and draining."""
    await house.ask(lines(b"GET / HTTP/1.1", b"Host: localhost", b"Content-Length: 1, 2"))
    await house.get("/" + "a" * 70_000)
    await house.ask(lines(b"GET / HTTP/1.1", b"Host: evil.example"))
    await house.get("/", b"Sec-Fetch-Site: cross-site")
    await house.get("/a/%2e%2e/b")
    await house.ask(request("TRACE", "/"))
    await house.get("/closed/door")
    for _ in range(3):
        await house.get("/on/loop", TRACEPARENT)


async def test_every_refusal_is_counted_under_its_reason(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="1", SIDECAR_LOOP_LIMIT="2", SIDECAR_ADMIN_LISTEN="127.0.0.1:0")
    admin = await house.admin()
    holding, resting = await house.client(), await house.client()
    held = house.upstream.hold("/held")
    await be_refused(house)
    await holding.send(request("GET", "/held"))
    exchange = await held.next()
    assert (await house.get("/one-too-many")).status == 503
    assert (await resting.ask(request("GET", "/healthz"))).status == 200
    house.sidecar.signal()
    await until_refused(house)
    assert (await resting.ask(request("GET", "/too-late"))).status == 503
    seen = samples_of(await admin.ask(request("GET", "/metrics")), parse_text)
    await held.answer(exchange, response(200))
    await holding.read_answer()
    reasons = [reason for reason in state.REFUSALS if reason != "caller"]  # which needs SIDECAR_ALLOWED_UIDS
    assert {reason: seen[key("refused_total", reason=reason)] for reason in reasons} == dict.fromkeys(reasons, 1)

    def refused(method, status, route="unmatched"):
        interception = "on" if route == "intercepted" else "off"
        return seen[key("requests_total", route=route, method=method, status=status, interception=interception)]

    assert (refused("GET", "421"), refused("TRACE", "405"), refused("GET", "508", "intercepted")) == (1, 1, 1)
    assert (refused("GET", "503"), refused("GET", "403", "closed"), refused("GET", "403")) == (2, 1, 1)
    assert seen[key("requests_in_flight")] == 1
    assert seen[key("upstream_connections", state="active")] == 1
    assert sorted(line["reason"] for line in await logged(house) if line.get("reason")) == sorted(
        [*reasons, "start"]  # why there was a login
    )


async def test_a_client_that_speaks_tls_is_told_so(start):
    house = await start()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    arrives = ssl.MemoryBIO()
    handshake = tls.wrap_bio(ssl.MemoryBIO(), arrives, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    answer = await house.ask(arrives.read())
    assert_ours(answer, 400, "SIDECAR_BAD_REQUEST")
    assert "http://" in answer.json["details"]["hint"]
    (line,) = [line for line in await logged(house) if line["event"] == "request"]
    assert (line["reason"], line["status"], line["method"]) == ("tls_hello", 400, "_OTHER")


async def test_every_connection_that_ends_is_counted_once_under_its_reason(start):
    house = await start(SIDECAR_MAX_IN_FLIGHT="1")
    await house.warm_up()

    async def closed() -> dict[str, float]:
        seen = samples_of(await house.get("/metrics"), parse_text)
        return {dict(labels)["reason"]: value for (name, labels), value in seen.items() if name == CLOSED and value}

    house.upstream.on("/last", response(200, b"Connection: close"))
    await house.get("/last")
    assert await closed() == {"upstream": 1}
    house.upstream.on("/once/bad", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")
    assert (await house.get("/once/bad")).status == 502
    assert await closed() == {"upstream": 1, "error": 1}
    house.upstream.on("/once/lost", then_reset())
    assert (await house.get("/once/lost")).status == 502
    assert await closed() == {"upstream": 2, "error": 1}
    assert (await house.get("/x")).status == 200
    await house.upstream.stop_listening()
    assert await closed() == {"upstream": 3, "error": 1}


async def test_every_other_try_is_counted_under_its_reason(start):
    house = await start()
    await house.warm_up()
    house.upstream.on("/lost", then_reset(), response(200))
    house.upstream.on("/busy", response(503), response(200))
    house.upstream.on("/unknown", response(401, body=b'{"code": "TOKEN_NOT_VALID"}'), response(200))
    for path in ("/lost", "/busy", "/unknown"):
        assert (await house.get(path)).status == 200
    await house.upstream.stop_listening()
    assert (await house.get("/nobody")).status == 502
    seen = await counted(house)
    retries = {reason: seen[key("retries_total", reason=reason)] for reason in state.RETRIES}
    assert retries == {"connect": 1, "reset": 1, "status": 1, "token_not_valid": 1}  # the budget has no more
    assert seen[key("upstream_connects_total", outcome="failure")] == 2
    assert seen[key("logins_total", outcome="success", reason="token_not_valid")] == 1
    assert seen[key("overhead_seconds_count")] == 4, "what never got to BioT has no share of BioT in it"
    assert seen[key("requests_total", route="unmatched", method="GET", status="502", interception="off")] == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "event"),
    [
        (response(403, body=b'{"code": "LOGIN_FAILED"}'), "rejected", "login_blocked"),
        (response(401, body=b'{"code": "SERVICE_LOCKED"}'), "locked", "login_blocked"),
        (then_reset(), "network", "login"),
        (response(500), "server_error", "login"),
        (response(200, body=b"{}"), "malformed", "login"),
    ],
)
async def test_every_failed_login_is_counted_and_told(start, answer, outcome, event):
    house = await start(SIDECAR_LOGIN_AT_START="0")
    house.upstream.login_script = answer
    assert (await house.get("/x")).status in {502, 503}
    seen = await counted(house)
    logins = {labels: value for (name, labels), value in seen.items() if name == "logins_total"}
    assert logins == {frozenset({("outcome", outcome), ("reason", "start")}): 1}
    assert seen[key("token_requests_total", result="fail")] == 1
    assert seen[key("token_wait_seconds_count")] == 1
    assert (key("login_blocked_until_timestamp_seconds") in seen) == (event == "login_blocked")
    assert event in {line["event"] for line in await logged(house)}


async def test_overhead_is_the_total_less_the_time_with_biot(start):
    house = await start()
    await house.warm_up()
    before = await counted(house)

    async def take_a_moment(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        await exchange.send(response(200))

    house.upstream.on("/slow", take_a_moment)
    await house.get("/slow")
    after = await counted(house)

    def more(name: str, **labels: str) -> float:
        return after[key(name, **labels)] - before[key(name, **labels)]

    total = more("request_duration_seconds_sum", route="unmatched")
    upstream = more("upstream_request_duration_seconds_sum", route="unmatched")
    assert total >= upstream >= 0.2
    assert more("overhead_seconds_sum") == pytest.approx(total - upstream, abs=1e-6)


async def test_the_numbers_are_right_under_load(start):
    house = await start()
    await house.warm_up()
    before = await counted(house)

    async def call(client: RawClient) -> None:
        for _ in range(50):
            answer = await client.ask(request("POST", "/client/1", b"allow-interception: 1", body=b"x" * 10))
            assert answer.status == 200

    house.upstream.on("/client/", response(200, body=b"y" * 25))
    await asyncio.gather(*[call(await house.client()) for _ in range(20)])
    seen = await counted(house)

    def more(name: str, **labels: str) -> float:
        return seen[key(name, **labels)] - before.get(key(name, **labels), 0)

    route = "as the plugin says"
    assert more("requests_total", route=route, method="POST", status="200", interception="client") == 1000
    assert more("interception_total", route=route, action="passed") == 1000
    assert more("request_duration_seconds_bucket", route=route, le="+Inf") == 1000
    assert more("upstream_request_duration_seconds_count", route=route) == 1000
    assert more("overhead_seconds_count") == 1000
    assert more("token_requests_total", result="hit") == 1000
    assert (more("request_body_bytes_total"), more("response_body_bytes_total")) == (10_000, 25_000)
    assert key("requests_in_flight") not in seen
    assert (
        1 <= seen[key("upstream_connections", state="idle")] == seen[key("upstream_connects_total", outcome="success")]
    )


async def test_no_word_that_a_client_writes_is_told(start):
    house = await start(SIDECAR_LOG_LEVEL="debug")
    word = CANARY.encode()
    host = b"Host: 127.0.0.1"
    for head in (
        (b"GET /ums/v2/%b?%b&x=%b HTTP/1.1" % (word, word, word), host),
        (b"GET /%b/%b HTTP/1.1" % (word, word), host, b"%b: %b" % (word, word), b"Cookie: " + word),
        (b"%b / HTTP/1.1" % word, host),
        (b"GET / HTTP/1.1", b"Host: " + word),
        (b"GET / HTTP/1.1", host, b"Origin: https://" + word),
        (b"GET / HTTP/1.1", host, b"Content-Length: " + word),
        (b"GET / HTTP/1.1", host, b"traceparent: 00-%b-00f067aa0ba902b7-01" % word),
        (b"GET /client/1 HTTP/1.1", host, b"allow-interception: " + word),
        (b"GET /keep/1 HTTP/1.1", host, b"Authorization: Bearer " + word),
        (b"GET http://%b/ HTTP/1.1" % word, host),
        (b"GET %b HTTP/1.1" % word, host),
        (b"GET /%%zz%b HTTP/1.1" % word, host),
        (b"GET /%b/../x HTTP/1.1" % word, host),
        (b"GET /closed/%b HTTP/1.1" % word, host),
        (b"GET / HTTP/" + word, host),
        (b"CONNECT %b:443 HTTP/1.1" % word, host),
        (b"GET /_sidecar/%b HTTP/1.1" % word, host),
        (b"GET /_sidecar/explain?method=%b HTTP/1.1" % word, host),
        (b"GET /metrics HTTP/1.1", host, b"Accept: application/openmetrics-text; version=" + word),
    ):
        await house.ask(lines(*head))
    for path in ("/metrics", "/_sidecar/status"):
        assert word not in (await house.get(path)).body
    await house.sidecar.stop()
    assert len(house.sidecar.log().splitlines()) > 15
    assert CANARY not in house.sidecar.log()
