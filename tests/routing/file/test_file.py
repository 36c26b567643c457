"""A routes file that is right becomes the routes it says, however YAML lets one write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from biot_sidecar.routing.file import load
from biot_sidecar.routing.route import Authorization, Interception, Retry
from biot_sidecar.routing.table import DENIED_UNMATCHED
from hypothesis import given
from hypothesis import strategies as st

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "routes.yaml"


def table(text: str):
    loaded = load(text.encode(), "r.yaml")
    assert loaded.table is not None, [str(problem) for problem in loaded.diagnostics]
    return loaded.table


def route(*lines: str):
    """The one route of a file with these lines in its route."""
    return table("\n".join(["version: 1", "routes:", "- name: a", "  match: GET /a", *lines])).routes[0]


def test_the_smallest_file_has_the_contracts_defaults():
    routes = table("version: 1")
    assert routes.routes == ()
    assert routes.deny_unmatched is False
    unmatched = routes.unmatched
    assert (unmatched.name, unmatched.source) == ("unmatched", "r.yaml:1")
    assert unmatched.interception is Interception.OFF
    assert unmatched.authorization is Authorization.REPLACE
    assert unmatched.timeout == 60.0
    assert unmatched.retry is Retry.IDEMPOTENT
    assert unmatched.deny is None


FULL = """\
version: 1
defaults: {interception: client, authorization: keep, timeout: 90s, retry: none}
routes:
  - name: first
    match: ["GET|PUT /file/v1/**", "* /measurement/v1/**"]
    interception: on
    timeout: 2m
  - match: PATCH /a/{id}
    authorization: none
    name: second
    deny: not for plugins
"""


def test_a_route_says_what_differs_from_the_defaults():
    first, second = table(FULL).routes
    assert first.patterns == ("GET|PUT /file/v1/**", "* /measurement/v1/**")
    assert (first.name, first.source) == ("first", "r.yaml:4")
    assert (first.interception, first.authorization) == (Interception.ON, Authorization.KEEP)
    assert (first.timeout, first.retry, first.deny) == (120.0, Retry.NONE, None)
    assert (second.name, second.source) == ("second", "r.yaml:8")
    assert (second.interception, second.authorization) == (Interception.CLIENT, Authorization.NONE)
    assert (second.timeout, second.deny) == (90.0, "not for plugins")


def test_unmatched_deny_denies_what_no_route_matches():
    routes = table("version: 1\ndefaults: {unmatched: deny}\nroutes: [{name: a, match: GET /a}]\n")
    assert routes.verdict(b"GET", b"/a").deny is None
    assert routes.verdict(b"GET", b"/b").deny == DENIED_UNMATCHED


@pytest.mark.parametrize("written", ["on", '"on"', "'on'", "On", "ON", "true", "yes", "Yes"])
def test_on_is_a_word_whatever_yaml_reads_it_as(written):
    assert route(f"  interception: {written}").interception is Interception.ON


@pytest.mark.parametrize("written", ["off", '"off"', "OFF", "false", "no"])
def test_off_is_a_word_whatever_yaml_reads_it_as(written):
    assert route(f"  interception: {written}").interception is Interception.OFF


@pytest.mark.parametrize(("written", "seconds"), [("250ms", 0.25), ("1m30s", 90.0), ('"2h"', 7200.0), ("0.5s", 0.5)])
def test_a_timeout_is_a_duration(written, seconds):
    assert route(f"  timeout: {written}").timeout == seconds


@pytest.mark.parametrize(("written", "name"), [("42", "42"), ("yes", "yes"), ("1:30", "1:30"), ('" a  b "', "a  b")])
def test_a_name_is_the_text_that_is_written(written, name):
    assert table(f"version: 1\nroutes: [{{name: {written}, match: GET /a}}]").routes[0].name == name


@pytest.mark.parametrize(("written", "reason"), [('"no"', "no"), ("'nobody: really'", "nobody: really"), ("n", "n")])
def test_a_reason_in_quotes_may_be_any_text(written, reason):
    assert route(f"  deny: {written}").deny == reason


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffversion: 1\nroutes: []\n",
        "version: 1\r\nroutes:\r\n- name: a\r\n  match: GET /a\r\n",
        "%YAML 1.2\n---\nversion: 1\n...\n",
        '{"version": 1, "routes": [{"name": "a", "match": "* /a", "interception": "on"}]}',
        "version: 1\ndefaults:\nroutes:\ntests:\n",
        "version: '1'\n",
        "? version\n: 1\n",
    ],
)
def test_every_honest_way_to_write_yaml_is_fine(text):
    assert load(text.encode(), "r.yaml").errors == ()


TESTED = """\
version: 1
routes:
  - {name: a, match: GET /ums/v2/users, interception: client, timeout: 2m}
  - {name: b, match: "* /ums/v2/services/**", deny: not yours}
tests:
  - request: GET /ums/v2/users?searchRequest=x
    expect: {route: a, interception: client, authorization: replace, timeout: 120s, retry: idempotent, deny: false}
  - {request: GET /ums/v2/services/1, expect: {deny: true}}
  - {request: GET /ums/v2/services/1, expect: {deny: not yours, route: b}}
  - {request: GET /else, expect: {route: unmatched, deny: null, interception: off}}
  - {request: GET /ums/../v2/users, expect: {deny: true}}
  - {request: "M-SEARCH /else?a={b*}", expect: {route: unmatched}}
"""


def test_tests_that_hold_say_nothing():
    loaded = load(TESTED.encode(), "r.yaml")
    assert loaded.errors == ()
    assert loaded.tests == 6


def test_the_shipped_file_is_right_in_every_way():
    loaded = load(SHIPPED.read_bytes(), "config/routes.yaml")
    assert loaded.diagnostics == ()
    assert loaded.tests > 3


def test_five_thousand_routes_are_read():
    lines = [f"- {{name: n{number}, match: GET /ums/v{number}/{{x}}}}".replace("/{x}", "/x") for number in range(5000)]
    assert len(table("\n".join(["version: 1", "routes:", *lines])).routes) == 5000


@given(st.text(max_size=60))
def test_whatever_stands_in_the_file_is_no_crash(text):
    loaded = load(text.encode("utf-8", "replace"), "r.yaml")
    assert loaded.table is not None or loaded.errors


@given(st.binary(max_size=60))
def test_whatever_bytes_are_in_the_file_are_no_crash(data):
    loaded = load(data, "r.yaml")
    assert loaded.table is not None or loaded.errors


PIECES = st.sampled_from(
    ["version", ": ", "1", "\n", "routes", "- ", "name: a", "match: ", "GET /a", "  ", "[", "]", "{", "}", ",", "*",
     "&x", '"', "'", "tests", "defaults", "deny", "interception: on", "\t", "#", "---\n", "!!str", "|", "<<: "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=20).map("".join))
def test_every_problem_stands_within_the_file(text):
    lines = text.split("\n")
    for problem in load(text.encode(), "r.yaml").diagnostics:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert "\n" not in str(problem)
