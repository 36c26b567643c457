"""What `explain` says of a request."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.routing.biot_operations import find_operation
from biot_sidecar.routing.explain import explain, facts_of
from biot_sidecar.routing.route import Authorization, Interception, Retry, Route
from biot_sidecar.routing.table import RouteTable
from hypothesis import given
from hypothesis import strategies as st

LOGINS = ("POST /ums/v2/services/accessToken",)
UNMATCHED = Route(name="unmatched", source="r.yaml:2")
TABLE = RouteTable(
    [
        Route(
            name="patients",
            source="r.yaml:5",
            patterns=("PATCH /organization/v1/users/patients/{id}",),
            interception=Interception.ON,
            authorization=Authorization.KEEP,
            timeout=120.0,
            retry=Retry.NONE,
        ),
        Route(name="vain", source="r.yaml:9", patterns=("* /ums/v2/services",), interception=Interception.CLIENT),
        Route(name="logins", source="r.yaml:10", patterns=LOGINS),
        Route(name="closed", source="r.yaml:12", patterns=("* /ums/v2/services/**",), deny="not for plugins"),
    ],
    UNMATCHED,
)


def test_it_says_what_the_route_does():
    assert explain(TABLE, "PATCH", "/organization/v1/users/patients/42?secret=1#x") == {
        "method": "PATCH",
        "path": "/organization/v1/users/patients/42",
        "route": "patients",
        "source": "r.yaml:5",
        "interception": "on",
        "authorization": "keep",
        "timeout": "120s",
        "retry": "none",
        "deny": None,
        "operation": "PATCH /organization/v1/users/patients/{id}",
        "warnings": [],
    }


def test_a_denial_has_its_reason_and_needs_no_warnings():
    found = explain(TABLE, "DELETE", "/ums/v2/services/1")
    assert (found["route"], found["deny"], found["warnings"]) == ("closed", "not for plugins", [])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/UMS/v2/services/1"), ("GET", "/ums/v2%2Fservices/1"), ("get", "/ums/v2;x/services/1")],
)
def test_a_denial_of_another_reading_says_so(method, path):
    found = explain(TABLE, method, path)
    assert (found["route"], found["deny"]) == ("closed", "not for plugins")
    assert found["warnings"][-1].startswith("as it stands the request falls under unmatched, but a server might read")


def test_head_is_get_without_the_body():
    found = explain(TABLE, "HEAD", "/ums/v2/users/1")
    assert (found["operation"], found["warnings"]) == ("GET /ums/v2/users/{id}", [])


def test_what_no_route_matches_gets_the_defaults():
    found = explain(TABLE, "GET", "/ums/v2/users")
    assert (found["route"], found["source"], found["timeout"]) == ("unmatched", "r.yaml:2", "60s")


def test_a_path_that_is_refused_has_no_route():
    found = explain(TABLE, "GET", "/ums/../v2")
    assert (found["route"], found["source"]) == (None, None)
    assert found["deny"] == "the path is refused with 400: it holds a dot segment"
    assert found["warnings"] == ["the path is refused with 400, whatever the routes say: it holds a dot segment"]


@pytest.mark.parametrize(
    ("method", "path", "warning"),
    [
        ("GET", "/metrics", "the sidecar answers this path itself; nothing of it is forwarded"),
        ("GET", "/_sidecar/x", "the sidecar answers this path itself; nothing of it is forwarded"),
        ("GET", "ums", "a path begins with /"),
        ("TRACE", "/ums/v2/users", "TRACE is refused with 405, whatever the routes say"),
        ("get", "/ums/v2/users", "methods have capitals: to BioT get is another method than GET"),
        ("GET", "/organization/organization/v1/users/patients",
         "no known BioT operation; it is forwarded all the same; /organization is there twice; a client whose paths "
         "begin with it already must not have it in its host"),
        ("GET", "/organization/v1/users/patient/42",
         "no known BioT operation; it is forwarded all the same; did you mean /organization/v1/users/patients?"),
        ("GET", "/x", "no known BioT operation; it is forwarded all the same"),
        ("POST", "/ums/v2/services/accessToken/",
         "a plugin's own login: SIDECAR_PLUGIN_LOGIN says what it gets, and it never carries our token"),
        ("POST", "/ums/v2/services",
         "BioT does not intercept this operation: allow-interception has no effect on it"),
    ],
)  # fmt: skip
def test_it_warns(method, path, warning):
    assert warning in explain(TABLE, method, path)["warnings"]


@pytest.mark.parametrize(
    ("method", "path", "facts"),
    [
        ("PATCH", "/organization/v1/users/patients/1",
         "PATCH /organization/v1/users/patients/{id} (permission PROTECTED_API; BioT can intercept it)"),
        ("POST", "/ums/v2/services/accessToken",
         "POST /ums/v2/services/accessToken (public; BioT does not intercept it)"),
        ("GET", "/device/v1/tokens/1", "GET /device/v1/tokens/{token} (public; interception unknown)"),
    ],
)  # fmt: skip
def test_the_facts_of_an_operation(method, path, facts):
    operation = find_operation(method, tuple(part.encode() for part in path.split("/") if part))
    assert operation is not None
    assert facts_of(operation) == facts


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_every_request_gets_an_explanation_without_its_query(method, path):
    found = explain(TABLE, method, f"/{path}?canary-7f3")
    assert "canary-7f3" not in json.dumps(found)
