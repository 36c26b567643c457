"""The figures on the page of sizes are those that the benchmark measured."""

from __future__ import annotations

import re

from tests.docs.generated import DOCS, ROOT

RESULT = (ROOT / "tests" / "bench" / "result.md").read_text(encoding="utf-8")
PAGE = (DOCS / "sizing.md").read_text(encoding="utf-8")
MEASURED = {
    "CPU per request, many at a time": "us/request",
    "CPU per request at a calm 400 a second": "us at 400/s",
    "requests a second that one core carries": "req/s/core",
    "memory idle": "MiB idle",
    "memory under load (32 connections)": "MiB loaded",
    "each idle connection of a plugin": "KiB/conn.",
    "ready after, CPU time": "start CPU ms",
}


def row(text: str, name: str) -> list[str]:
    (found,) = re.findall(rf"^\| {re.escape(name)} +\|(.*)\|$", text, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def measured(column: str, program: str) -> float:
    """A figure of the result's: the table that has such a column."""
    for part in RESULT.split("\n## "):
        heads = [cell.strip() for cell in (re.findall(r"^\|(.*)\|$", part, re.MULTILINE) or [""])[0].split("|")]
        if column in heads:
            return float(row(part, program)[heads.index(column) - 1].replace(",", ""))
    raise LookupError(column)


def test_each_figure_is_the_measured_one_within_two_percent() -> None:
    for name, column in MEASURED.items():
        for cell, program in zip(row(PAGE, name), ("sidecar", "sidecar, interpreted"), strict=True):
            told = float(re.sub(r"[^\d.]", "", cell))
            assert abs(told / measured(column, program) - 1) < 0.02, (name, program)
