"""Routes that only observe decide nothing, and see what they would have denied."""

from __future__ import annotations

import pytest
from biot_sidecar.pacing import no_pause
from biot_sidecar.routing.explain import explain
from biot_sidecar.routing.file import load
from biot_sidecar.routing.observers import Observers
from biot_sidecar.routing.pattern import parse_pattern
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.table import OBSERVED_UNMATCHED, RouteTable

from tests.routing.routes import diagnostics, route


def table(*routes: str, defaults: str = "{}", tests: str = "[]") -> RouteTable:
    lines = ["version: 1", f"defaults: {defaults}", f"tests: {tests}", "routes:", *(f"- {one}" for one in routes)]
    loaded = load("\n".join(lines).encode(), "f")
    assert loaded.table is not None, [str(problem) for problem in loaded.diagnostics]
    return loaded.table


KEYS = route("keys", "* /ums/v2/services/**", more="observe: not for plugins")
SERVICES = route("services", "GET|POST /ums/v2/services/{id}/**", more="timeout: 2m")


def seen(of: RouteTable, request: str) -> tuple[str, str | None, str | None]:
    """The route that decides, its denial, and the route that observes."""
    method, _, path = request.partition(" ")
    verdict = of.verdict(method.encode(), path.encode())
    return verdict.route.name, verdict.deny, verdict.observed and verdict.observed.name


def test_matching_goes_on_below_it():
    assert seen(table(KEYS, SERVICES), "GET /ums/v2/services/1/x") == ("services", None, "keys")
    assert seen(table(KEYS, SERVICES), "DELETE /ums/v2/services/1") == ("unmatched", None, "keys")
    assert seen(table(KEYS, SERVICES), "GET /ums/v2/users") == ("unmatched", None, None)


def test_a_later_deny_still_denies_and_both_are_told():
    closed = route("closed", "DELETE /ums/v2/services/{id}", more="deny: never")
    assert seen(table(KEYS, closed), "DELETE /ums/v2/services/1") == ("closed", "never", "keys")


def test_what_is_decided_above_it_does_not_reach_it():
    assert seen(table(SERVICES, KEYS), "GET /ums/v2/services/1/x") == ("services", None, None)
    closed = route("closed", "DELETE /ums/v2/services/{id}", more="deny: never")
    assert seen(table(closed, KEYS), "DELETE /ums/v2/services/1") == ("closed", "never", None)


@pytest.mark.parametrize(
    "path", ["/UMS/v2/services/1", "/ums/v2%2Fservices/1", "/ums;x/v2/services/1", "/ums/v2/serv%C4%B1ces/1"]
)
def test_no_spelling_gets_around_it(path):
    assert seen(table(KEYS), f"GET {path}") == ("unmatched", None, "keys")


def test_of_several_the_first_is_counted():
    late = route("late", "GET /ums/v2/services/{id}", more="observe: too")
    assert seen(table(KEYS, late), "GET /ums/v2/services/1") == ("unmatched", None, "keys")
    both = diagnostics(KEYS, late)
    assert [one.partition("warning: ")[2] for one in both] == [
        "GET /ums/v2/services/{id} is never counted: 'keys' observes all of it before"
    ]


@pytest.mark.parametrize(("denied_by", "found"), [(None, "a"), (2, "a"), (1, None)])
def test_a_denial_above_it_keeps_the_request_from_it(denied_by, found):
    routes = [Route(name="x", source=""), Route(name="y", source=""), Route(name="a", source="", observe="why")]
    routes = [routes[0], routes[2], routes[1]] if denied_by == 2 else routes
    patterns = [(number, parse_pattern("* /a")) for number, one in enumerate(routes) if one.observe]
    observers = Observers(routes, Route(name="unmatched", source=""), patterns, no_pause)
    seen = observers.find("GET", b"/a", (b"a",), denied_by)
    assert (seen and seen.name) == found


def test_unmatched_observe_allows_and_counts_under_unmatched():
    of = table(SERVICES, defaults="{unmatched: observe, interception: on}")
    verdict = of.verdict(b"GET", b"/anything")
    assert (verdict.route.name, verdict.deny, verdict.observed) == ("unmatched", None, of.unmatched)
    assert verdict.route.interception.value == "on"
    assert of.unmatched.observe == OBSERVED_UNMATCHED
    assert seen(of, "GET /ums/v2/services/1") == ("services", None, None)
    assert seen(of, "GET /ums/v2/services%2F1") == ("unmatched", None, "unmatched")
    # A server that decodes twice sees another path, which no route allows.
    assert seen(of, "GET /ums/v2/services/1;/..") == ("unmatched", None, None)  # refused with 400


def test_explain_names_the_route_that_decides_and_the_one_that_observes():
    found = explain(table(KEYS, SERVICES), "POST", "/ums/v2/services/1/x")
    assert (found["route"], found["deny"], found["timeout"]) == ("services", None, "120s")
    assert found["observe"] == {"route": "keys", "reason": "not for plugins"}
    assert "observe" not in explain(table(KEYS), "GET", "/device/v2/devices")


def test_why_says_that_it_only_observes():
    assert table(KEYS, SERVICES).why(b"GET", b"/ums/v2/services/1/x") == ["keys: it only observes"]


def test_it_stands_in_place_of_deny_never_beside_it():
    both = route("both", "GET /ums/v2/users", more="deny: never, observe: why")
    assert "error: observe stands in place of deny, never beside it; keep one of them" in diagnostics(both)[0]


def test_it_takes_a_reason_as_deny_does():
    assert "observe: 'true' is no reason" in diagnostics(route("a", "GET /ums/v2/users", more="observe: true"))[0]
    assert (
        "observe is the reason that the log shows"
        in diagnostics(route("a", "GET /ums/v2/users", more="observe: []"))[0]
    )


def test_settings_beside_it_are_warned_about():
    found = diagnostics(route("a", "GET /ums/v2/users", more="observe: why, timeout: 3s"))
    assert found == ["f:4:57: warning: timeout has no effect beside observe: this route decides nothing"]


def test_it_covers_no_other_route_and_may_itself_be_covered():
    everything = route("everything", "* /**", more="observe: all of it")
    assert diagnostics(everything, SERVICES) == []
    allowed = route("allowed", "GET /ums/v2/services/**")
    narrow = route("narrow", "GET /ums/v2/services/{id}", more="observe: why")
    assert "'narrow' can never match" in diagnostics(allowed, narrow)[0]


def test_it_crosses_no_other_route():
    crossing = route("crossing", "* /ums/v2/services/{id}/x", more="observe: why")
    assert not [one for one in diagnostics(SERVICES, crossing) if "disagree" in one]


def test_the_files_own_tests_may_ask_for_it():
    good = "[{request: GET /ums/v2/services/1, expect: {route: unmatched, observe: not for plugins, deny: false}},"
    good += (
        " {request: GET /x, expect: {observe: false}}, {request: DELETE /ums/v2/services/1, expect: {observe: true}}]"
    )
    table(KEYS, tests=good)
    wrong = f"version: 1\nroutes: [{KEYS}]\ntests: [{{request: GET /x, expect: {{observe: true}}}}]"
    (found,) = load(wrong.encode(), "f").errors
    assert "test failed: GET /x: observe is false, not true; decided by unmatched" in str(found)
