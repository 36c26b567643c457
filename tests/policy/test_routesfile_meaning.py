"""Rules that read well and still do not mean what they seem to."""

from __future__ import annotations

import pytest

from proxy.policy.routesfile import load

PATIENTS = "/organization/v1/users/patients"


def problems(*routes: str, defaults: str = "{}") -> list[str]:
    lines = ["version: 1", f"defaults: {defaults}", "routes:", *(f"- {route}" for route in routes)]
    return [str(problem) for problem in load("\n".join(lines).encode(), "f").problems]


def route(name: str, *match: str, more: str = "") -> str:
    listed = ", ".join(f'"{one}"' for one in match)
    return f"{{name: {name}, match: [{listed}]{', ' * bool(more)}{more}}}"


def test_a_route_that_one_earlier_route_covers_is_an_error():
    found = problems(route("a", f"* {PATIENTS}/**"), route("b", f"GET {PATIENTS}"))
    assert found == [
        "f:5:21: error: 'b' can never match: 'a' (line 4) comes first and takes all of it; move it up or remove it"
    ]


def test_a_route_that_several_earlier_routes_cover_together_is_an_error():
    found = problems(
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
    found = problems(
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
    assert problems(route("a", earlier, more="interception: on"), route("b", later)) == []


def test_a_match_that_is_taken_in_part_is_a_warning():
    found = problems(route("a", f"GET {PATIENTS}/**"), route("b", f"GET {PATIENTS}", f"POST {PATIENTS}"))
    assert found == [f"f:5:21: warning: GET {PATIENTS} can never match: 'a' (line 4) comes first and takes all of it"]


def test_a_match_that_says_a_thing_twice_is_a_warning():
    found = problems(route("a", f"GET {PATIENTS}/**", f"GET {PATIENTS}/{{id}}"))
    assert found == [
        f"f:4:63: warning: GET {PATIENTS}/{{id}} adds nothing: what stands before it in this match takes all of it"
    ]


# ---- overlaps


def test_routes_that_cross_and_disagree_are_a_warning():
    found = problems(
        route("a", f"GET|PATCH {PATIENTS}/{{id}}", more="interception: on, timeout: 2m"),
        route("b", f"* {PATIENTS}/self"),
    )
    assert found == [
        f"f:5:21: warning: 'b' and 'a' (line 4) both match GET|PATCH {PATIENTS}/self and disagree about interception "
        "and timeout; the one in line 4 decides"
    ]


def test_a_denial_that_an_earlier_route_makes_a_hole_into_is_a_warning():
    found = problems(
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
    assert problems(*routes) == []


# ---- BioT's operations


@pytest.mark.parametrize(
    ("match", "warning"),
    [
        ("GET /organization/v1/users/patient/{id}",
         "; did you mean /organization/v1/users/patients/{id}?"),
        ("GET /organization/organization/v1/users/patients",
         "; /organization is there twice; a client whose paths begin with it already must not have it in its host"),
        ("PUT /organization/v1/users/patients", "; BioT has GET, POST there"),
        ("OPTIONS /organization/v1/users/patients", "; BioT has GET, POST there"),
        ("GET /nowhere/near/any/operation/of/biot", ""),
        ("* /", ""),
    ],
)  # fmt: skip
def test_a_match_without_a_known_operation_is_a_warning(match, warning):
    assert problems(route("a", match)) == [f"f:4:21: warning: no known BioT operation is {match}{warning}"]


@pytest.mark.parametrize("match", ["* /**", "HEAD /ums/v2/users", "GET /{service}/system/healthCheck", "* /ums/**"])
def test_a_match_with_any_known_operation_is_none(match):
    assert problems(route("a", match)) == []


def test_hints_are_given_for_the_first_strangers_only():
    found = problems(*(route(f"a{n}", f"GET /ums/v2/usrs/{n}") for n in range(25)))
    assert len(found) == 25
    assert sum("did you mean" in problem for problem in found) == 20


@pytest.mark.parametrize("match", ["GET /metrics", "* /healthz", "GET /readyz/", "* /_sidecar/**", "GET /_sidecar"])
def test_a_match_of_the_sidecars_own_pages_is_a_warning(match):
    assert problems(route("a", match)) == [
        f"f:4:21: warning: {match}: the sidecar answers this path itself and never forwards it"
    ]


@pytest.mark.parametrize("word", ["on", "client"])
def test_interception_where_biot_does_not_intercept_is_a_warning(word):
    assert problems(route("a", "POST /ums/v2/services", more=f"interception: {word}")) == [
        "f:4:61: warning: interception has no effect here: BioT does not intercept POST /ums/v2/services"
    ]


def test_interception_where_biot_intercepts_none_of_many_is_a_warning():
    found = problems(route("a", "POST|GET /ums/v2/services", more="interception: on"))
    assert found == [
        "f:4:65: warning: interception has no effect here: BioT does not intercept GET /ums/v2/services or any "
        "other operation that this matches"
    ]


@pytest.mark.parametrize(
    "one",
    [
        route("a", "PATCH /organization/v1/users/patients/{id}", more="interception: on"),
        route("a", "POST /ums/v2/services", more="interception: off"),
        route("a", "POST /ums/v2/services", more="interception: on, deny: never"),
        route("a", "POST /ums/v2/services"),
        route("a", "* /**", more="interception: on"),
        route("a", "POST /device/v2/devices/templates/{templateName}", more="interception: on"),
    ],
)
def test_interception_that_may_have_an_effect_is_none(one):
    assert problems(one, defaults="{interception: on}") == []
