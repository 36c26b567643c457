"""The inspector behind the real program: relayed, guarded like everything else, live, and no hindrance to a stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inspector.browser import Browser, running_browser, wants_chromium
from tests.support.judge import assert_ours
from tests.support.live import LIVE
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import TOKEN_CANARY
from tests.support.sidecar import CANARY, SECRET, House
from tests.support.wire import lines, request, response

pytestmark = LIVE


class EventStream:
    """A page that watches: reads server-sent events off the raw, chunked answer."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._text = b""

    @classmethod
    async def open(cls, house: House) -> EventStream:
        client = await house.client()
        await client.send(request("GET", "/_sidecar/events"))
        head = await client.read_head_or_fail()
        assert head.start == b"HTTP/1.1 200 OK"
        assert head.first(b"content-type") == b"text/event-stream"
        assert head.chunked
        return cls(client)

    async def next(self) -> tuple[str, list[dict]]:
        """The next event's name and records."""
        while b"\n\n" not in self._text:
            size = int(await self._client.read_line(), 16)
            assert size, "the stream ended"
            self._text += await self._client.read_exactly(size)
            await self._client.read_line()
        event, _, self._text = self._text.partition(b"\n\n")
        name, data = (line.partition(b": ")[2] for line in event.split(b"\n"))
        return name.decode(), json.loads(data)["records"]

    async def end(self) -> None:
        """Reads on to the last chunk."""
        while size := int(await self._client.read_line(), 16):
            await self._client.read_exactly(size)
            await self._client.read_line()
        await self._client.read_line()


async def test_is_off_by_default(house):
    for path in ("/_sidecar/", "/_sidecar/events", "/_sidecar/requests", "/_sidecar/assets/app.js"):
        assert (await house.get(path)).status == 404
    assert not house.upstream.requests


async def test_serves_the_page_and_nothing_of_it_reaches_biot(start):
    house = await start(SIDECAR_INSPECT="1")
    page = await house.get("/_sidecar/")
    assert page.status == 200
    assert b"<title>biot-sidecar inspector</title>" in page.body
    assert page.head.first(b"content-security-policy").startswith(b"default-src 'none'")
    assert (await house.get("/_sidecar/assets/app.js")).status == 200
    assert_ours(await house.get("/_sidecar/nothing"), 404, "SIDECAR_NOT_FOUND")
    assert not house.upstream.requests


async def test_leaves_the_other_own_pages_as_they_are(start):
    house = await start(SIDECAR_INSPECT="1")
    await house.warm_up()
    assert (await house.get("/_sidecar/status")).json["token"]["state"] == "valid"
    assert (await house.get("/_sidecar/explain?method=GET&path=/on/1")).json["route"] == "intercepted"
    assert (await house.get("/metrics")).status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (lines(b"GET /_sidecar/requests HTTP/1.1", b"Host: evil.example"), 421),
        (lines(b"GET /_sidecar/requests HTTP/1.1", b"Host: localhost", b"Sec-Fetch-Site: cross-site"), 403),
        (lines(b"GET /_sidecar/events HTTP/1.1", b"Host: localhost", b"Origin: https://evil.example"), 403),
        (lines(b"POST /_sidecar/requests HTTP/1.1", b"Host: localhost", b"Content-Length: 0"), 405),
        (lines(b"GET /_sidecar/../requests HTTP/1.1", b"Host: localhost"), 404),
    ],
)
async def test_is_guarded_like_everything_else(start, raw, status):
    house = await start(SIDECAR_INSPECT="1")
    answer = await house.ask(raw)
    assert answer.status == status
    assert not house.upstream.requests


