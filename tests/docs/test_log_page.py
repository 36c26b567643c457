"""The page of the log lists the fields and events that the program writes, and no others."""

from __future__ import annotations

import ast
import json
import re

from biot_sidecar.routing.route import Route, Verdict
from biot_sidecar.telemetry.access_log import Log

from tests.docs.generated import DOCS, ROOT
from tests.support.finished import exchange, verdict

PAGE = (DOCS / "log.md").read_text(encoding="utf-8")


def names(heading: str) -> list[str]:
    """What stands in the first column of a section's table."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall("`(.*?)`", row)]


def test_every_field_of_a_requests_line_is_told() -> None:
    lines: list[bytes] = []
    log = Log(level="debug", form="json", write=lambda batch: lines.append(batch) or 0, wall=lambda: 0.0)
    observed = Route(name="watched", source="routes.yaml:9", observe="soon denied")
    found = verdict()
    log.finished(exchange(verdict=Verdict(route=found.route, template=found.template, observed=observed)))
    assert sorted(names("Requests")) == sorted(json.loads(lines[0]))


def events_in_the_code() -> set[str]:
    """The second argument of whatever is called `event` and has a level before it, or the constant that it names."""
    found = set()
    for path in (ROOT / "proxy" / "biot_sidecar").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            node.target.id: node.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("event"):
                told = node.args[1] if len(node.args) > 1 else None
                told = constants.get(told.id) if isinstance(told, ast.Name) else told
                if isinstance(told, ast.Constant) and isinstance(told.value, str):
                    found.add(told.value)
    return found


def test_every_event_of_the_log_is_told() -> None:
    assert sorted(names("Events")) == sorted(events_in_the_code() | {"log_lines_dropped"})
