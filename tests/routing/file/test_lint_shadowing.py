"""What is called unreachable is so, and nothing else: the judgement against the table that requests meet."""

from __future__ import annotations

import itertools
import json

import pytest
from biot_sidecar.routing.file import lint_shadowing as reach
from biot_sidecar.routing.file import load
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.table import RouteTable
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.routes import PATIENTS, diagnostics, route

# z and PATCH stand for everything that no route names.
WORLD = [
    (method, b"/" + b"/".join(segments))
    for method in (b"GET", b"PUT", b"PATCH")
    for length in range(5)
    for segments in itertools.product((b"a", b"b", b"z"), repeat=length)
]
PATHS = st.builds(
    lambda segments, rest: "/" + "/".join([*segments, *rest]),
    st.lists(st.sampled_from(["a", "b", "{x}", "{y}"]), max_size=2),
    st.sampled_from([[], ["**"]]),
)
MATCHES = st.builds(lambda methods, path: f"{methods} {path}", st.sampled_from(["*", "GET", "PUT", "GET|PUT"]), PATHS)
ROUTES = st.lists(st.lists(MATCHES, min_size=1, max_size=3), min_size=1, max_size=6)


def unreached(routes: list[list[str]]) -> set[str]:
    """The routes that decide about no request of the world."""
    routes = [Route(name=str(number), source="", patterns=tuple(one)) for number, one in enumerate(routes)]
    table = RouteTable(routes, Route(name="unmatched", source=""))
    return {route.name for route in routes} - {table.verdict(method, path).route.name for method, path in WORLD}


def reported(routes: list[list[str]]) -> set[str]:
    """The routes of which the reader says that they can never match."""
    listed = [{"name": str(number), "match": one} for number, one in enumerate(routes)]
    report = load(json.dumps({"version": 1, "routes": listed}).encode(), "f").errors
    assert all("can never match" in problem.message for problem in report)
    return {problem.message.split("'")[1] for problem in report}


@given(ROUTES)
def test_a_route_is_reported_if_no_request_reaches_it(routes):
    assert reported(routes) == unreached(routes)


@given(ROUTES)
def test_without_the_reported_routes_every_request_meets_the_same_rule(routes):
    gone = reported(routes)
    left = [one for number, one in enumerate(routes) if str(number) not in gone]
    assert reported(left) == set()


# ---- what it says


def test_a_route_that_one_earlier_route_covers_is_an_error():
    found = diagnostics(route("a", f"* {PATIENTS}/**"), route("b", f"GET {PATIENTS}"))
    assert found == [
        "f:5:21: error: 'b' can never match: 'a' (line 4) comes first and takes all of it; move it up or remove it"
    ]


def test_a_route_that_several_earlier_routes_cover_together_is_an_error():
    found = diagnostics(
        route("a", f"GET {PATIENTS}"),
        route("b", f"GET {PATIENTS}/{{id}}/**"),
        route("c", f"PATCH {PATIENTS}/**"),
        route("d", f"GET|PATCH {PATIENTS}/**"),
    )
    assert found == [
        "f:7:21: error: 'd' can never match: 'a' (line 4), 'b' (line 5) and 'c' (line 6) come first and take all of it"
        "; move it up or remove it"
    ]


def test_many_coverers_are_not_all_named():
    found = diagnostics(
        *(route(f"a{n}", f"GET {PATIENTS}{'/{x}' * n}") for n in range(5)),
        route(
            "b",
            f"GET {PATIENTS}/{{a}}/{{b}}",
            f"GET {PATIENTS}",
            f"GET {PATIENTS}/{{a}}",
            f"GET {PATIENTS}/{{a}}/{{b}}/{{c}}",
        ),
    )
    assert "'a0' (line 4), 'a1' (line 5), 'a2' (line 6) and 1 more come first" in found[-1]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (f"GET {PATIENTS}/{{id}}", f"PATCH {PATIENTS}/{{id}}"),
        (f"GET {PATIENTS}/self", f"GET {PATIENTS}/{{id}}"),
        (f"GET|POST {PATIENTS}", f"* {PATIENTS}"),
        (f"GET {PATIENTS}/{{id}}/**", f"GET {PATIENTS}/**"),
    ],
)
def test_an_exception_before_the_wider_route_is_how_it_is_done(earlier, later):
    assert diagnostics(route("a", earlier, more="interception: on"), route("b", later)) == []


