"""Each figure: how it is taken from a running program.

Times are in microseconds and memory in MiB (as top and ps show it), unless named otherwise.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections import defaultdict
from typing import Final, NamedTuple

from tests.bench import load
from tests.bench.crowd import crowd
from tests.bench.program import Program
from tests.bench.upstream import BIG, Upstream

CONNECTIONS: Final = (1, 32, 128, 256)
TLS_CONNECTIONS: Final = (32, 128, 256)
IDLE_CONNECTIONS: Final = 1000
WARM_UPS_MOST: Final = 10
TURNS_MOST: Final = 5
CALLS_AT_ONCE: Final = 200
SETTLED: Final = 0.5
"""Seconds in which a sidecar has read its files again."""
_MIB: Final = 1024 * 1024


class NoAnswer(Exception):
    """A proxy keeps its clients waiting, again and again."""


class Pace(NamedTuple):
    """How long everything takes."""

    rounds: int
    turns: int  # of each proxy at each load, in a round
    seconds: float  # of wrk, in a turn
    calm: float
    bodies: int  # large ones, each way
    bursts: int
    each: int  # requests of each of many clients


QUICK: Final = Pace(rounds=1, turns=1, seconds=1, calm=1, bodies=1, bursts=1, each=6)
FULL: Final = Pace(rounds=5, turns=3, seconds=1, calm=3, bodies=3, bursts=3, each=48)


class Figures:
    """What was measured, by proxy and figure; several turns make a median."""

    def __init__(self) -> None:
        self._samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, who: str, figure: str, value: float) -> None:
        self._samples[who, figure].append(value)

    def get(self, who: str, figure: str) -> float | None:
        values = self._samples.get((who, figure))
        return statistics.median(values) if values else None

    def ratio(self, one: str, other: str, figure: str) -> float | None:
        """The median of the ratios of each turn, since a machine that is slow for a minute is slow for both.

        If one has fewer turns (transfers that broke off) it is the medians' ratio.
        """
        ours, theirs = self._samples.get((one, figure)), self._samples.get((other, figure))
        if not ours or not theirs:
            return None
        if len(ours) != len(theirs):
            return statistics.median(ours) / statistics.median(theirs)
        return statistics.median(own / peer for own, peer in zip(ours, theirs, strict=True))

    def spread(self, who: str, figure: str) -> float | None:
        """(highest - lowest) / median over the turns: how noisy the machine was."""
        values = self._samples.get((who, figure))
        return (max(values) - min(values)) / statistics.median(values) if values and len(values) > 1 else None

    def all(self) -> dict[str, dict[str, list[float]]]:
        found: dict[str, dict[str, list[float]]] = {}
        for (who, figure), values in self._samples.items():
            found.setdefault(who, {})[figure] = values
        return found


def startup(figures: Figures, program: Program) -> None:
    """From exec to the first forwarded answer; then memory, idle and with many connections. Starts and stops it."""
    began = time.monotonic()
    program.start()
    program.wait_until_up()
    figures.add(program.name, "start_ms", (time.monotonic() - began) * 1e3)
    figures.add(program.name, "start_cpu_ms", program.cpu() * 1e3)
    try:
        with load.Idle() as idle:
            idle.open(program.port, 1)
            before = program.memory()
            figures.add(program.name, "rss_idle", before / _MIB)
            idle.open(program.port, IDLE_CONNECTIONS)
            full = program.memory()
            figures.add(program.name, "rss_1000", full / _MIB)
            figures.add(program.name, "kb_per_connection", (full - before) / IDLE_CONNECTIONS / 1024)
    finally:
        program.stop()
        gc.collect()


def start_of(figures: Figures, program: Program) -> None:
    """CPU time until it answers, and memory then. Starts and stops it."""
    program.start()
    program.wait_until_up()
    try:
        figures.add(program.name, "start_cpu_ms", program.cpu() * 1e3)
        figures.add(program.name, "rss_idle", program.memory() / _MIB)
    finally:
        program.stop()


def warm_up(program: Program, connections: int) -> None:
    """Let it dial so many connections to BioT, which over TLS takes longer than a turn on a busy machine.

    Raises NoAnswer.
    """
    for _ in range(WARM_UPS_MOST):
        if load.wrk(program.port, connections=connections, seconds=1).requests > connections:
            return
    raise NoAnswer(f"answers nothing at {connections} connections")


def under_load(figures: Figures, suffix: str, seconds: float, program: Program, connections: int = 32) -> None:
    """CPU per request, and the latencies that belong to it. Raises NoAnswer."""
    run, cpu = _turn(program, connections, seconds)
    figures.add(program.name, f"us_{connections}{suffix}", cpu / run.requests * 1e6)
    figures.add(program.name, f"rps_{connections}{suffix}", run.requests / run.seconds)
    figures.add(program.name, f"rps_core_{connections}{suffix}", run.requests / cpu)
    figures.add(program.name, f"p50_{connections}{suffix}", run.p50)
    figures.add(program.name, f"p99_{connections}{suffix}", run.p99)
    if connections == max(CONNECTIONS):
        figures.add(program.name, f"rss_load{suffix}", program.memory() / _MIB)


def _turn(program: Program, connections: int, seconds: float) -> tuple[load.Wrk, float]:
    """What wrk counted, and the CPU time. A turn without an answer is repeated, so that all have as many turns.

    Raises NoAnswer.
    """
    for _ in range(TURNS_MOST):
        before = program.cpu()
        run = load.wrk(program.port, connections=connections, seconds=seconds)
        if run.requests:
            return run, program.cpu() - before
        print(f"  {program.name} answered nothing within {seconds:.0f} s at {connections} connections", flush=True)
    raise NoAnswer(f"answers nothing at {connections} connections")


def crowded(figures: Figures, program: Program, upstream: Upstream, suffix: str, connections: int, each: int) -> float:
    """CPU per request, latencies, shares and dials with so many clients; the first of them is returned."""
    cpu: list[float] = []
    dialled = upstream.accepted()

    def look() -> None:
        cpu.append(program.cpu())

    run = crowd(program.port, connections, each, look)
    us = (cpu[1] - cpu[0]) / run.requests * 1e6
    for figure, value in {
        "us": us,
        "p50": run.p50,
        "p99": run.p99,
        "least": run.least,
        "middle": run.middle,
        "most": run.most,
        "uneven": run.most / max(1, run.least),
        "dials": upstream.accepted() - dialled - 1,
        "rejected": run.rejected / run.requests * 100,
    }.items():
        figures.add(program.name, f"{figure}_crowd_{connections}{suffix}", value)
    return us


def burst(figures: Figures, program: Program) -> None:
    """CALLS_AT_ONCE calls to a program that has just started, when all that it knows of BioT is forgotten."""
    program.start()
    program.wait_until_up()
    try:
        if program.name.startswith("sidecar"):
            program.hang_up()  # its connection goes, and the name's addresses
            time.sleep(SETTLED)
        before = program.cpu()
        times = load.burst(program.port, CALLS_AT_ONCE)
        figures.add(program.name, "ms_burst", (program.cpu() - before) * 1e3)
        figures.add(program.name, "p50_burst", statistics.median(times) * 1e3)
        figures.add(program.name, "p99_burst", times[int(len(times) * 0.99) - 1] * 1e3)
    finally:
        program.stop()


def storm(figures: Figures, program: Program, *, seconds: float) -> None:
    """CPU per request when the upstream ends each connection after its answer. Starts and stops the program."""
    program.start()
    program.wait_until_up()
    try:
        load.wrk(program.port, connections=32, seconds=1)
        under_load(figures, "_storm", seconds, program)
    finally:
        program.stop()


def with_paths(figures: Figures, program: Program, *, patients: int, seconds: float) -> None:
    """CPU per request when each asks for another path."""
    before = program.cpu()
    run = load.wrk(program.port, connections=32, seconds=seconds, patients=patients)
    figures.add(program.name, "us_paths", (program.cpu() - before) / run.requests * 1e6)


def direct(figures: Figures, port: int, token: str, connections: int, seconds: float, suffix: str) -> None:
    """The upstream's own latencies, without a proxy."""
    run = load.wrk(port, connections=connections, seconds=seconds, token=token)
    figures.add("no proxy", f"p50_{connections}{suffix}", run.p50)
    figures.add("no proxy", f"p99_{connections}{suffix}", run.p99)


def calm(figures: Figures, program: Program, *, suffix: str, seconds: float) -> None:
    """CPU per request at a few hundred requests a second, a sidecar's usual state."""
    before = program.cpu()
    requests = load.calm(program.port, seconds)
    figures.add(program.name, f"us_calm{suffix}", (program.cpu() - before) / requests * 1e6)


def bodies(figures: Figures, program: Program, *, suffix: str) -> None:
    """Throughput and CPU of a large body each way."""
    for way, transfer in (("down", load.download), ("up", load.upload)):
        before = program.cpu()
        try:
            seconds = transfer(program.port)
        except (OSError, RuntimeError) as error:
            print(f"  {program.name}{suffix.replace('_', ' ')}: a large body {way} broke off: {error}", file=sys.stderr)
            continue
        figures.add(program.name, f"mb_s_{way}{suffix}", BIG / seconds / 1e6)
        figures.add(program.name, f"cpu_gb_{way}{suffix}", (program.cpu() - before) / BIG * 1e9)
