"""`biot-sidecar explain`."""

from __future__ import annotations

import json

import pytest

from tests.cli.support import ran

ROUTES = """\
version: 1
routes:
  - {name: others, match: "* /dms/**", retry: none}
  - name: patients
    match: PATCH /organization/v1/users/patients/{id}
    interception: on
    timeout: 2m
  - {name: closed, match: "* /ums/v2/services/**", deny: not for plugins}
"""


@pytest.fixture
def routes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(ROUTES)
    return "--routes", "r.yaml"


def test_it_says_what_would_become_of_a_request(capsys, routes):
    found = ran(capsys, "explain", "PATCH", "/organization/v1/users/patients/42?canary=1", *routes)
    assert found == (
        0,
        [
            "PATCH /organization/v1/users/patients/42",
            "  route          patients (r.yaml:4)",
            "  deny           no",
            "  interception   on: allow-interception is set, BioT's interceptors run",
            "  authorization  replace: the service user's token",
            "  timeout        120s",
            "  retry          idempotent: GET, HEAD, OPTIONS, PUT and DELETE are tried again when BioT fails",
            "  operation      PATCH /organization/v1/users/patients/{id} (permission PROTECTED_API; "
            "BioT can intercept it)",
        ],
        [],
    )


def test_a_denied_request_has_only_its_reason(capsys, routes):
    assert ran(capsys, "explain", "GET", "/ums/v2/services/1", *routes).out == [
        "GET /ums/v2/services/1",
        "  route          closed (r.yaml:8)",
        "  deny           not for plugins",
        "  operation      GET /ums/v2/services/{id} (permission UMS_USERS_GET_SERVICE_USER_BY_ID; "
        "BioT does not intercept it)",
    ]


def test_a_refused_path_has_no_route(capsys, routes):
    assert ran(capsys, "explain", "GET", "/ums/%2e%2e/x", *routes).out == [
        "GET /ums/%2e%2e/x",
        "  deny           the path is refused with 400: it holds a dot segment",
        "  warning        the path is refused with 400, whatever the routes say: it holds a dot segment",
    ]


def test_why_tells_what_earlier_routes_lack(capsys, routes):
    found = ran(capsys, "explain", "PATCH", "/organization/v1/users/patients/42", "--why", *routes)
    assert found.out[-2:] == ["  why no earlier route:", "    others: * /dms/**: segment 1 is not `dms`"]
    found = ran(capsys, "explain", "GET", "/dms/v1/data/reports", "--why", *routes)
    assert found.out[-2:] == ["  why no earlier route:", "    there is none before it"]


def test_json_has_the_contracts_keys(capsys, routes):
    found = ran(capsys, "explain", "GET", "/dms/v1/data/reports", "--json", *routes)
    assert found.status == 0
    assert json.loads("\n".join(found.out)) == {
        "method": "GET",
        "path": "/dms/v1/data/reports",
        "route": "others",
        "source": "r.yaml:3",
        "interception": "off",
        "authorization": "replace",
        "timeout": "60s",
        "retry": "none",
        "deny": None,
        "operation": "GET /dms/v1/data/reports",
        "warnings": [],
    }


def test_json_can_say_why_too(capsys, routes):
    found = ran(capsys, "explain", "PATCH", "/organization/v1/users/patients/42", "--json", "--why", *routes)
    assert json.loads("\n".join(found.out))["why"] == ["others: * /dms/**: segment 1 is not `dms`"]


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (("GET", "ums"), "the path begins with /; write biot-sidecar explain GET /ums/v2/users/1"),
        (("G T", "/ums"), "'G T' is no method; write biot-sidecar explain GET /ums/v2/users/1"),
    ],
)
def test_what_is_no_request_is_a_wrong_command_line(capsys, routes, words, mistake):
    assert ran(capsys, "explain", *words, *routes) == (2, [], [f"biot-sidecar: {mistake}"])


def test_a_wrong_file_explains_nothing(capsys, routes, tmp_path):
    (tmp_path / "r.yaml").write_text("version: 2\n")
    found = ran(capsys, "explain", "GET", "/ums", *routes)
    assert found == (1, [], ["r.yaml:1:10: error: version '2' is unknown; write version: 1"])


def test_a_missing_file_explains_nothing(capsys, routes, tmp_path):
    found = ran(capsys, "explain", "GET", "/ums", "--routes", "none.yaml")
    assert found == (1, [], ["none.yaml:1:1: error: the routes file cannot be read: No such file or directory"])


def test_what_does_not_show_in_a_path_does_not_reach_the_terminal(capsys, routes):
    found = ran(capsys, "explain", "GET", "/ums/\x1b[31m", *routes)
    assert "\x1b" not in "\n".join(found.out)