async def test_streams_requests_as_they_finish(start):
    house = await start(SIDECAR_INSPECT="1")
    await house.warm_up()
    stream = await EventStream.open(house)
    name, records = await stream.next()
    assert (name, len(records)) == ("snapshot", 1)
    house.upstream.on("/on/", response(418))
    await house.get(f"/on/1?page={CANARY}&{CANARY}=", b"Authorization: Bearer x", b"X-Patient: " + CANARY.encode())
    name, records = await stream.next()
    (record,) = records
    assert name == "requests"
    assert (record["method"], record["template"], record["query"]) == ("GET", "/on/**", ["page", "?"])
    assert (record["rule"], record["interception"], record["authorization"]) == ("intercepted", "set", "replace")
    assert (record["status"], record["upstream_status"], record["tries"], record["reused"]) == (418, 418, 1, True)
    assert record["durations"]["total"] >= record["durations"]["first_byte"] > 0
    assert {"name": "X-Patient", "value": None} in record["request_headers"]


async def test_tells_nothing_that_must_not_be_told(start):
    house = await start(SIDECAR_INSPECT="1")
    secret = CANARY.encode()
    house.upstream.on("/keep/", response(302, b"Location: https://x.example/" + secret, b"Set-Cookie: " + secret))
    await house.ask(request("POST", f"/keep/{CANARY}?{CANARY}&q={CANARY}", b"Cookie: " + secret, body=secret))
    await house.get("/on/../x")
    await house.get("/closed/1")
    answer = await house.get("/_sidecar/requests")
    assert len(answer.json) == 3
    for text in (CANARY, SECRET, TOKEN_CANARY):
        assert text.encode() not in answer.body


async def test_its_own_traffic_is_not_among_the_requests(start):
    house = await start(SIDECAR_INSPECT="1")
    for path in ("/_sidecar/", "/_sidecar/status", "/_sidecar/requests", "/metrics", "/healthz"):
        await house.get(path)
    assert (await house.get("/_sidecar/requests")).json == []


async def test_a_page_that_went_away_is_no_hindrance(start):
    house = await start(SIDECAR_INSPECT="1")
    for _ in range(20):
        stream = await EventStream.open(house)
        await stream.next()
        stream._client.reset()
    await house.warm_up()
    assert len((await house.get("/_sidecar/requests")).json) == 1


async def test_open_pages_do_not_hold_up_a_stop(start, tmp_path: Path):
    house = await start(SIDECAR_INSPECT="1", TMPDIR=str(tmp_path))
    streams = [await EventStream.open(house) for _ in range(3)]
    for stream in streams:
        await stream.next()
    assert len(list(tmp_path.iterdir())) == 1
    house.sidecar.signal()
    for stream in streams:
        await stream.end()
    assert await house.sidecar.wait() == 0
    assert not list(tmp_path.iterdir())


# ---- in Chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    wants_chromium()
    with running_browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


async def test_a_plugin_developer_sees_what_the_sidecar_did(start, browser: Browser):
    house = await start(SIDECAR_INSPECT="1")
    url = f"http://127.0.0.1:{house.sidecar.port}"
    await asyncio.to_thread(browser.open, url)
    assert f"BIOT_BASE_URL={url}" in await asyncio.to_thread(browser.text, "#empty")
    house.upstream.on("/on/", response(200, b"Set-Cookie: " + CANARY.encode()))
    await house.get(f"/on/7?search={CANARY}", b"Cookie: " + CANARY.encode())
    await house.get("/closed/7")
    await asyncio.to_thread(look, browser)
    assert not browser.complaints()


def look(browser: Browser) -> None:
    """At the list, the details, the panels; and ask what would become of a request."""
    browser.until(lambda: len(browser.rows()) == 2)
    assert "/closed/** closed 403 sidecar" in browser.rows()[0]
    assert "/on/**?search intercepted set 200" in browser.rows()[1]
    browser.press("j", "j", "\ue007")
    details = browser.text("#details")
    assert "Cookie •••" in details
    assert "Set-Cookie •••" in details
    browser.until(lambda: "valid" in browser.text("#token") and "intercepted\n1" in browser.text("#rules"))
    assert " start " in browser.text("#token")
    browser.press("e", *"/client/1", "\ue007")
    browser.until(lambda: "as the plugin says" in browser.text("#explain .body"))
    for text in (CANARY, SECRET, TOKEN_CANARY):
        assert text not in browser.driver.page_source
