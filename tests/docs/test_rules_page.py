"""The examples of the rules' page are whole files, and each claim of theirs holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from biot_sidecar.routing.file.schema import schema

from tests.cli.support import ran
from tests.docs.generated import DOCS

PAGE = (DOCS / "rules.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (\d+\. .*?)\n.*?^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
(DEFAULTS,) = re.findall(r"\A.*?^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_there_are_ten() -> None:
    assert [heading.partition(".")[0] for heading in EXAMPLES] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_is_right_and_its_tests_hold(capsys, tmp_path: Path, heading: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(EXAMPLES[heading])
    parsed = yaml.safe_load(EXAMPLES[heading])
    done = ran(capsys, "check", "--routes", str(file))
    routes, tests = len(parsed["routes"]), len(parsed["tests"])
    said = f"{file}: {routes} route{'s'[: routes > 1]}, {tests} test{'s'[: tests > 1]} pass{'es'[: 2 * (tests == 1)]}"
    assert (done.status, done.out) == (0, [said])


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_claims_what_its_routes_are_for(heading: str) -> None:
    """Each route's own keys are expected by one of its tests at least."""
    parsed = yaml.safe_load(EXAMPLES[heading])
    expected = {key for test in parsed["tests"] for key in test["expect"]}
    keys = {key for route in parsed["routes"] for key in route} - {"name", "match"}
    assert keys <= expected, heading


def test_the_defaults_that_it_lists_are_those_that_hold_without_them(capsys, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    listed = yaml.safe_load(DEFAULTS)["defaults"]
    explained = []
    for text in (DEFAULTS, "version: 1\nroutes: []\n"):
        file.write_text(text)
        told = json.loads("\n".join(ran(capsys, "explain", "GET", "/a/b", "--routes", str(file), "--json").out))
        explained.append({name: value for name, value in told.items() if name != "source"})
    assert explained[0] == explained[1]
    assert set(listed) == set(schema()["properties"]["defaults"]["properties"])


def test_every_key_of_a_route_is_told() -> None:
    table = PAGE.partition("| in a route |")[2].partition("\n\n")[0]
    told = {name for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    assert told == set(schema()["properties"]["routes"]["items"]["properties"])
