"""`biot-sidecar check --json` and `--github`, and colours."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.cli.check_report import Problem, Report
from biot_sidecar.cli.colors import Palette

from tests.cli.support import ran

WRONG = "version: 2\nroutes:\n- {name: a, match: GET /nowhere}\n"


@pytest.fixture
def routes(tmp_path, monkeypatch):
    """The folder has a routes file with an error and a warning; its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(WRONG)
    return "r.yaml"


def test_json_says_where_each_problem_stands(capsys, routes):
    done = ran(capsys, "check", "--json", "--routes", routes, SIDECAR_WORKERS="0")
    assert done.status == 1
    assert json.loads("\n".join(done.out)) == {
        "ok": False,
        "problems": [
            {"severity": "error", "message": "'0' is no whole number from 1 to 256", "setting": "SIDECAR_WORKERS"},
            {
                "severity": "error",
                "message": "version '2' is unknown; write version: 1",
                "file": "r.yaml",
                "line": 1,
                "column": 10,
            },
            {
                "severity": "warning",
                "message": "no known BioT operation is GET /nowhere",
                "file": "r.yaml",
                "line": 3,
                "column": 20,
            },
        ],
        "routes": None,
    }


def test_json_of_what_is_right(capsys, routes):
    with open(routes, "w") as file:
        file.write("version: 1\nroutes: [{name: a, match: GET /ums/v2/users}]\n")
    done = ran(capsys, "check", "--json", "--routes", routes)
    assert done.status == 0
    assert json.loads("\n".join(done.out)) == {
        "ok": True,
        "problems": [],
        "routes": {"file": "r.yaml", "routes": 1, "tests": 0},
    }


def test_annotations_stand_at_the_lines_of_the_file(capsys, routes):
    done = ran(capsys, "check", "--github", "--routes", routes, SIDECAR_WORKERS="0")
    assert done.status == 1
    assert done.out == [
        "::error title=SIDECAR_WORKERS::'0' is no whole number from 1 to 256",
        "::error file=r.yaml,line=1,col=10::version '2' is unknown; write version: 1",
        "::warning file=r.yaml,line=3,col=20::no known BioT operation is GET /nowhere",
    ]


def test_nothing_in_an_annotation_ends_it_early():
    report = Report()
    report.add("a,b:c.yaml:1:2: error: 100%\nof :: it", "error")
    assert list(report.annotations()) == ["::error file=a%2Cb%3Ac.yaml,line=1,col=2::100%25%0Aof :: it"]


def test_one_form_at_a_time(capsys):
    assert ran(capsys, "check", "--json", "--github").status == 2


def test_the_severity_is_in_colour_on_a_terminal():
    assert Problem("error", "no", "f", 1, 2).line_in(Palette(colored=True)) == "f:1:2: \x1b[31merror:\x1b[0m no"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("--listen: no", Problem("error", "no", setting="--listen")),
        ("A_B, C: no", Problem("error", "no", setting="A_B, C")),
        ("something else: no", Problem("error", "something else: no")),
    ],
)
def test_a_problem_of_no_file_is_one_of_a_setting_or_of_the_settings(text, problem):
    report = Report()
    report.add(text, "error")
    assert report.problems == [problem]
    assert not report.right
