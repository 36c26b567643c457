"""Every operation that the simulator answers, asked rightly: a declared status, and a body of the declared shape.

The table of facts is the judge. What it cannot judge (behaviour) the tests of each family do.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from biot_sidecar.simulator import facts
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.simulator import Simulator
from biot_sidecar.simulator.tokens import Signer

from tests.simulator import judging
from tests.simulator.helpers import Clock, Desk, ScriptedPost

SIMULATED = [
    one for one in Simulator(SimulatorOptions(), Clock(), ScriptedPost(), Signer()).router.operations if one.simulated
]
COUNTED = [one for one in SIMULATED if facts.facts_of(one.api_id).release == facts.RELEASE]
KNOWN = [one for one in SIMULATED if one.api_id in facts.operations()]


@pytest.mark.parametrize("operation", KNOWN, ids=lambda operation: operation.api_id)
async def test_an_operation_answers_as_it_declares(desk: Desk, operation: Operation) -> None:
    answer = await (await judging.ready(desk, operation)).ask()
    assert not judging.verdict(operation, answer)


def test_at_least_110_of_the_228_operations_are_answered() -> None:
    assert len(COUNTED) >= 110


def test_the_page_about_tests_says_how_many() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    assert f"answers {len(COUNTED)} of the 228 operations of BioT {facts.RELEASE}" in page
