"""A routes file is judged, and a table freed, in steps none of which grows with the file."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest
from biot_sidecar.pacing import let_go, no_pause
from biot_sidecar.routing.file import load

from tests.bench.contestants import routes
from tests.telemetry.reading import new_metrics

BROKEN = "  - {name: broken, match: nonsense}\n"
UNTRUE = "tests:\n" + "  - {request: GET /ums/v2/users/1, expect: {route: nobody}}\n" * 20


class Steps:
    """Counts what Python calls between two paces, the lines and turns of loops that it runs, and what it frees."""

    def __init__(self) -> None:
        self.calls = self.most_calls = 0
        self.lines = self.most_lines = 0
        self.blocks = sys.getallocatedblocks()
        self.most_freed = 0

    def call(self, frame, event, argument) -> None:
        self.calls += event in {"call", "c_call"}

    def line(self, frame, event, argument):
        self.lines += event == "line"
        return self.line

    def pace(self) -> None:
        self.most_calls = max(self.most_calls, self.calls)
        self.most_lines = max(self.most_lines, self.lines)
        self.calls = self.lines = 0
        blocks = sys.getallocatedblocks()
        self.most_freed = max(self.most_freed, self.blocks - blocks)
        self.blocks = blocks


def steps_of(text: str) -> Steps:
    """What `load` does of this text, in a process that holds little else: to count blocks is to walk the whole heap."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.test_pacing"],
        input=text, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True,
    )  # fmt: skip
    steps = Steps()
    steps.most_calls, steps.most_lines, steps.most_freed = json.loads(run.stdout)
    return steps


def counted(text: str) -> Steps:
    load(text.encode(), "f")  # what is read once in a program's life is read
    gc.collect()
    gc.disable()
    steps = Steps()
    sys.setprofile(steps.call)
    sys.settrace(steps.line)
    try:
        loaded = load(text.encode(), "f", pace=steps.pace)
    finally:
        sys.settrace(None)
        sys.setprofile(None)
        gc.enable()
    steps.pace()
    del loaded
    return steps


@pytest.mark.parametrize("more", ["", BROKEN, UNTRUE], ids=["a good file", "a mistake", "tests that fail"])
def test_no_step_of_judging_a_file_grows_with_it(more):
    few, many = steps_of(routes(80) + more), steps_of(routes(320) + more)  # a step looks at 64
    assert many.most_calls < 1.1 * few.most_calls + 100
    assert many.most_lines < 1.1 * few.most_lines + 100
    assert many.most_freed < 1.5 * few.most_freed + 1_000  # the lines' texts, at once


def test_a_table_is_freed_in_steps():
    table = load(routes(500).encode(), "f").table
    assert table is not None
    for number in range(500):
        table.verdict(b"GET", b"/generic-entity/v%d/x/part" % number)
    before = sys.getallocatedblocks()
    parts = table.parts(no_pause)
    count = len(parts)
    del table
    steps = Steps()
    let_go(parts, steps.pace)
    assert before - sys.getallocatedblocks() > 3 * count > 7_500  # with what hangs on them: 4 each, by Python's version
    assert steps.most_freed < 1_500


def test_the_loop_looks_at_no_route_of_a_new_table_one_by_one():
    def lines(count: int) -> int:
        metrics, steps = new_metrics(), Steps()
        metrics.routes([f"old {number}" for number in range(count)])
        names = [f"new {number}" for number in range(count)]
        metrics.prepare(names, no_pause)
        sys.settrace(steps.line)
        try:
            metrics.routes(names)
        finally:
            sys.settrace(None)
        return steps.lines

    assert 0 < lines(1000) == lines(10)


if __name__ == "__main__":
    told = counted(sys.stdin.read())
    print(json.dumps([told.most_calls, told.most_lines, told.most_freed]))
