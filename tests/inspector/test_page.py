"""The page in real headless Chromium: what a plugin developer sees and does."""

from __future__ import annotations

import re
import time

import pytest
from biot_sidecar.errors import Code
from biot_sidecar.routing.route import Route
from biot_sidecar.timestamps import iso

from tests.inspector.browser import Browser
from tests.inspector.desk import Desk, sidecar_status
from tests.inspector.examples import AT, FILES, OBSERVED, TRACE, finished, verdict
from tests.support import wants

if wants.importable("selenium"):
    from selenium.webdriver.common.keys import Keys

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
RTL = "\u202etxt.exe"


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Browser:
    """The page, live."""
    browser.open(desk.url)
    return browser


def show(page: Browser, desk: Desk, *statuses: int) -> None:
    """Requests with these statuses, the last one on top."""
    before = len(page.rows())
    desk.show(*(finished(status=status, upstream_status=status) for status in statuses))
    page.until(lambda: len(page.rows()) == before + len(statuses))


# ---- the list


def test_says_how_to_begin_while_there_is_nothing_to_show(page: Browser, desk: Desk) -> None:
    assert "No requests yet." in page.text("#empty")
    assert f"BIOT_BASE_URL={desk.url}" in page.text("#empty")


def test_shows_a_request_as_it_finishes(page: Browser, desk: Desk) -> None:
    desk.show(finished(query=b"page=canary-7f3a", tries=2))
    page.until(page.rows)
    row = page.rows()[0]
    for part in ("PATCH", "/organization/v1/users/patients/{id}?page", "patient updates run interceptors", "set"):
        assert part in row
    assert row.endswith("200 50 ms 2 1m 01s")
    assert page.text("#count") == "1 request"
    assert "canary-7f3a" not in page.driver.page_source


def test_shows_what_finished_before_the_page_was_opened(browser: Browser, desk: Desk) -> None:
    desk.show(finished(status=201), finished(status=202))
    browser.open(desk.url)
    browser.until(lambda: len(browser.rows()) == 2)
    assert "202" in browser.rows()[0]


def test_shows_where_the_time_went(page: Browser, desk: Desk) -> None:
    desk.show(finished(token_wait=0.005, connect=0.002, first_byte=0.03))
    page.until(page.rows)
    bar = page.find("#list .bar")
    assert bar.get_attribute("title") == "token wait 5.0 ms, connect 2.0 ms, first byte 30 ms, rest 13 ms"
    widths = [part.size["width"] for part in page.all("#list .bar i")]
    assert widths[2] == max(widths)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": 403, "code": Code.ROUTE_DENIED, "refused": "deny"}, "403 sidecar"),
        ({"status": 0, "client_gone": True}, "gone"),
        ({"cut": True}, "200 cut"),
        ({"verdict": OBSERVED}, "200 would deny"),
        ({"verdict": None, "status": 421, "code": Code.HOST_REFUSED, "refused": "host"}, "refused: host"),
    ],
)
def test_marks_what_did_not_go_its_usual_way(page: Browser, desk: Desk, facts: dict[str, object], words: str) -> None:
    desk.show(finished(**facts))
    page.until(page.rows)
    assert words in page.rows()[0]


def test_keeps_no_more_than_the_last_five_hundred(page: Browser, desk: Desk) -> None:
    desk.show(*(finished() for _ in range(300)))
    page.until(lambda: len(page.rows()) == 300)
    desk.show(*(finished() for _ in range(300)))
    page.until(lambda: page.text("#count") == "500 requests")
    assert len(page.rows()) == 500


@pytest.mark.slow
def test_a_long_session_does_not_grow(page: Browser, desk: Desk) -> None:
    def newest() -> str:
        # Elements that the driver has handed out live on: none may be asked for here.
        return str(page.run("return document.querySelector('#list td.status')?.textContent ?? ''"))

    def work(batches: int) -> dict[str, float]:
        for _ in range(batches):
            desk.show(*(finished(status=200) for _ in range(400)), finished(status=418))
            page.until(lambda: "418" in newest())
            page.press("j", Keys.ENTER, Keys.ESCAPE)
            desk.show(finished(status=200))
            page.until(lambda: "418" not in newest())
        return page.holdings()

    before, after = work(3), work(9)
    assert after["nodes"] < 1.02 * before["nodes"]
    assert after["listeners"] < 1.02 * before["listeners"]
    assert after["heap"] < 1.25 * before["heap"]


