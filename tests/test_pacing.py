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

BROKEN = "  - {name: broken, match: nonsense}\n"
UNTRUE = "tests:\n" + "  - {request: GET /ums/v2/users/1, expect: {route: nobody}}\n" * 20


class Steps:
    """Counts what Python calls between two paces, and what it frees."""

    def __init__(self) -> None:
        self.calls = self.most_calls = 0
        self.blocks = sys.getallocatedblocks()
        self.most_freed = 0

    def call(self, frame, event, argument) -> None:
        self.calls += event in {"call", "c_call"}

    def pace(self) -> None:
        self.most_calls = max(self.most_calls, self.calls)
        self.calls = 0
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
    steps.most_calls, steps.most_freed = json.loads(run.stdout)
    return steps


def counted(text: str) -> Steps:
    load(text.encode(), "f")  # what is read once in a program's life is read
    gc.collect()
    gc.disable()
    steps = Steps()
    sys.setprofile(steps.call)
    try:
        loaded = load(text.encode(), "f", pace=steps.pace)
    finally:
        sys.setprofile(None)
        gc.enable()
    steps.pace()
    del loaded
    return steps


@pytest.mark.parametrize("more", ["", BROKEN, UNTRUE], ids=["a good file", "a mistake", "tests that fail"])
def test_no_step_of_judging_a_file_grows_with_it(more):
    few, many = steps_of(routes(60) + more), steps_of(routes(240) + more)
    assert many.most_calls < 1.5 * few.most_calls + 200
    assert many.most_freed < 1.5 * few.most_freed + 1_000  # the lines' texts, at once


def test_a_table_is_freed_in_steps():
    table = load(routes(400).encode(), "f").table
    assert table is not None
    for number in range(400):
        table.verdict(b"GET", b"/generic-entity/v%d/x/part" % number)
    before = sys.getallocatedblocks()
    parts = table.parts(no_pause)
    del table
    steps = Steps()
    let_go(parts, steps.pace)
    assert before - sys.getallocatedblocks() > 10_000
    assert steps.most_freed < 1_500


if __name__ == "__main__":
    told = counted(sys.stdin.read())
    print(json.dumps([told.most_calls, told.most_freed]))