def test_a_match_that_is_taken_in_part_is_a_warning():
    found = diagnostics(route("a", f"GET {PATIENTS}/**"), route("b", f"GET {PATIENTS}", f"POST {PATIENTS}"))
    assert found == [f"f:5:21: warning: GET {PATIENTS} can never match: 'a' (line 4) comes first and takes all of it"]


def test_a_match_that_says_a_thing_twice_is_a_warning():
    found = diagnostics(route("a", f"GET {PATIENTS}/**", f"GET {PATIENTS}/{{id}}"))
    assert found == [
        f"f:4:63: warning: GET {PATIENTS}/{{id}} adds nothing: what stands before it in this match takes all of it"
    ]


# ---- overlaps


def test_routes_that_cross_and_disagree_are_a_warning():
    found = diagnostics(
        route("a", f"GET|PATCH {PATIENTS}/{{id}}", more="interception: on, timeout: 2m"),
        route("b", f"* {PATIENTS}/self"),
    )
    assert found == [
        f"f:5:21: warning: 'b' and 'a' (line 4) both match GET|PATCH {PATIENTS}/self and disagree about interception "
        "and timeout; the one in line 4 decides"
    ]


def test_a_denial_that_an_earlier_route_makes_a_hole_into_is_a_warning():
    found = diagnostics(
        route("a", f"PATCH|GET {PATIENTS}/{{id}}"),
        route("b", f"PATCH {PATIENTS}/**", f"DELETE {PATIENTS}/**", more="deny: no way"),
    )
    assert found == [
        f"f:5:21: warning: 'b' and 'a' (line 4) both match PATCH {PATIENTS}/{{x}} and disagree about deny; the one in "
        "line 4 decides"
    ]


@pytest.mark.parametrize(
    "routes",
    [
        # they agree
        [route("a", f"GET {PATIENTS}/{{id}}"), route("b", f"* {PATIENTS}/self")],
        # a denial that comes first is a guard
        [route("a", "POST|DELETE /ums/v2/services/{id}/**", more="deny: never"), route("b", "POST|GET /ums/v2/**")],
        # both deny
        [route("a", f"GET {PATIENTS}/{{id}}", more="deny: x"), route("b", f"* {PATIENTS}/self", more="deny: y")],
        # what both match is decided by a route of its own
        [
            route("own", f"GET {PATIENTS}/self"),
            route("a", f"GET {PATIENTS}/{{id}}", more="retry: none"),
            route("b", f"* {PATIENTS}/self"),
        ],
        # the later one contains the earlier one, in two parts
        [
            route("a", f"GET|PATCH {PATIENTS}/self", more="retry: none"),
            route("b", f"GET {PATIENTS}/**", f"PATCH {PATIENTS}/**"),
        ],
    ],
)  # fmt: skip
def test_overlaps_that_are_no_accident_are_no_warning(routes):
    assert diagnostics(*routes) == []


def test_where_too_many_routes_cross_the_comparison_ends_and_says_so(monkeypatch):
    routes = [route(f"a{n}", f"GET /ums/v{n}/{{x}}", more=f"timeout: {n + 1}s") for n in range(4)]
    routes += [route(f"b{n}", f"GET /ums/{{x}}/u{n}", more="timeout: 9s") for n in range(4)]
    crossing = [problem.split(":")[1] for problem in diagnostics(*routes) if "disagree" in problem]
    assert set(crossing) == {"8", "9", "10", "11"}
    monkeypatch.setattr(reach, "_VISITS_MOST", 20)
    found = diagnostics(*routes)
    [said] = [problem for problem in found if "compared" in problem]
    assert said == "f:9:3: warning: too many routes cross; from here on they are not compared"
    assert {problem.split(":")[1] for problem in found if "disagree" in problem} == {"8"}