def test_says_how_many_requests_were_too_many_at_once(page: Browser, desk: Desk) -> None:
    desk.show(*(finished() for _ in range(510)))
    page.until(lambda: page.text("#count") == "500 requests, 10 not shown (too many at once)")


# ---- filter


def test_the_filter_holds_for_what_comes_later(page: Browser, desk: Desk) -> None:
    show(page, desk, 200)
    page.press("/", *"status:5xx")
    page.until(lambda: not page.rows())
    assert "No request matches the filter." in page.text("#empty")
    desk.show(finished(status=204), finished(status=502))
    page.until(lambda: page.text("#count") == "1 of 3 requests")
    assert "502" in page.rows()[0]


def test_a_button_clears_a_filter_that_leaves_nothing(page: Browser, desk: Desk) -> None:
    show(page, desk, 200)
    page.press("/", *"zzz")
    page.until(lambda: not page.rows())
    page.find("#empty button").click()
    page.until(page.rows)
    assert page.find("#filter").get_property("value") == ""


# ---- pause and clear


def test_a_paused_list_stands_still_and_catches_up(page: Browser, desk: Desk) -> None:
    show(page, desk, 200)
    page.press("p")
    assert page.find("#pause").get_attribute("aria-pressed") == "true"
    desk.show(finished(status=201), finished(status=202))
    page.until(lambda: page.text("#link") == "paused, 2 new ones")
    assert len(page.rows()) == 1
    page.find("#pause").click()
    page.until(lambda: len(page.rows()) == 3)
    assert page.text("#link") == "live"
    assert "202" in page.rows()[0]


def test_what_was_cleared_does_not_come_back_with_the_stream(page: Browser, desk: Desk) -> None:
    show(page, desk, 200, 201)
    page.press("c")
    page.until(lambda: not page.rows())
    desk.drop_streams()
    page.until(lambda: page.text("#link") == "reconnecting")
    desk.show(finished(status=207))
    page.until(lambda: page.text("#link") == "live")
    page.until(page.rows)
    assert len(page.rows()) == 1
    assert "207" in page.rows()[0]
    assert all("/_sidecar/" in complaint for complaint in page.complaints())


# ---- details


def test_shows_the_details_of_a_request_with_masked_values(page: Browser, desk: Desk) -> None:
    desk.show(
        finished(
            code=Code.UPSTREAM_TIMEOUT,
            status=504,
            upstream_status=503,
            tries=3,
            retries=("status", "connect"),
            query=b"page=canary-7f3a&limit=1",
            request_headers=[(b"Authorization", b"Bearer canary-7f3a"), (b"Accept", b"text/plain")],
            response_headers=[(b"Location", b"https://s3.example/x?canary-7f3a"), (b"Set-Cookie", b"canary-7f3a")],
        )
    )
    page.until(page.rows)
    page.find("#list tbody tr").click()
    details = page.text("#details")
    for words in (
        "504; by the sidecar: SIDECAR_UPSTREAM_TIMEOUT; BioT said 503",
        "3, again after: status, connect",
        "page, limit",
        "config/routes.yaml:9",
        "Authorization •••",
        "Accept text/plain",
        "Location https://s3.example/…",
        "Set-Cookie •••",
        "first byte 40 ms",
        TRACE,
    ):
        assert words in details.replace("\n", " "), words
    assert "canary-7f3a" not in page.driver.page_source


def test_details_stay_while_new_requests_come(page: Browser, desk: Desk) -> None:
    show(page, desk, 418)
    page.press("j", Keys.ENTER)
    show(page, desk, 200, 201)
    assert "418" in page.text("#details")
    assert "418" in page.text("#list tr[aria-selected=true]")


# ---- keyboard


def test_keys_move_open_and_close(page: Browser, desk: Desk) -> None:
    show(page, desk, 201, 202, 203)
    page.press("j")
    assert selected(page) == "203"
    page.press("j", Keys.ARROW_DOWN, "j")
    assert selected(page) == "201"
    page.press("k")
    assert selected(page) == "202"
    page.press(Keys.HOME)
    assert selected(page) == "203"
    page.press(Keys.END)
    assert selected(page) == "201"
    page.press(Keys.ENTER)
    assert "201" in page.text("#details")
    page.press(Keys.ARROW_UP)
    assert "202" in page.text("#details")
    page.press(Keys.ESCAPE)
    assert not page.find("#details").is_displayed()


def selected(page: Browser) -> str:
    return page.text("#list tr[aria-selected=true] td.status")


