"""Routes that read well and still do not mean what they seem to."""

from __future__ import annotations

import pytest

from tests.routing.routes import diagnostics, route


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
    assert diagnostics(route("a", match)) == [f"f:4:21: warning: no known BioT operation is {match}{warning}"]


@pytest.mark.parametrize("match", ["* /**", "HEAD /ums/v2/users", "GET /{service}/system/healthCheck", "* /ums/**"])
def test_a_match_with_any_known_operation_is_none(match):
    assert diagnostics(route("a", match)) == []


def test_hints_are_given_for_the_first_strangers_only():
    found = diagnostics(*(route(f"a{n}", f"GET /ums/v2/usrs/{n}") for n in range(25)))
    assert len(found) == 25
    assert sum("did you mean" in problem for problem in found) == 20


@pytest.mark.parametrize("match", ["GET /metrics", "* /healthz", "GET /readyz/", "* /_sidecar/**", "GET /_sidecar"])
def test_a_match_of_the_sidecars_own_pages_is_a_warning(match):
    assert diagnostics(route("a", match)) == [
        f"f:4:21: warning: {match}: the sidecar answers this path itself and never forwards it"
    ]


@pytest.mark.parametrize(
    ("match", "hint"),
    [
        ("GET|PTU /file/v1/**", "PTU is an odd method; did you mean PUT?"),
        ("DELTE /ums/v2/users/{id}", "DELTE is an odd method; did you mean DELETE?"),
        ("GET|TRACE /file/v1/**", "TRACE is refused with 405, whatever the routes say"),
    ],
)
def test_a_method_that_no_request_will_have_is_a_warning(match, hint):
    assert diagnostics(route("a", match)) == [f"f:4:21: warning: {match}: {hint}"]


@pytest.mark.parametrize("match", ["GET|HEAD|OPTIONS /file/v1/**", "GET|PROPFIND|QUERY /file/v1/**", "* /file/v1/**"])
def test_every_other_method_is_fine(match):
    assert diagnostics(route("a", match)) == []


@pytest.mark.parametrize("segment", [":id", "<id>", "$id"])
def test_a_placeholder_in_another_tools_way_is_a_warning(segment):
    assert diagnostics(route("a", f"GET /ums/v2/users/{segment}/x")) == [
        f"f:4:21: warning: no known BioT operation is GET /ums/v2/users/{segment}/x; {segment} stands for itself; one "
        "segment of any kind is {id}"
    ]


@pytest.mark.parametrize("word", ["on", "client"])
def test_interception_where_biot_does_not_intercept_is_a_warning(word):
    assert diagnostics(route("a", "POST /ums/v2/services", more=f"interception: {word}")) == [
        "f:4:61: warning: interception has no effect here: BioT does not intercept POST /ums/v2/services"
    ]


def test_interception_where_biot_intercepts_none_of_many_is_a_warning():
    found = diagnostics(route("a", "POST|GET /ums/v2/services", more="interception: on"))
    assert found == [
        "f:4:65: warning: interception has no effect here: BioT does not intercept GET /ums/v2/services or any "
        "other operation that this matches"
    ]


def test_one_match_among_others_that_biot_does_not_intercept_is_a_warning_of_its_own():
    found = diagnostics(route("a", "PATCH /organization/v1/users/patients/{id}", "* /ums/**", more="interception: on"))
    assert found == [
        "f:4:67: warning: interception has no effect on * /ums/**: BioT does not intercept it",
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
    assert diagnostics(one, defaults="{interception: on}") == []
