"""The simulator's page: who may ask for it, and in real Chromium an event's story, its curl, and sending it again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import pytest

from tests.deploy.programs import SECRET, USER, call, simulator
from tests.inspector.browser import Browser, running_browser, wants_chromium

PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
PRE = "pre PATCH /organization/v1/users/patients/{id}"
NOBODY = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8788"}, 200),
        ({"Host": "simulator:8788"}, 200),
        ({"Host": "[::1]:8788"}, 200),
        ({"Host": "rebound.example:8788"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://elsewhere.example"}, 403),
    ],
)
async def test_no_page_of_another_site_may_ask(
    http: aiohttp.ClientSession, headers: dict[str, str], status: int
) -> None:
    for path in ("/_simulator/", "/_simulator/events", "/_simulator/requests"):
        async with http.get(path, headers=headers) as response:
            assert response.status == status
    async with http.put("/_simulator/initiator", json={"id": "u1"}, headers=headers) as response:
        assert response.status == status


async def test_the_page_runs_nothing_but_its_own_scripts(http: aiohttp.ClientSession) -> None:
    async with http.get("/_simulator") as response:
        assert str(response.url).endswith("/_simulator/")
        text = await response.text()
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    for part in [piece.partition('"')[0] for piece in text.split('src="')[1:]]:
        async with http.get(part) as response:
            assert response.status == 200, part


async def test_whom_events_name_can_be_chosen(http: aiohttp.ClientSession) -> None:
    async with http.put("/_simulator/initiator", json={"id": "d1", "tokenType": "DEVICE"}) as response:
        assert await response.json() == {"initiator": {"id": "d1", "tokenType": "DEVICE"}}
    async with http.put("/_simulator/initiator", json={"id": "d1", "tokenType": "GOD"}) as response:
        assert response.status == 400
    async with http.delete("/_simulator/initiator") as response:
        assert response.status == 204
    async with http.get("/_simulator/initiator") as response:
        assert await response.json() == {"initiator": None}


async def test_an_event_is_subscribed_to_in_a_few_words(http: aiohttp.ClientSession) -> None:
    fixed = PRE.replace("{id}", "42")
    for event, shown in (
        ("patient.*", {"type": "NOTIFICATION", "entityName": "patient", "actionName": "*"}),
        (PRE, {"type": "PRE_REQUEST", "apiId": "PATCH/organization/v1/users/patients/{id}"}),
        (fixed, {"type": "PRE_REQUEST", "apiId": "PATCH/organization/v1/users/patients/{id}"}),
        ("adapt patient", {"type": "ADAPT_ENTITY", "entityName": "patient"}),
        ("adapt GET /device/v2/devices/{id}", {"type": "ADAPT_ENTITY", "entityName": "device"}),
    ):
        async with http.post("/_simulator/interceptions", json={"event": event, "url": NOBODY}) as response:
            registered = await response.json()
            assert (response.status, {name: registered[name] for name in shown}) == (201, shown)
    for event in ("patient._updated", "pre GET /nowhere"):
        async with http.post("/_simulator/interceptions", json={"event": event, "url": NOBODY}) as response:
            assert response.status == 400


# ---- in Chromium


class Plugin(BaseHTTPRequestHandler):
    """Calls BioT in each event, with the event's trace, and gives interceptors their request back."""

    biot = ""
    token = ""

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        trace = {"traceparent": self.headers["traceparent"]}
        call("GET", self.biot + PATIENT, authorization=self.token, **trace)
        body = json.dumps({"request": event["request"]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def biot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulator that has sent one event to a plugin, and one to nobody."""
    wants_chromium()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plugin)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    with simulator(tmp_path_factory.mktemp("biot")) as url:
        login = call("POST", url + "/ums/v2/services/accessToken", {"id": USER, "secretKey": SECRET})
        Plugin.biot, Plugin.token = url, f"Bearer {login['accessToken']}"
        call(
            "POST", url + "/_simulator/interceptions", {"event": PRE, "url": f"http://127.0.0.1:{server.server_port}/"}
        )
        headers = {
            "allow-interception": "1",
            "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
            "authorization": Plugin.token,
        }
        call("PATCH", url + PATIENT, {"age": 43}, **headers)
        yield url
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(biot: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("chromium")) as browser:
        browser.driver.get(biot + "/_simulator/")
        browser.until(lambda: browser.text("#link") == "live")
        browser.until(browser.rows)
        yield browser
        assert not browser.complaints()


def chosen(page: Browser) -> None:
    page.all("#list tbody tr")[-1].click()
    page.until(lambda: page.all("#details .story"))


@pytest.mark.e2e
def test_an_event_is_told_as_a_story_with_the_plugins_calls_inside_it(page: Browser) -> None:
    chosen(page)
    story = [" ".join(item.text.split()) for item in page.all(".story li")]
    assert len(story) == 4
    assert f"PATCH {PATIENT} 200 the call behind it" in story[0]
    assert "before the call PATCH /organization/v1/users/patients/{id} → http://127.0.0.1:" in story[1]
    assert f"GET {PATIENT} 200" in story[2]
    assert "the plugin replied 200" in story[3]
    assert all(item.endswith(" ms") or " s" in item for item in (story[0], story[2], story[3]))
    event, reply = (json.loads(block.text) for block in page.all(".bodies pre"))
    assert (event["request"]["body"], reply["request"]["body"]) == ({"age": 43}, {"age": 43})
    assert Plugin.token.removeprefix("Bearer ") not in page.driver.page_source


@pytest.mark.e2e
def test_copy_as_curl_gives_the_event_without_its_tokens(page: Browser) -> None:
    chosen(page)
    page.find("#details .head button:nth-of-type(2)").click()
    page.until(lambda: page.all(".copied textarea"))
    command = page.find(".copied textarea").get_attribute("value") or ""
    assert command.startswith("curl -X POST 'http://127.0.0.1:")
    assert "-H 'hooktype: INTERCEPTOR_PRE'" in command
    assert "-H 'authorization: Bearer JWT'" in command
    assert "eyJ" not in command


@pytest.mark.e2e
def test_an_event_is_sent_again_with_a_trace_of_its_own(page: Browser, biot: str) -> None:
    chosen(page)
    before = len(page.rows())
    page.find("#details .head button:nth-of-type(1)").click()
    page.until(lambda: len(page.rows()) == before + 1 and page.all(".story li.reply"))
    again = call("GET", biot + "/_simulator/events")["events"][-1]
    assert (again["again"], again["status"]) == (1, 200)
    assert again["traceId"] != "1" * 32
    page.until(lambda: page.all(f"#event-{again['number']}[aria-selected=true]"))


@pytest.mark.e2e
def test_the_one_whom_events_name_is_chosen_on_the_page(page: Browser, biot: str) -> None:
    page.run("const f = document.getElementById('initiator').elements; f.tokenType.value = 'USER';"
             "f.tokenType.dispatchEvent(new Event('change')); f.id.value = 'u-7';")  # fmt: skip
    page.find("#initiator button").click()
    page.until(lambda: "USER u-7" in page.text("#chosen"))
    assert call("GET", biot + "/_simulator/initiator")["initiator"] == {"id": "u-7", "tokenType": "USER"}


@pytest.mark.e2e
@pytest.mark.parametrize("width", [1440, 420])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_off_in_either_theme_wide_or_narrow(page: Browser, width: int, theme: str) -> None:
    chosen(page)
    page.emulate(prefers_color_scheme=theme)
    page.resize(width, 900)
    wider = page.run(
        "return [...document.querySelectorAll('.story li, .head, .bodies pre, #list')]"
        ".filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"
    )
    background = page.run("return getComputedStyle(document.body).backgroundColor")
    page.emulate()
    page.resize(0, 0)
    assert wider == 0
    assert background == {"light": "rgb(245, 246, 247)", "dark": "rgb(20, 23, 26)"}[theme]