def test_keys_pass_over_what_the_filter_hides(page: Browser, desk: Desk) -> None:
    show(page, desk, 200, 500, 200, 500)
    page.press("/", *"status:5xx", Keys.TAB)
    page.find("#list").click()
    page.press(Keys.HOME, "j", "j", "j")
    assert page.find("#list tr[aria-selected=true]").get_attribute("id") == "request-2"


def test_letters_typed_into_a_field_are_no_shortcuts(page: Browser, desk: Desk) -> None:
    show(page, desk, 200)
    page.press("/", *"pjce?")
    assert page.find("#filter").get_property("value") == "pjce?"
    assert page.find("#pause").get_attribute("aria-pressed") == "false"
    page.press(Keys.ESCAPE)
    assert page.find("#filter").get_property("value") == ""
    page.press(Keys.ESCAPE, "j")
    assert selected(page) == "200"


def test_a_question_mark_shows_the_keys(page: Browser) -> None:
    page.press("?")
    assert page.find("#keys").is_displayed()
    page.press(Keys.ESCAPE)
    assert not page.find("#keys").is_displayed()


def test_tells_assistive_programs_what_is_what(page: Browser, desk: Desk) -> None:
    show(page, desk, 200, 201)
    page.press("j")
    grid = page.find("#list")
    assert grid.get_attribute("role") == "grid"
    assert grid.get_attribute("aria-activedescendant") == "request-2"
    assert grid.get_attribute("aria-rowcount") == "3"
    assert page.run("return document.activeElement.id") == "list"
    assert page.find("#link").get_attribute("role") == "status"
    unnamed = "return [...document.querySelectorAll('button, input, select')].filter((one) => one.checkVisibility())"
    assert all(control.accessible_name for control in page.run(unnamed))


# ---- token, rules, explain


def test_shows_the_token_and_its_logins(browser: Browser, desk: Desk) -> None:
    now = time.time()
    desk.sources.said = sidecar_status(
        token={"state": "valid", "obtained": iso(now - 61), "expires": iso(now + 1800)},
        total=2,
        calls_per_login=7.0,
        waits={"count": 1, "total_seconds": 0.4, "longest_seconds": 0.4},
        recent=[
            {"at": iso(now - 900), "reason": "token_not_valid", "outcome": "server_error", "seconds": 10.0, "calls": 0},
            {"at": iso(now - 61), "reason": "string", "outcome": "success", "seconds": 0.4, "calls": 7},
        ],
    )
    browser.open(desk.url)
    browser.until(lambda: "valid" in browser.text("#token"))
    token = browser.text("#token").replace("\n", " ")
    age, left = (
        60 * int(found[1]) + int(found[2])
        for found in (re.search(rf"{words} (\d+)m (\d\d)s", token) for words in ("age", "expires in"))
    )
    late = time.time() - now  # seconds that the page took on a busy machine
    assert 61 <= age <= 61 + late
    assert 1800 >= left >= 1800 - late - 1
    assert "logins 2; 7 calls for each; 1 call waited, 400 ms at most" in token
    logins = [row.text for row in browser.all("#token tbody tr")]
    assert logins[0].endswith("string 400 ms 7")
    assert logins[1].endswith("token not valid server error, 10.0 s 0")


def test_says_how_long_logins_are_blocked(browser: Browser, desk: Desk) -> None:
    desk.sources.said = sidecar_status(token={"state": "blocked"}, blocked_until=iso(time.time() + 2990))
    browser.open(desk.url)
    browser.until(lambda: "blocked" in browser.text("#token"))
    assert re.search(r"for 4\dm \d\ds", browser.text("#token"))  # of 50 minutes almost


def test_a_rule_with_its_hits_filters_the_list(browser: Browser, desk: Desk) -> None:
    desk.sources.said = sidecar_status(rules={FILES.name: 3, "unmatched": 0})
    desk.show(finished(), finished(verdict=verdict("/file/v1/files", FILES)))
    browser.open(desk.url)
    browser.until(lambda: len(browser.rows()) == 2 and browser.all("#rules button"))
    assert browser.all("#rules button")[0].text == f"{FILES.name}\n3\nno interceptors"
    browser.run("document.querySelector('#rules button').click()")
    browser.until(lambda: len(browser.rows()) == 1)
    assert "/file/v1/files" in browser.rows()[0]


