"""What holds for every test: how many run side by side, in which order, and what is said of those that did not."""

from __future__ import annotations

import gc
import os
import random
import resource
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.form import SLOWDOWN, SYSTEM, UNDER_TEST
from tests.support.wants import PREFIX

# A busy machine must not fail a test: examples and making them have no deadline, the time limit per test is enough.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=50)
settings.load_profile("untimed")
SLOW_MOST = 900
"""Seconds that a slow test may take on a machine that is busy with others, or any test where programs are measured: a
bound on one that hangs, and no more.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Without thorough tests half as many examples of each property, where it does not say how many; and as many open
    files as the machine allows: some tests hold more connections than a login shell's 1024.
    """
    if "not thorough" in config.getoption("markexpr"):
        settings.load_profile("quick")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="all tests in a random order, the same for the same SEED"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: two for each core, since many tests wait for a program."""
    return min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What reading the tests leaves stays to the end: the garbage collector need not look through it each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") or SLOWDOWN > 1:
            item.add_marker(pytest.mark.timeout(SLOW_MOST), append=False)
        if UNDER_TEST and (interpreted := item.get_closest_marker("interpreted")):
            item.add_marker(pytest.mark.skip(reason=f"not on the compiled form: {interpreted.args[0]}"))
        if (elsewhere := item.get_closest_marker("not_on")) and SYSTEM in elsewhere.args:
            item.add_marker(pytest.mark.skip(reason=f"not on {SYSTEM}: {elsewhere.kwargs['why']}"))
    if (seed := config.getoption("--shuffle")) is not None:
        random.Random(seed).shuffle(items)
        return
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        items[:] = slow_ones_first(items, workers)


def slow_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """xdist gives each worker an equal stretch of the list, and whoever is done steals from the tail of another's: so
    each stretch begins with its share of the slow tests. Those of one file stay together, since they do the same, and
    so do those that are not slow.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    files = list(dict.fromkeys(item.path for item in slow))
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        share = [item for item in slow if item.path in files[worker::workers]]
        wanted = (len(items) - len(ordered)) // (workers - worker) - len(share)
        ordered += share + others[:wanted]
        del others[:wanted]
    return ordered + others


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reasons = Counter(why(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("skipped", sep="-")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(summed(reason, count))
    if config.getoption("--shuffle") is not None:
        terminalreporter.line(f"shuffled by --shuffle {config.getoption('--shuffle')}")


def why(report: pytest.TestReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ")


def summed(reason: str, count: int) -> str:
    """One line about the tests that were skipped for one reason."""
    tests = f"{count} test{'s' if count > 1 else ''}"
    if not reason.startswith(PREFIX):
        return f"skipped: {reason} ({tests})"
    wanted, _, bringer = reason.partition(": ")
    return f"skipped {wanted} ({tests}; {bringer})"
