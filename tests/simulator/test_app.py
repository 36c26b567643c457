"""The simulator on a real socket: control endpoints, echo, storage, faults as a client meets them, the log."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from biot_sidecar.errors import AddressInUse
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.app import make_app
from biot_sidecar.simulator.faults import Fault
from biot_sidecar.simulator.interception import MOST_RUNNING
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.server import running_simulator
from biot_sidecar.simulator.tokens import Signer

from tests.simulator.helpers import CREDENTIALS, Clock

LOGIN = "/ums/v2/services/accessToken"
DEMO = f"/organization/v1/users/patients/{seed.PATIENT_ID}"

Client = aiohttp.ClientSession


async def ask(http: Client, method: str, path: str, token: str = "", **more: Any) -> tuple[int, Any]:
    """Status and JSON body (None for an empty one)."""
    headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
    async with http.request(method, path, headers=headers, **more) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


async def raw(base_url: str, request: bytes) -> bytes:
    """Everything that comes back for these bytes until the connection ends; ConnectionResetError passes through."""
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


async def test_a_patient_is_updated_with_a_real_token(http: Client, token: str) -> None:
    status, body = await ask(http, "PATCH", DEMO, token, json={"age": 43})
    assert (status, body["age"]) == (200, 43)


async def test_answers_are_json_and_empty_ones_are_empty(http: Client, token: str) -> None:
    async with http.get(DEMO) as refused:
        assert (refused.status, refused.content_type) == (401, "application/json")
    assert await ask(http, "DELETE", DEMO, token) == (204, None)


async def test_the_raw_path_and_query_reach_the_operation(http: Client, token: str) -> None:
    generic = "/generic-entity/v3/generic-entities"
    await ask(http, "POST", f"{generic}/a%2F1%20x%25%C3%A9", token, json={"_name": "b/1 x%é"})
    status, body = await ask(http, "GET", f"{generic}/a%2F1%20x%25%C3%A9", token)
    assert (status, body["data"][0]["_template"]["name"]) == (200, "a/1 x%é")
    query = "searchRequest=%7B%22filter%22%3A+%7B%22_name%22%3A%7B%22eq%22%3A%22b%2F1+x%25%C3%A9%22%7D%7D%7D"
    status, body = await ask(http, "GET", f"/generic-entity/v1/generic-entities?{query}", token)
    assert body["metadata"]["page"]["totalResults"] == 1


async def test_a_search_of_sixty_thousand_bytes_is_answered(http: Client, token: str) -> None:
    wanted = json.dumps({"filter": {"_id": {"in": ["x" * 100] * 500}}})
    status, body = await ask(http, "GET", "/device/v2/devices", token, params={"searchRequest": wanted})
    assert (status, body["data"]) == (200, [])


async def test_the_requests_are_shown_as_they_came(http: Client, token: str) -> None:
    await ask(http, "PATCH", f"{DEMO}?q=private", token, json={"age": 1}, headers={"Allow-Interception": "1"})
    _, body = await ask(http, "GET", "/_simulator/requests")
    login, update = body["requests"]
    assert (login["path"], login["token"]) == (LOGIN, "none")
    assert (update["method"], update["path"], update["status"]) == ("PATCH", DEMO, 200)
    assert (update["token"], update["interception"], update["bodyBytes"]) == ("valid", True, 10)
    assert "Allow-Interception" in update["headerNames"]
    assert token not in json.dumps(body)


async def test_the_statistics_count_logins_requests_and_uses_of_tokens(http: Client, token: str) -> None:
    await ask(http, "GET", DEMO, token)
    await ask(http, "GET", DEMO, token)
    await ask(http, "POST", LOGIN, json=CREDENTIALS | {"secretKey": "wrong"})
    _, stats = await ask(http, "GET", "/_simulator/stats")
    assert (stats["logins"], stats["failedLogins"], stats["requests"]) == (1, 1, 4)
    assert [entry["uses"] for entry in stats["tokens"]] == [2]
    assert token not in json.dumps(stats)


async def test_all_tokens_can_be_revoked(http: Client, token: str) -> None:
    assert await ask(http, "DELETE", "/_simulator/tokens") == (200, {"revoked": 1})
    status, body = await ask(http, "GET", DEMO, token)
    assert (status, body["code"]) == (401, "TOKEN_NOT_VALID")


async def test_interceptors_are_registered_shown_and_removed(http: Client, token: str) -> None:
    interceptions = "/_simulator/interceptions"
    document = {"name": "stamp", "type": "ADAPT_ENTITY", "entityName": "device", "set": {"stamped": True}}
    status, entry = await ask(http, "POST", interceptions, json=document)
    assert status == 201
    _, device = await ask(http, "GET", "/device/v2/devices/demo-device-1", token, headers={"allow-interception": "yes"})
    assert device["stamped"] is True
    _, shown = await ask(http, "GET", interceptions)
    assert [entry["name"] for entry in shown["interceptors"]][-1] == "stamp"
    assert shown["requests"][-1]["ran"] == ["stamp"]
    assert await ask(http, "DELETE", f"{interceptions}/{entry['id']}") == (204, None)
    assert (await ask(http, "DELETE", f"{interceptions}/{entry['id']}"))[0] == 404
    assert await ask(http, "DELETE", interceptions) == (204, None)
    assert (await ask(http, "GET", interceptions))[1]["interceptors"] == []


async def test_what_cannot_be_registered_is_refused_in_biots_shape(http: Client) -> None:
    status, body = await ask(http, "POST", "/_simulator/interceptions", json={"type": "NEVER"})
    assert (status, body["code"], body["serviceName"]) == (400, "BAD_REQUEST", "BioT simulator")
    assert (await ask(http, "POST", "/_simulator/interceptions", data=b"{"))[0] == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/_simulator/nothing"), ("POST", "/_simulator/stats")])
async def test_other_control_endpoints_are_not_found(http: Client, method: str, path: str) -> None:
    assert (await ask(http, method, path))[0] == 404


@asynccontextmanager
async def serving(hook: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A plugin on a real socket: its URL."""
    app = web.Application()
    app.router.add_post("/", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def plugin(reply: Any, status: int = 200) -> AsyncIterator[tuple[str, list[Any]]]:
    """A plugin that always replies the same: its URL, and the events it got."""
    events: list[Any] = []

    async def hook(request: web.Request) -> web.Response:
        events.append((request.headers["hooktype"], await request.json()))
        return web.json_response(reply, status=status) if reply is not None else web.Response(text="<", status=status)

    async with serving(hook) as url:
        yield url, events


async def test_an_interceptor_plugin_is_called_and_may_block(http: Client, token: str) -> None:
    async with plugin({"code": "NOT_TODAY"}, 409) as (url, events):
        entry = {"type": "PRE_REQUEST", "apiId": "PATCH/organization/v1/users/patients/{id}", "url": url}
        await ask(http, "POST", "/_simulator/interceptions", json=entry)
        headers = {"allow-interception": "1"}
        assert await ask(http, "PATCH", DEMO, token, json={"age": 1}, headers=headers) == (409, {"code": "NOT_TODAY"})
    ((hook, event),) = events
    assert hook == "INTERCEPTOR_PRE"
    assert event["request"]["headers"]["authorization"] == f"Bearer {token}"
    # The plugin is gone now.
    status, body = await ask(http, "PATCH", DEMO, token, json={"age": 1}, headers=headers)
    assert (status, body["code"]) == (500, "INTERNAL_SERVER_ERROR")


async def test_interceptors_that_call_each_other_forever_are_stopped(base_url: str, token: str) -> None:
    calls = 0

    async def loops(request: web.Request) -> web.Response:
        """The mistake to rehearse: the intercepted request's header is copied to a call of the plugin's own."""
        nonlocal calls
        calls += 1
        event = await request.json()
        headers = {
            "Authorization": f"Bearer {token}",
            "allow-interception": event["request"]["headers"]["allow-interception"],
        }
        status, body = await ask(http, "PATCH", DEMO, json={"age": calls}, headers=headers)
        return web.json_response(body, status=status)

    async with serving(loops) as url, Client(base_url, connector=aiohttp.TCPConnector(limit=0)) as http:
        entry = {"type": "PRE_REQUEST", "apiId": "PATCH/organization/v1/users/patients/{id}", "url": url}
        await ask(http, "POST", "/_simulator/interceptions", json=entry)
        status, body = await ask(http, "PATCH", DEMO, token, json={"age": 1}, headers={"allow-interception": "1"})
    assert (status, calls) == (500, MOST_RUNNING)
    assert "probably a loop" in body["message"]


async def test_an_answer_of_an_interceptor_that_is_no_json_changes_nothing(http: Client, token: str) -> None:
    async with plugin(None) as (url, events):
        entry = {"type": "ADAPT_ENTITY", "entityName": "device", "url": url}
        await ask(http, "POST", "/_simulator/interceptions", json=entry)
        status, _ = await ask(http, "GET", "/device/v2/devices", token, headers={"allow-interception": "1"})
    assert (status, len(events)) == (200, 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE", "REPORT"])
async def test_echo_sends_a_body_of_known_length_back_as_it_came(http: Client, method: str) -> None:
    headers = {"Content-Type": "application/x-test", "X-Mine": "1"}
    async with http.request(method, "/_simulator/echo", data=b"\x00body\xff" * 1000, headers=headers) as response:
        assert await response.read() == b"\x00body\xff" * 1000
        assert response.headers["Content-Length"] == "6000"
        assert response.content_type == "application/x-test"
        assert "X-Mine" in response.headers["X-Simulator-Header-Names"].split(",")
        assert response.headers["X-Simulator-Method"] == method


async def test_echo_sends_pieces_back_before_the_last_one_has_come(http: Client) -> None:
    """Each piece is sent only after the one before has come back: nothing is held until the end."""
    back: asyncio.Queue[bytes] = asyncio.Queue()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"piece %d" % number
            assert await back.get() == b"piece %d" % number

    async with http.post("/_simulator/echo/any/path", data=pieces()) as response:
        assert "Content-Length" not in response.headers
        async for piece in response.content.iter_any():
            await back.put(piece)
    assert back.empty()


async def test_a_signed_url_stores_and_gives_back_bytes_but_not_with_a_token(http: Client, token: str) -> None:
    note = {"name": "note.bin", "mimeType": "application/x-note"}
    _, created = await ask(http, "POST", "/file/v1/files/upload", token, json=note)
    url = created["signedUrl"]
    assert (await ask(http, "GET", url))[0] == 404
    async with http.put(url, data=b"content") as stored:
        assert (stored.status, stored.headers["ETag"][0]) == (200, '"')
    async with http.get(url) as response:
        assert (await response.read(), response.content_type) == (b"content", "application/x-note")
    assert (await ask(http, "GET", url, token))[0] == 400
    assert (await ask(http, "PUT", url.replace("Signature=", "Signature=x"), data=b"evil"))[0] == 403


async def test_when_the_secret_keys_end_and_how_many_there_may_be_can_be_set(http: Client, token: str) -> None:
    end = "2099-01-02T03:04:05.000Z"
    status, state = await ask(http, "PUT", "/_simulator/secret-keys", json={"expirationTime": end, "max": 1})
    assert (status, state["max"]) == (200, 1)
    assert (await ask(http, "GET", "/_simulator/secret-keys")) == (200, state)
    _, user = await ask(http, "GET", "/ums/v2/services/self", token)
    assert [key["expirationTime"] for key in user["secretKeys"]] == [end]
    status, refused = await ask(http, "POST", "/ums/v2/services/self/secret-keys", token)
    assert (status, refused["code"]) == (409, "MAX_SECRET_KEYS")
    gone = await ask(http, "DELETE", f"/ums/v2/services/self/secret-keys/{user['secretKeys'][0]['id']}", token)
    assert gone == (204, None)
    assert (await ask(http, "POST", LOGIN, json=CREDENTIALS))[0] == 403
    assert (await ask(http, "PUT", "/_simulator/secret-keys", json=[]))[0] == 400


async def faults(http: Client, *rules: dict[str, Any]) -> None:
    status, _ = await ask(http, "PUT", "/_simulator/faults", json={"faults": list(rules)})
    assert status == 200


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("token_not_valid", 401, "TOKEN_NOT_VALID"),
        ("login_failed", 403, "LOGIN_FAILED"),
        ("service_locked", 401, "SERVICE_LOCKED"),
    ],
)
async def test_a_refusal_can_be_rehearsed(http: Client, kind: str, status: int, code: str) -> None:
    await faults(http, {"match": f"POST {LOGIN}", "fault": kind, "count": 1})
    answer = await ask(http, "POST", LOGIN, json=CREDENTIALS)
    assert (answer[0], answer[1]["code"], answer[1]["serviceName"]) == (status, code, "UMS Service")
    assert (await ask(http, "POST", LOGIN, json=CREDENTIALS))[0] == 200
    _, stats = await ask(http, "GET", "/_simulator/stats")
    assert stats["failedLogins"] == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SERVICE_UNAVAILABLE"),
        (504, "GATEWAY_TIMEOUT"),
        (500, "INTERNAL_SERVER_ERROR"),
        (403, "ACCESS_DENIED"),
        (599, "STATUS_599"),
    ],
)
async def test_a_status_can_be_rehearsed(http: Client, token: str, status: int, code: str) -> None:
    await faults(http, {"match": "GET /organization/**", "fault": "status", "status": status, "retry_after": 7})
    async with http.get(DEMO, headers={"Authorization": f"Bearer {token}"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (status, "7")
        assert (await response.json())["code"] == code


async def test_a_reset_ends_the_connection_without_an_answer(http: Client, base_url: str) -> None:
    await faults(http, {"match": "* /**", "fault": "reset"})
    with pytest.raises(ConnectionResetError):
        await raw(base_url, b"GET /ums/system/healthCheck HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await ask(http, "GET", "/_simulator/requests"))[1]["requests"][-1]["status"] == 0


async def test_half_an_answer_announces_more_than_it_sends(http: Client, base_url: str) -> None:
    await faults(http, {"match": "* /**", "fault": "half_answer"})
    head, _, body = (await raw(base_url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"Content-Length: 4096" in head
    assert 0 < len(body) < 4096


async def test_bad_json_is_a_whole_answer_that_cannot_be_read(http: Client, token: str) -> None:
    await faults(http, {"match": "* /device/**", "fault": "bad_json"})
    with pytest.raises(json.JSONDecodeError):
        await ask(http, "GET", "/device/v2/devices", token)


async def test_a_slow_answer_is_the_usual_one(http: Client, token: str) -> None:
    await faults(http, {"match": "* /device/**", "fault": "slow", "delay": "1ms"})
    assert (await ask(http, "GET", "/device/v2/devices", token))[0] == 200
    _, state = await ask(http, "GET", "/_simulator/faults")
    assert state["faults"][0]["hits"] == 1


async def test_faults_are_shown_and_taken_back(http: Client) -> None:
    await faults(http, {"fault": "service_locked", "count": 2})
    _, state = await ask(http, "GET", "/_simulator/faults")
    assert state["faults"] == [
        {"match": f"POST {LOGIN}", "fault": "service_locked", "hits": 0, "left": 2, "passing": 0}
    ]
    assert await ask(http, "DELETE", "/_simulator/faults") == (204, None)
    assert (await ask(http, "POST", LOGIN, json=CREDENTIALS))[0] == 200


async def test_wrong_faults_are_refused_and_the_old_ones_stay(http: Client) -> None:
    await faults(http, {"fault": "service_locked"})
    status, body = await ask(http, "PUT", "/_simulator/faults", json={"faults": [{"fault": "unheard"}]})
    assert (status, "unknown fault" in body["message"]) == (400, True)
    assert (await ask(http, "POST", LOGIN, json=CREDENTIALS))[0] == 401


async def test_the_control_endpoints_never_fail_by_a_fault_and_echo_does(http: Client) -> None:
    await faults(http, {"match": "* /**", "fault": "status", "status": 503})
    assert (await ask(http, "GET", "/_simulator/stats"))[0] == 200
    assert (await ask(http, "GET", "/_simulator/echo"))[0] == 503


async def test_faults_of_the_options_hold_from_the_start(signer: Signer) -> None:
    options = SimulatorOptions(faults=(Fault(f"POST {LOGIN}", "login_failed"),))
    async with running_simulator(options, signer=signer) as base_url, aiohttp.ClientSession(base_url) as http:
        assert (await ask(http, "POST", LOGIN, json=CREDENTIALS))[0] == 403


async def test_one_line_is_logged_per_request_without_query_and_token(
    http: Client, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="biot_sidecar.simulator"):
        await ask(http, "GET", f"{DEMO}?q=private", token, headers={"allow-interception": "1"})
        await ask(http, "GET", DEMO, "bad.token.here")
        await ask(http, "GET", "/_simulator/stats")
    assert caplog.messages == [
        f"GET {DEMO} 200 (interceptors ran: sample-adapt-patient)",
        f"GET {DEMO} 401 (token invalid)",
    ]


@pytest.mark.parametrize("line", [b"Authorization: Bearer se\x00same", b"Sesame\x01: 1"])
async def test_what_cannot_be_parsed_gets_400_and_is_not_quoted_in_the_log(
    base_url: str, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    answer = await raw(base_url, b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert "same" not in caplog.text.lower()


async def test_a_caller_that_goes_away_leaves_one_line_and_no_traceback(
    base_url: str, http: Client, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(base_url)
    with caplog.at_level(logging.INFO, logger="biot_sidecar.simulator"):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"POST /ums/v2/services/accessToken HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        while not (await ask(http, "GET", "/_simulator/requests"))[1]["requests"]:
            pass
        writer.close()
        while (await ask(http, "GET", "/_simulator/requests"))[1]["requests"][0]["status"] == 0:
            pass
    assert caplog.messages == [f"POST {LOGIN} 499"]


async def test_a_body_beyond_all_reason_is_refused(base_url: str) -> None:
    head = b"POST /device/v2/devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await raw(base_url, head + b"4100000\r\n" + b"x" * 0x4100000 + b"\r\n0\r\n\r\n")
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert b"_TOO_LARGE" in answer  # REQUEST_ENTITY_TOO_LARGE, from Python 3.13 on CONTENT_TOO_LARGE


async def test_targets_that_are_no_path_get_an_answer(base_url: str) -> None:
    answer = await raw(base_url, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")
    absolute = await raw(
        base_url, b"GET http://x/ums/system/healthCheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert absolute.startswith(b"HTTP/1.1 200")


async def test_an_address_that_is_taken_is_named(signer: Signer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}"):
            async with running_simulator(port=port, signer=signer):
                pass


async def test_the_clock_can_be_given(signer: Signer) -> None:
    async with running_simulator(clock=Clock(), signer=signer) as base_url, aiohttp.ClientSession(base_url) as http:
        _, body = await ask(http, "POST", LOGIN, json=CREDENTIALS)
        assert body["accessTokenExpiration"] == "2025-11-24T16:30:00.000Z"


def test_an_application_of_its_own_makes_its_own_key() -> None:
    assert make_app(SimulatorOptions(), Clock()) is not None