def test_says_what_each_rule_does(browser: Browser, desk: Desk) -> None:
    does = {
        "interceptors run, one try": {"interception": "on", "retry": "none"},
        "interception as the plugin says, the plugin's own token": {"interception": "client", "authorization": "keep"},
        "no token": {"authorization": "none"},
        "denied": {"deny": "not for plugins", "interception": "on"},
        "no interceptors": {},
    }
    desk.sources.said = sidecar_status(rules=dict.fromkeys(does, 0))
    for route, said in zip(desk.sources.said["routes"], does.values(), strict=True):
        route.update(said)
    browser.open(desk.url)
    browser.until(lambda: len(browser.all("#rules .effect")) == len(does))
    assert [effect.text for effect in browser.all("#rules .effect")] == list(does)


def test_says_that_the_routes_file_is_wrong(page: Browser, desk: Desk) -> None:
    desk.sources.said = sidecar_status(error="routes.yaml:3:1: error: unknown key")
    page.until(lambda: page.all("#rules [role=alert]"))
    assert "routes.yaml:3:1: error: unknown key" in page.text("#rules")


def test_explains_the_selected_request(page: Browser, desk: Desk) -> None:
    desk.sources.explanation = {
        "route": "patient updates run interceptors",
        "source": "config/routes.yaml:9",
        "interception": "on",
        "authorization": "replace",
        "timeout": "60s",
        "retry": "idempotent",
        "deny": None,
        "operation": None,
        "warnings": ["no known BioT operation"],
    }
    show(page, desk, 200)
    page.press("j", "e")
    page.until(lambda: "routes.yaml:9" in page.text("#explain .body"))
    assert desk.sources.asked == [("PATCH", "/organization/v1/users/patients/{id}")]
    said = page.text("#explain .body").replace("\n", " ")
    assert "operation unknown interception on authorization replace timeout 60s retry idempotent" in said
    assert "no known BioT operation" in said


def test_explains_a_path_that_was_typed_and_is_refused(page: Browser, desk: Desk) -> None:
    desk.sources.explanation = {
        "route": "keys",
        "source": "r:1",
        "deny": "plugins must not manage keys",
        "operation": None,
        "warnings": [],
    }
    page.press("e", *"/a?b=c&d", Keys.ENTER)
    page.until(lambda: "Refused: plugins must not manage keys" in page.text("#explain .body"))
    assert desk.sources.asked == [("GET", "/a?b=c&d")]
    assert "interception" not in page.text("#explain .body")


# ---- what may come


def test_hostile_content_is_shown_as_text(browser: Browser, desk: Desk) -> None:
    route = Route(name=HOSTILE, source=HOSTILE)
    desk.sources.said = sidecar_status(rules={HOSTILE: 1}, error=HOSTILE)
    desk.show(
        finished(
            verdict=verdict(HOSTILE, route),
            trace_id=HOSTILE,
            request_headers=[(b"User-Agent", HOSTILE.encode()), (HOSTILE.encode(), b"x")],
        )
    )
    browser.open(desk.url)
    browser.until(lambda: browser.rows() and browser.all("#rules button"))
    browser.find("#list tbody tr").click()
    assert HOSTILE in browser.rows()[0]
    assert HOSTILE in browser.text("#details")
    assert HOSTILE in browser.text("#rules")
    assert browser.driver.title == "biot-sidecar inspector"
    assert all("/_sidecar/assets/" in str(script.get_attribute("src")) for script in browser.all("script"))
    assert not browser.all("main img")


def test_characters_that_reorder_or_hide_are_spelled_out(page: Browser, desk: Desk) -> None:
    desk.show(finished(verdict=verdict(f"/a/{RTL}/\u200b\x07\x1b[31m")))
    page.until(page.rows)
    assert "/a/⟨U+202E⟩txt.exe/⟨U+200B⟩⟨U+0007⟩⟨U+001B⟩[31m" in page.rows()[0]


def test_very_long_content_does_not_break_the_layout(browser: Browser, desk: Desk) -> None:
    endless = "x" * 20_000
    desk.sources.said = sidecar_status(rules={endless: 1})
    desk.show(
        finished(
            verdict=verdict("/" + endless, Route(name=endless, source=endless)),
            request_headers=[(endless.encode(), b"y"), (b"User-Agent", endless.encode())],
        )
    )
    browser.open(desk.url)
    browser.until(lambda: browser.rows() and browser.all("#rules button"))
    browser.find("#list tbody tr td").click()
    assert browser.find("#list tbody tr").size["height"] < 40
    wide = "return ['html', '#scroll', '#details', 'aside'].filter((one) => {"
    wide += "const box = document.querySelector(one); return box.scrollWidth > box.clientWidth + 1; })"
    assert browser.run(wide) == []


