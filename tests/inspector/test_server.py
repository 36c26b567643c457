"""The inspector's web server, asked by a real client over its unix socket."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from biot_sidecar.inspector.recorder import Recorder
from biot_sidecar.inspector.server import make_app, start

from tests.inspector.examples import finished

SECRET = "canary-7f3a"
DEADLINE = 40.0


class Event:
    """One server-sent event, or a comment."""

    def __init__(self, block: str) -> None:
        lines = dict(line.split(": ", 1) for line in block.removesuffix("\n\n").split("\n"))
        self.name = lines.get("event", "")
        self.comment = lines.get("")
        self.data: Any = json.loads(lines["data"]) if "data" in lines else None

    @property
    def statuses(self) -> list[int]:
        return [record["status"] for record in self.data["records"]]


class Inspector:
    """A running one, and a client of it."""

    def __init__(self, recorder: Recorder, runner: web.AppRunner, http: aiohttp.ClientSession, path: Path) -> None:
        self.recorder = recorder
        self.runner = runner
        self.http = http
        self.path = path
        self.mistakes: list[BaseException] = []


def client(path: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(path))


@pytest.fixture
async def inspector(tmp_path: Path) -> AsyncIterator[Inspector]:
    recorder, path = Recorder(), tmp_path / "inspector.sock"
    mistakes: list[BaseException] = []
    runner = await start(str(path), recorder, mistakes.append)
    async with client(str(path)) as http:
        it = Inspector(recorder, runner, http, path)
        it.mistakes = mistakes
        yield it
    await runner.cleanup()
    assert not mistakes


async def next_event(response: aiohttp.ClientResponse) -> Event:
    async with asyncio.timeout(DEADLINE):
        return Event((await response.content.readuntil(b"\n\n")).decode())


async def until(holds: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.01)


# ---- the page


async def test_serves_the_page_and_all_it_names(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        addresses = addresses_in(await response.text())
    assert {"/_sidecar/assets/app.js", "/_sidecar/assets/app.css", "/_sidecar/assets/icon.svg"} <= addresses
    for address in addresses:
        async with inspector.http.get(address) as response:
            assert response.status == 200, address


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("app.js", "text/javascript"), ("app.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
async def test_names_the_type_of_each_part(inspector: Inspector, name: str, content_type: str) -> None:
    async with inspector.http.get(f"/_sidecar/assets/{name}") as response:
        assert response.content_type == content_type


def test_no_two_scripts_give_a_name_twice() -> None:
    """They share one scope, where a second function would silently take the first one's place."""
    texts = [
        file.read_text()
        for file in files("biot_sidecar.inspector").joinpath("static").iterdir()
        if file.name.endswith(".js")
    ]
    names = [name for text in texts for name in re.findall(r"^(?:const|function|class) (\w+)", text, re.MULTILINE)]
    assert len(names) > 30
    assert not [name for name, count in Counter(names).items() if count > 1]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in files("biot_sidecar.inspector").joinpath("static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file.name
        assert "https://" not in text, file.name


def test_no_part_of_the_page_makes_markup_out_of_text() -> None:
    for file in files("biot_sidecar.inspector").joinpath("static").iterdir():
        text = file.read_text()
        for sink in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "onclick=",
        ):
            assert sink not in text, (file.name, sink)


