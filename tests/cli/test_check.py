"""`biot-sidecar check`."""

from __future__ import annotations

import pytest

from tests.cli.support import ran

GOOD = "version: 1\nroutes: [{name: a, match: GET /ums/v2/users}]\n"
COMPLETE = {
    "BIOT_BASE_URL": "https://api.example",
    "BIOT_SERVICE_USER_ID": "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11",
    "BIOT_SERVICE_USER_SECRET_KEY": "canary-secret",
}


@pytest.fixture
def routes(tmp_path):
    """Writes the routes file and gives its path."""

    def write(text: str) -> str:
        (tmp_path / "r.yaml").write_text(text)
        return str(tmp_path / "r.yaml")

    return write


def test_a_right_file_is_right_without_any_setting(capsys, routes):
    path = routes(GOOD)
    assert ran(capsys, "check", "--routes", path) == (
        0,
        [f"{path}: 1 route, no tests"],
        [
            "note: not set here, though serve needs them: BIOT_BASE_URL, BIOT_SERVICE_USER_ID, "
            "BIOT_SERVICE_USER_SECRET_KEY"
        ],
    )


def test_every_problem_is_a_line(capsys, routes):
    path = routes("version: 2\nroutes:\n- {name: a, match: GET /nowhere, deny: no}\n")
    found = ran(capsys, "check", "--routes", path)
    assert found.status == 1
    assert found.out == [
        f"{path}:1:10: error: version '2' is unknown; write version: 1",
        f"{path}:3:20: warning: no known BioT operation is GET /nowhere",
        f"{path}:3:40: error: deny: 'no' is no reason; write what the caller should read, or leave deny out to allow "
        "the call",
    ]


def test_warnings_alone_are_no_failure(capsys, routes):
    path = routes("version: 1\nroutes: [{name: a, match: GET /nowhere}]\n")
    found = ran(capsys, "check", "--routes", path)
    assert (found.status, len(found.out)) == (0, 2)


def test_the_files_own_tests_run(capsys, routes):
    good = GOOD + "tests: [{request: GET /ums/v2/users, expect: {route: a}}]\n"
    assert ran(capsys, "check", "--routes", routes(good)).out[-1].endswith("1 route, 1 test passes")
    found = ran(capsys, "check", "--routes", routes(good.replace("route: a", "interception: on")))
    assert found.status == 1
    assert "error: test failed: GET /ums/v2/users: interception is off, not on" in found.out[0]


def test_a_missing_file_is_a_line_too(capsys, tmp_path):
    path = str(tmp_path / "none.yaml")
    found = ran(capsys, "check", SIDECAR_ROUTES=path)
    assert found.status == 1
    assert found.out == [f"{path}:1:1: error: the routes file cannot be read: No such file or directory"]


def test_settings_that_are_wrong_fail_and_routes_are_checked_all_the_same(capsys, routes):
    path = routes("version: 2\n")
    found = ran(capsys, "check", "--listen", "nowhere", SIDECAR_WORKERS="0", SIDECAR_ROUTES=path)
    assert found.status == 1
    assert found.out == [
        "--listen: error: 'nowhere' is no address; write HOST:PORT, [::1]:PORT or unix:PATH, such as 127.0.0.1:8787",
        "SIDECAR_WORKERS: error: '0' is no whole number from 1 to 256",
        f"{path}:1:10: error: version '2' is unknown; write version: 1",
    ]


def test_complete_settings_need_no_note(capsys, routes):
    assert ran(capsys, "check", "--routes", routes(GOOD), **COMPLETE)[2] == []


def test_odd_settings_are_warnings(capsys, routes):
    env = {**COMPLETE, "BIOT_SERVICE_USER_ID": "me", "SIDECAR_LISTN": "x"}
    found = ran(capsys, "check", "--routes", routes(GOOD), **env)
    assert found.status == 0
    assert found.out[:2] == [
        "settings: warning: SIDECAR_LISTN is no setting; did you mean SIDECAR_LISTEN?",
        "settings: warning: BIOT_SERVICE_USER_ID is not a UUID; BioT's service users have one as their id",
    ]


def test_the_secret_never_shows(capsys, routes):
    env = {**COMPLETE, "SIDECAR_WORKERS": "x", "BIOT_BASE_URL": "nowhere"}
    found = ran(capsys, "check", "--routes", routes(GOOD), **env)
    assert found.status == 1
    assert "canary-secret" not in "".join([*found.out, *found.err])


def test_without_a_file_of_ones_own_the_shipped_one_counts(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = ran(capsys, "check")
    assert found.status == 0
    assert "config/routes.yaml: " in found.out[1]


def test_the_file_in_the_working_directory_comes_before_the_shipped_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "routes.yaml").write_text(GOOD)
    assert ran(capsys, "check").out == ["config/routes.yaml: 1 route, no tests"]


def test_a_file_that_was_named_is_never_replaced_by_the_shipped_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ran(capsys, "check", SIDECAR_ROUTES="config/routes.yaml").status == 1
    assert ran(capsys, "check", "--routes", "config/routes.yaml").status == 1
