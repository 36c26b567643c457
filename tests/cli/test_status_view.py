"""A sidecar's state as lines for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from biot_sidecar.cli.colors import Palette
from biot_sidecar.cli.status_view import Row, heading, rates_between, requests, routes

NOW = datetime(2026, 11, 30, 10, 40, tzinfo=UTC).timestamp()
READY = {"ready": True, "reason": None, "token": {"state": "valid", "last_error": None}}


def route(name: str = "a", hits: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "hits": hits,
        "last_used": None,
        "interception": "off",
        "authorization": "replace",
        "timeout": 60.0,
        "deny": None,
        "would_deny": None,
    } | more


def status(**more: Any) -> dict[str, Any]:
    return {
        "build": {"version": "9.9"},
        "upstream": {"url": "https://api.example", "proxy": None},
        "token": {"state": "valid", "obtained": "2026-11-30T10:37:00Z", "expires": "2026-11-30T12:41:05Z"},
        "secret_key": None,
        "logins": {
            "total": 3,
            "by_outcome": {"success": 2, "rejected": 0, "timeout": 1},
            "calls_per_login": 12.5,
            "waits": {"count": 0, "total_seconds": 0.0, "longest_seconds": 0.0},
            "blocked_until": None,
        },
        "clock": {"offset_seconds": None},
        "reload": {"at": "2026-11-30T10:39:00Z", "error": None},
        "routes": [route()],
    } | more


def head(ready: Any = READY, **more: Any) -> list[Row]:
    return list(heading(status(**more), ready, "127.0.0.1:8787", NOW))


def test_the_heading_of_a_healthy_sidecar():
    assert [row.text for row in head()] == [
        "biot-sidecar 9.9 at 127.0.0.1:8787 -> https://api.example",
        "  ready        yes",
        "  token        valid, obtained 3m ago, expires in 2h1m",
        "  logins       3 (2 success, 1 timeout), 12.5 calls for each",
        "  routes file  read 1m ago",
    ]
    assert {row.style for row in head()[1:]} == {"good", ""}


@pytest.mark.parametrize(
    ("more", "row"),
    [
        (
            {"upstream": {"url": "https://a", "proxy": "proxy:3128"}},
            Row("biot-sidecar 9.9 at 127.0.0.1:8787 -> https://a via proxy:3128", "bold"),
        ),
        (
            {"ready": {"ready": False, "reason": "logins are blocked"}},
            Row("  ready        no: logins are blocked", "bad"),
        ),
        (
            {
                "token": {"state": "none", "obtained": None, "expires": None},
                "ready": READY | {"token": {"last_error": "BioT is away"}},
            },
            Row("  token        none; last error: BioT is away", "warning"),
        ),
        ({"secret_key": {"expires": None, "keys": 1}}, Row("  secret key   has no end")),
        (
            {"secret_key": {"expires": "2026-12-20T10:40:00Z", "keys": 2}},
            Row("  secret key   ends at 2026-12-20T10:40:00Z, in 20d, the first of 2", "warning"),
        ),
        (
            {"secret_key": {"expires": "2026-11-30T20:45:00Z", "keys": 1}},
            Row("  secret key   ends at 2026-11-30T20:45:00Z, in 10h5m", "bad"),
        ),
        ({"clock": {"offset_seconds": 31.5}}, Row("  clock        BioT's is 31.5s ahead of ours", "warning")),
        ({"clock": {"offset_seconds": -0.2}}, Row("  clock        BioT's is 0.2s behind ours", "")),
        (
            {"reload": {"at": None, "error": "r.yaml:1:1: error: no"}},
            Row("  routes file  wrong, the old one is in force: r.yaml:1:1: error: no", "bad"),
        ),
    ],
)
def test_what_is_out_of_the_ordinary_is_said_in_its_colour(more, row):
    ready = more.pop("ready", READY)
    assert row in head(ready, **more)


def test_blocked_logins_are_said_as_long_as_they_last():
    logins = status()["logins"] | {"blocked_until": "2026-11-30T10:41:00Z"}
    assert Row("               blocked for another 1m", "bad") in head(logins=logins)
    assert head(logins=logins | {"blocked_until": "2026-11-30T10:39:59Z"}) == head()


def test_waits_are_said_with_the_longest():
    waits = {"count": 4, "total_seconds": 2.0, "longest_seconds": 1.25}
    assert "; 4 calls waited, 1.25s at the longest" in head(logins=status()["logins"] | {"waits": waits})[3].text


def test_nothing_of_what_a_sidecar_says_steers_the_terminal():
    rows = head({"ready": False, "reason": "\x1b[2Jgone"}, upstream={"url": "\x1b]0;x\x07", "proxy": None})
    rows += routes(status(routes=[route("\x1b[31mred", deny="\x1b[0m")]), NOW)
    assert "\x1b" not in "".join(row.text for row in rows)


def test_routes_say_how_often_and_what():
    table = [
        route("patients", 7, last_used="2026-11-30T10:39:30Z", interception="on", timeout=120.0),
        route("keys", deny="not for plugins"),
        route("own", authorization="keep"),
        route("unmatched", would_deny=3),
    ]
    assert [row.text for row in routes(status(routes=table), NOW)] == [
        "  route         calls     last  interception  what else",
        "  patients          7      30s  on            timeout 2m",
        "  keys              0        -  off           deny: not for plugins",
        "  own               0        -  off           authorization keep",
        "  unmatched         0        -  off           would deny 3",
    ]


def test_rates_are_the_calls_since_the_look_before():
    before = status(routes=[route("a", 10), route("b", 50)])
    after = status(routes=[route("a", 15), route("b", 3), route("new", 2)])
    assert rates_between(before, after, 2.0) == {"a": 2.5, "b": 0.0, "new": 1.0}
    assert rates_between(before, after, 0.0) == {}
    assert [row.text.split()[1:3] for row in routes(after, NOW, {"a": 2.5})][1] == ["15", "2.5"]


def test_the_latest_request_comes_first_in_the_colour_of_its_status():
    def record(number: int, status: int, **more: Any) -> dict[str, Any]:
        return {
            "number": number,
            "at": NOW - 3,
            "method": "GET",
            "template": "/a/{id}",
            "rule": "r",
            "interception": "none",
            "status": status,
            "durations": {"total": 0.0123},
            "token_age": 60.0,
            "tries": 1,
        } | more

    shown = list(requests([record(1, 200), record(2, 404), record(3, 502, tries=2), record(4, 0, token_age=None)], NOW))
    assert [row.style for row in shown[1:]] == ["bad", "bad", "warning", ""]
    assert shown[1].text.split()[:4] == ["3s", "gone", "12", "ms"]
    assert shown[2].text == "      3s     502     12 ms      60s  GET /a/{id} [r, interception none] (2 tries)"


def test_a_row_is_cut_to_the_terminal_before_it_gets_its_colour():
    assert Row("abcdef", "bad").shown(Palette(colored=True), 3) == "\x1b[31mabc\x1b[0m"
    assert Row("abcdef", "bad").shown(Palette(colored=False), 3) == "abc"
    assert Row("abcdef").shown(Palette(colored=True)) == "abcdef"