@pytest.mark.parametrize("path", ["/_sidecar/", "/_sidecar/assets/app.js", "/_sidecar/requests", "/_sidecar/nothing"])
async def test_every_answer_is_guarded(inspector: Inspector, path: str) -> None:
    async with inspector.http.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
        for directive in ("img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
            assert directive in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "biot-sidecar"


async def test_leads_to_the_page_without_the_final_slash_too(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar", allow_redirects=False) as response:
        assert response.status == 308
        assert response.headers["Location"] == "/_sidecar/"


@pytest.mark.parametrize(
    "path",
    [
        "/_sidecar/assets/",
        "/_sidecar/assets/index.html",
        "/_sidecar/assets/../server.py",
        "/_sidecar/assets/%2e%2e/x",
        "/",
    ],
)
async def test_serves_no_other_file(inspector: Inspector, path: str) -> None:
    async with inspector.http.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/_sidecar/nothing", "SIDECAR_NOT_FOUND"), ("POST", "/_sidecar/requests", "SIDECAR_METHOD_REFUSED")],
)
async def test_refuses_in_the_shape_of_biots_errors(inspector: Inspector, method: str, path: str, code: str) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    async with inspector.http.request(method, path, headers=headers) as response:
        assert response.headers["Proxy-Status"].startswith("biot-sidecar; error=")
        error = await response.json()
    assert (error["code"], error["serviceName"], error["traceId"]) == (code, "biot-sidecar", trace_id)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/_sidecar/", "/_sidecar/events", "/_sidecar/requests"])
async def test_answers_only_get_and_head(inspector: Inspector, method: str, path: str) -> None:
    async with inspector.http.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/_sidecar/", "/_sidecar/events", "/_sidecar/requests"])
async def test_head_is_get_without_its_body(inspector: Inspector, path: str) -> None:
    async with inspector.http.head(path) as response:
        assert response.status == 200
        assert not await response.read()
        told = response.content_type
    async with inspector.http.get(path) as response:
        assert response.content_type == told


def test_only_its_owner_may_use_the_socket(inspector: Inspector) -> None:
    assert stat.S_IMODE(inspector.path.stat().st_mode) == 0o600


# ---- the records


async def test_lists_the_requests_as_json(inspector: Inspector) -> None:
    inspector.recorder.finished(finished(status=201, query=b"page=" + SECRET.encode()))
    inspector.recorder.finished(finished(status=404))
    async with inspector.http.get("/_sidecar/requests") as response:
        assert response.content_type == "application/json"
        text = await response.text()
    assert [record["status"] for record in json.loads(text)] == [201, 404]
    assert json.loads(text)[0]["query"] == ["page"]
    assert SECRET not in text


async def test_streams_what_was_and_then_what_comes(inspector: Inspector) -> None:
    inspector.recorder.finished(finished(status=201))
    async with inspector.http.get("/_sidecar/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        snapshot = await next_event(response)
        inspector.recorder.finished(finished(status=202))
        news = await next_event(response)
    assert (snapshot.name, snapshot.statuses) == ("snapshot", [201])
    assert (news.name, news.statuses, news.data["missed"]) == ("requests", [202], 0)


async def test_a_line_break_in_a_value_does_not_break_the_stream(inspector: Inspector) -> None:
    inspector.recorder.finished(finished(request_headers=[(b"User-Agent", b"a\r\n\r\ndata: b\xe2\x80\xa8")]))
    async with inspector.http.get("/_sidecar/events") as response:
        snapshot = await next_event(response)
    assert snapshot.data["records"][0]["request_headers"][0]["value"] == "a\r\n\r\ndata: b\u2028"


async def test_what_comes_at_once_is_told_at_once(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/events") as response:
        await next_event(response)
        for status in range(200, 250):
            inspector.recorder.finished(finished(status=status))
        assert (await next_event(response)).statuses == list(range(200, 250))


async def test_tells_a_slow_page_how_many_it_missed(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/events") as response:
        await next_event(response)
        for _ in range(507):
            inspector.recorder.finished(finished())
        news = await next_event(response)
    assert news.data["missed"] == 7
    assert len(news.data["records"]) == 500


async def test_forgets_a_page_that_went_away(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/events") as response:
        await next_event(response)
        assert inspector.recorder.watchers == 1
        response.close()
    await until(lambda: inspector.recorder.watchers == 0)


async def test_shows_in_silence_that_the_stream_lives(tmp_path: Path) -> None:
    runner = web.AppRunner(make_app(Recorder(), heartbeat=0.01), access_log=None)
    await runner.setup()
    path = str(tmp_path / "socket")
    await web.UnixSite(runner, path).start()
    async with client(path) as http, http.get("/_sidecar/events") as response:
        await next_event(response)
        assert (await next_event(response)).comment == "still here"
        assert (await next_event(response)).comment == "still here"
    await runner.cleanup()


# ---- stopping


async def test_streams_end_when_the_recorder_closes(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/events") as response:
        await next_event(response)
        inspector.recorder.close()
        async with asyncio.timeout(DEADLINE):
            assert await response.content.read() == b""
    async with inspector.http.get("/_sidecar/requests") as response:
        assert response.status == 200


async def test_cleaning_up_ends_the_streams(inspector: Inspector) -> None:
    async with inspector.http.get("/_sidecar/events") as response:
        await next_event(response)
        await inspector.runner.cleanup()
        assert await response.content.read() == b""
    with pytest.raises(aiohttp.ClientConnectorError):
        await inspector.http.get("/_sidecar/")


async def test_a_mistake_is_reported_and_answered_with_500(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Recorder):
        def records(self) -> Any:
            raise LookupError(SECRET)

    path, mistakes = str(tmp_path / "socket"), list[BaseException]()
    runner = await start(path, Broken(), mistakes.append)
    async with client(path) as http, http.get("/_sidecar/requests") as response:
        assert response.status == 500
        assert SECRET not in await response.text()
    await runner.cleanup()
    assert [type(mistake) for mistake in mistakes] == [LookupError]
    assert SECRET not in "".join(capfd.readouterr())


def addresses_in(html: str) -> set[str]:
    """Everything the page loads or leads to."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update(value for name, value in attrs if name in {"src", "href"} and value is not None)

    Reader().feed(html)
    return found
