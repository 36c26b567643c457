"""prometheus_client comes module by module, and others have their turn in between."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import nullcontext

import pytest
from biot_sidecar.telemetry import prometheus_loading as library
from biot_sidecar.telemetry.exposition import ROUTES_AT_ONCE, render, render_in_pieces
from biot_sidecar.telemetry.prometheus_loading import PrometheusLoader

from tests.telemetry.reading import OPENMETRICS, new_metrics, samples

STEPS = """
import sys
import biot_sidecar.process.sidecar
from biot_sidecar.telemetry.exposition import render
from biot_sidecar.telemetry.prometheus_loading import import_steps
from biot_sidecar.telemetry.metrics import Metrics
assert "prometheus_client" not in sys.modules
most, before = 0, set(sys.modules)
for _ in import_steps():
    most, before = max(most, len(set(sys.modules) - before)), set(sys.modules)
most = max(most, len(set(sys.modules) - before))
before = set(sys.modules)
import prometheus_client, prometheus_client.core
render([Metrics(version="", python="").snapshot()], "")
print(most, *sorted(set(sys.modules) - before))
assert prometheus_client.REGISTRY and prometheus_client.Counter and prometheus_client.CONTENT_TYPE_LATEST
"""


def test_no_step_imports_more_than_a_few_modules_and_none_is_left_for_the_page():
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    most, *left = ran.stdout.split()
    assert int(most) <= 4
    assert left == []


async def test_others_have_their_turn_between_two_steps(monkeypatch):
    turns = []
    monkeypatch.setattr(library, "import_steps", lambda: iter(range(1, 6)))
    loop = asyncio.get_running_loop()

    def turn() -> None:
        turns.append(len(turns))
        loop.call_soon(turn)

    loop.call_soon(turn)
    times = iter(range(100))
    await PrometheusLoader(lambda: float(next(times)) / 1e6, nullcontext).load()
    assert len(turns) >= 5


async def test_all_who_ask_share_one_import_and_one_who_leaves_takes_nothing_along(monkeypatch):
    begun = []

    def import_steps():
        begun.append(1)
        yield from range(1, 4)

    monkeypatch.setattr(library, "import_steps", import_steps)
    shared = PrometheusLoader(lambda: 0.0, nullcontext)
    leaves = asyncio.ensure_future(shared.load())
    stays = asyncio.ensure_future(shared.load())
    await asyncio.sleep(0)
    leaves.cancel()
    await stays
    await shared.load()
    assert begun == [1]
    await shared.close()


async def test_an_import_that_failed_is_tried_again(monkeypatch):
    outcomes = [OSError(24, "Too many open files"), None]

    def import_steps():
        if error := outcomes.pop(0):
            raise error
        yield 1

    monkeypatch.setattr(library, "import_steps", import_steps)
    shared = PrometheusLoader(lambda: 0.0, nullcontext)
    with pytest.raises(OSError, match="Too many"):
        await shared.load()
    await shared.load()
    assert outcomes == []


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_pieces_make_one_page_with_every_head_once(accept):
    metrics = new_metrics()
    names = [f"route {number}" for number in range(3 * ROUTES_AT_ONCE)]
    metrics.routes(names)
    seen = samples(metrics, accept=accept)
    assert {dict(labels)["route"] for name, labels in seen if name.endswith("request_duration_seconds_sum")} == {
        *names,
        "unmatched",
    }
    page = render([metrics.snapshot()], accept)[1].splitlines()
    heads = [line for line in page if line.startswith(b"# ")]
    assert len(heads) == len(set(heads))
    _, pieces = render_in_pieces([metrics.snapshot()], accept)
    assert max(piece.count(b"\n") for piece in pieces) < 32 * ROUTES_AT_ONCE