def test_nothing_from_elsewhere_is_loaded(page: Browser) -> None:
    page.run("const it = document.createElement('img'); it.src = 'data:image/gif,'; document.body.append(it)")
    page.until(lambda: any("Content Security Policy" in complaint for complaint in page.complaints()))


@pytest.mark.parametrize(("scheme", "dark"), [("dark", True), ("light", False)])
def test_is_light_or_dark_as_the_system_is(page: Browser, scheme: str, dark: bool) -> None:
    page.emulate(prefers_color_scheme=scheme)
    colour = page.find("body").value_of_css_property("background-color")
    first = int(colour.partition("(")[2].partition(",")[0])
    assert (first < 64) is dark


def test_nothing_moves_for_those_who_want_it_so(page: Browser, desk: Desk) -> None:
    page.emulate(prefers_reduced_motion="reduce")
    show(page, desk, 200)
    assert page.find("#list tbody tr").value_of_css_property("animation-name") == "none"


def test_says_when_the_sidecar_is_gone(page: Browser, desk: Desk) -> None:
    desk.drop_streams()
    page.until(lambda: page.text("#link") == "reconnecting")
    assert all("/_sidecar/events" in complaint for complaint in page.complaints())


# ---- what belongs together, and a call to paste


def test_the_calls_of_one_trace_are_told_as_a_story_in_their_order(page: Browser, desk: Desk) -> None:
    one = finished(method=b"GET", status=404, upstream_status=404)
    other = finished(method=b"PATCH", at=one.at + 0.25)
    desk.show(one, other, finished(method=b"DELETE", trace_id="f" * 32))
    page.until(lambda: len(page.rows()) == 3)
    page.all("#list tbody tr")[1].click()
    page.until(lambda: page.all("#details .story"))
    assert page.text(".of-trace h3") == "2 calls of this trace, 300 ms in all"
    story = [" ".join(item.text.split()) for item in page.all(".story li")]
    assert story == [
        "+0.0 ms GET /organization/v1/users/patients/{id} 404 50 ms",
        "+250 ms PATCH /organization/v1/users/patients/{id} 200 this one 50 ms",
    ]


def test_a_call_alone_in_its_trace_has_no_story(page: Browser, desk: Desk) -> None:
    show(page, desk, 200)
    page.all("#list tbody tr")[0].click()
    page.until(lambda: page.all("#details .head"))
    assert not page.all("#details .story")


def test_copy_as_curl_has_placeholders_for_every_value_and_the_token(page: Browser, desk: Desk) -> None:
    headers = ((b"Content-Type", b"application/json"), (b"X-Key", b"canary-7f3a"), (b"a`id`b", b"x"), (b"Host", b"me"))
    desk.show(finished(query=b"searchRequest=canary-7f3a&it's!=1", request_bytes=9, request_headers=headers))
    page.until(page.rows)
    page.all("#list tbody tr")[0].click()
    page.until(lambda: page.all("#details .head"))
    next(button for button in page.all("#details .head button") if button.text == "Copy as curl").click()
    page.until(lambda: page.all(".copied textarea"))
    assert (page.find(".copied textarea").get_attribute("value") or "").split(" \\\n  ") == [
        'curl -X PATCH "$BIOT_BASE_URL/organization/v1/users/patients/$ID?searchRequest=$SEARCH_REQUEST&$KEY=$VALUE"',
        '-H "authorization: Bearer $TOKEN"',
        "-H 'Content-Type: application/json'",
        '-H "X-Key: $X_KEY"',
        '-d "$BODY"',
    ]


def test_an_event_its_calls_and_its_reply_are_one_story(page: Browser, desk: Desk) -> None:
    call_inside = finished(method=b"GET", at=AT + 0.1)
    desk.show_event(about="NOTIFICATION patient._update", status=200, at=AT, seconds=0.3, trace_id=TRACE)
    desk.show(call_inside)
    page.until(lambda: len(page.rows()) == 2)
    assert "EVENT NOTIFICATION patient._update" in page.rows()[1]
    page.all("#list tbody tr")[1].click()
    page.until(lambda: page.all("#details .story"))
    assert page.text(".of-trace h3") == "An event and its 1 call, 300 ms in all"
    assert [" ".join(item.text.split()) for item in page.all(".story li")] == [
        "+0.0 ms NOTIFICATION patient._update this one",
        "+100 ms GET /organization/v1/users/patients/{id} 200 50 ms",
        "+300 ms the plugin replied 200 300 ms",
    ]
    assert len(page.all("#details .head button")) == 1  # to close; an event is no call to explain or to paste
