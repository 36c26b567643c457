"""No field of what a process counts can be forgotten: not when several processes are summed, not on the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from biot_sidecar.platform import read_process
from biot_sidecar.telemetry import merging, snapshot
from biot_sidecar.telemetry.exposition import render
from biot_sidecar.telemetry.process_metrics import read_process_metrics
from biot_sidecar.telemetry.snapshot import Snapshot
from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR

from tests.telemetry.reading import new_metrics, samples

SUMS_UNLESS_DECLARED = {
    "reload_successful": (True, False, False),
    "observes": (True, False, True),
    "token_expires": (3.0, 5.0, 5.0),
    "blocked_until": (3.0, 5.0, 5.0),
    "secret_key_expires": (3.0, 5.0, 3.0),
    "secret_keys": (3, 5, 5),
    "files_most": (3.0, 5.0, 3.0),
    "started": (3.0, 5.0, 3.0),
    "most": (3.0, 5.0, 5.0),
    "last_used": (3.0, 5.0, 5.0),
}
"""The fields that are no sums: two processes' values and what becomes of them."""
LIVE = {"reload_successful", "blocked_until", "secret_key_expires", "secret_keys", "in_flight", "idle", "active"} | {
    f"process.{name}" for name in ("virtual", "resident", "open_files", "files_most")
}
Leaf = tuple[str, Callable[[Snapshot], Any], Callable[[Snapshot, Any], None]]


def empty() -> Snapshot:
    return Snapshot("1.2.3", "3.11.7")


def numbers(value: Any, name: str = "", get: Callable[[Snapshot], Any] = lambda snapshot: snapshot) -> Iterator[Leaf]:
    """Every place of a State that holds one number, with how to read and how to write it."""
    if hasattr(value, "RULES"):
        keys, read, write = list(merging.names_of(value)), getattr, setattr
    elif isinstance(value, dict):
        keys, read, write = list(value), dict.__getitem__, dict.__setitem__
    elif isinstance(value, list):
        keys, read, write = list(range(len(value))), list.__getitem__, list.__setitem__
    else:
        return
    for key in keys:
        child, path = read(value, key), f"{name}.{key}"

        def child_of(snapshot: Snapshot, key: Any = key) -> Any:
            return read(get(snapshot), key)

        if isinstance(child, int | float):
            yield (
                path,
                child_of,
                lambda snapshot, new, key=key: write(get(snapshot), key, new),
            )
        else:
            yield from numbers(child, path, child_of)


LEAVES = list(numbers(empty()))


def is_field(path: str) -> str:
    return path.rpartition(".")[2]


def encoded(of: Snapshot) -> bytes:
    return snapshot.encode(of)


@pytest.mark.parametrize(("path", "get", "put"), LEAVES, ids=[leaf[0] for leaf in LEAVES])
def test_every_number_of_two_processes_becomes_their_sum_or_what_its_field_declares(path, get, put):
    mine, other = empty(), empty()
    one, two, both = SUMS_UNLESS_DECLARED.get(is_field(path), (3, 5, 8))
    put(mine, one)
    put(other, two)
    assert get(snapshot.merge_snapshots([encoded(mine), encoded(other)])) == both
    assert get(snapshot.merge_snapshots([encoded(other), encoded(mine)])) == both


@pytest.mark.parametrize(("path", "get", "put"), LEAVES, ids=[leaf[0] for leaf in LEAVES])
def test_of_a_process_that_ended_all_stays_but_what_ends_with_it(path, get, put):
    ended = empty()
    at_start = get(ended)
    told = not at_start if isinstance(at_start, bool) else 3
    put(ended, told)
    left = get(snapshot.merge_snapshots([snapshot.ended_totals([encoded(ended)])]))
    assert left == (at_start if path[1:] in LIVE else told)


ON_THE_STATUS_PAGE_ONLY = {"most", "last_used", "secret_keys"}


@pytest.mark.parametrize(("path", "get", "put"), LEAVES, ids=[leaf[0] for leaf in LEAVES])
def test_every_number_is_shown(path, get, put):
    shown = empty()
    before = render([encoded(shown)], "")[1]
    put(shown, {"reload_successful": False, "observes": True}.get(is_field(path), 7))
    assert (render([encoded(shown)], "")[1] != before) == (is_field(path) not in ON_THE_STATUS_PAGE_ONLY)


def test_there_are_as_many_numbers_as_one_thinks():
    assert {is_field(path) for path, _, _ in LEAVES} >= {*SUMS_UNLESS_DECLARED, "cut", "response_bytes"}
    assert {path[1:] for path, _, _ in LEAVES} >= LIVE


def test_what_has_no_sum_must_say_so():
    with pytest.raises(TypeError, match="bool has no sum"):
        merging.merge(True, False)
    with pytest.raises(TypeError, match="NoneType has no sum"):
        merging.merge(None, None)


# ---- the process itself


def test_what_the_kernel_says_is_what_prometheus_client_reads():
    seen = samples(new_metrics())
    for collector in (PROCESS_COLLECTOR, GC_COLLECTOR):
        for sample in (sample for family in collector.collect() for sample in family.samples):
            ours = seen[sample.name, frozenset(sample.labels.items())].value
            assert ours == pytest.approx(sample.value, rel=0.2, abs=1), sample.name


def test_the_same_families_are_there_in_the_same_words():
    text = render([new_metrics().snapshot()], "")[1].decode()
    for collector in (PROCESS_COLLECTOR, GC_COLLECTOR):
        for family in collector.collect():
            name = family.name + ("_total" if family.type == "counter" else "")
            assert f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n" in text


def test_a_system_without_proc_shows_no_process_instead_of_zeros(tmp_path):
    found = read_process_metrics(lambda: read_process(str(tmp_path)))
    assert (found.cpu, found.started, found.resident, found.open_files) == (0, 0, 0, 0)
    nothing = empty()
    assert b"process_" not in render([encoded(nothing)], "")[1]
