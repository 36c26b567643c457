"""`make bench`: the sidecar and its peers side by side on loopback, round after round, each in turn.

BENCH_QUICK=1 runs one short round (about three minutes); BENCH_ROUNDS=N sets their number; BENCH_ONLY=a,b names the
proxies; BENCH_KEEP=1 puts the result where the README shows it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import crowd, guard, lambda_cost, measure, optimized, start_cpu, uploads
from tests.bench.contestants import ALL_IN_FLIGHT, CROWDED, DIALLERS, LIMITED, MAKERS, Job, routes, sidecar
from tests.bench.goals import US
from tests.bench.measure import CONNECTIONS, FULL, QUICK, TLS_CONNECTIONS, Figures, Pace
from tests.bench.program import Program
from tests.bench.report import markdown
from tests.bench.slow_names import NAME, SlowNames
from tests.bench.upstream import Upstream
from tests.bench.workshop import BUILD, HERE, PYTHON, ROOT, Missing, compile_sidecar, debian, make_venv


class Bench:
    """One run."""

    def __init__(self, pace: Pace, names: list[str]) -> None:
        self.pace = pace
        self.figures = Figures()
        self.missing: dict[str, str] = {}
        self._names = names
        self._house = ExitStack()
        self._upstream = Upstream(_folder("upstream"))

    def run(self) -> None:
        with self._house:
            self._up(self._upstream.program)
            plain, tls = self._start_all(tls=False), self._start_all(tls=True)
            variants = self._start_variants()
            for number in range(self.pace.rounds):
                print(f"round {number + 1} of {self.pace.rounds}", flush=True)
                # Each round begins with another one, so that none always follows the same neighbour.
                self._round(_turned(plain, number), suffix="")
                self._round(_turned(tls, number), suffix="_tls")
                self._variants(variants)
                self._start_ups()
                self._many_rules()
                self._dials()
                self._crowds()
            self._uploads()
        self._ready()
        self._lambda()

    # ---- starting

    def _job(self, name: str, *, tls: bool) -> Job:
        return Job(self._upstream, tls, _folder(f"{name.replace(' ', '-')}{'-tls' * tls}"))

    def _up(self, program: Program) -> None:
        program.start()
        self._house.callback(program.stop)
        program.wait_until_up()

    def _start_all(self, *, tls: bool) -> list[Program]:
        started = []
        for name in self._names:
            try:
                program = MAKERS[name](self._job(name, tls=tls))
                self._up(program)
                started.append(program)
            except Missing as reason:
                print(f"{name}: {reason}", file=sys.stderr)
                self.missing[name] = str(reason)
        return started

    def _start_variants(self) -> dict[str, Program]:
        """The sidecar, otherwise set."""
        found = {
            name: sidecar(self._job(name, tls=False), table=routes(count))
            for name, count in (("10 rules", 10), ("5,000 rules", 5000))
        }
        found |= {
            name: sidecar(self._job(name, tls=False), SIDECAR_WORKERS=str(count))
            for name, count in (("1 worker", 1), ("2 workers", 2))
        }
        for name, program in found.items():
            program.name = name
            self._up(program)
        return found

    # ---- measuring

    def _round(self, programs: list[Program], *, suffix: str) -> None:
        """One load after the other, and under each all proxies in turn: what is compared lies seconds apart."""
        pace, figures, upstream = self.pace, self.figures, self._upstream
        for connections in TLS_CONNECTIONS if suffix else CONNECTIONS:
            print(f"  {connections} connections{suffix.replace('_', ' ')}", flush=True)
            if suffix:
                programs = [one for one in programs if self._answers(one, connections, measure.warm_up)]
            for turn in range(pace.turns):
                for program in _turned(programs, turn):
                    self._answers(program, connections, partial(measure.under_load, figures, suffix, pace.seconds))
                if not suffix:
                    measure.direct(figures, upstream.plain, upstream.token, connections, pace.seconds, suffix)
        print(f"  a calm load, large bodies{suffix.replace('_', ' ')}", flush=True)
        for program in programs:
            measure.calm(figures, program, suffix=suffix, seconds=pace.calm)
        for _ in range(pace.bodies):
            for program in programs:
                measure.bodies(figures, program, suffix=suffix)

    def _answers(self, program: Program, connections: int, load: Callable[[Program, int], None]) -> bool:
        """False for a peer that keeps so many clients waiting: it is named, and has no more figures in this round."""
        try:
            load(program, connections)
        except measure.NoAnswer as reason:
            if program.name.startswith(US):
                raise
            print(f"  {program.name} {reason}", flush=True)
            return False
        return True

    def _variants(self, variants: dict[str, Program]) -> None:
        print("  rules and workers", flush=True)
        for turn in range(self.pace.turns):
            for program in _turned(list(variants.values()), turn):
                if "rules" in program.name:
                    measure.with_paths(self.figures, program, patients=100_000, seconds=self.pace.seconds)
                else:
                    measure.under_load(self.figures, "", self.pace.seconds, program)

    def _many_rules(self) -> None:
        """What reading a routes file costs, and that twice as many routes cost twice as much."""
        for count in (10, 5000, 10_000, 20_000):
            program = sidecar(self._job("many rules", tls=False), table=routes(count))
            program.name = f"{count:,} rules"
            measure.start_of(self.figures, program)

    def _uploads(self) -> None:
        """Once: giving memory back takes half a minute."""
        print("uploads in flight", flush=True)
        for name in ("sidecar", "sidecar, interpreted", *DIALLERS[1:]):
            if name in self._names and name not in self.missing:
                folder = _folder(f"{name.replace(' ', '-')}-uploads")
                upstream = uploads.StalledUpstream(folder)
                uploads.measure(self.figures, upstream, MAKERS[name](Job(upstream, True, folder)))

    def _lambda(self) -> None:
        """Beside nothing else that runs: all of it is held to a share of a core."""
        print("on AWS Lambda", flush=True)
        try:
            lambda_cost.measure(self.figures, self.pace.rounds)
        except Missing as reason:
            print(f"nothing of AWS Lambda: {reason}", file=sys.stderr)
            self.missing[lambda_cost.WITH] = str(reason)

    def _ready(self) -> None:
        print("starts in turn", flush=True)
        try:
            start_cpu.measure(self.figures)
        except Missing as reason:
            print(f"no CPU time of a start over https: {reason}", file=sys.stderr)

    def _start_ups(self) -> None:
        for name in self._names:
            if name not in self.missing:
                measure.startup(self.figures, MAKERS[name](self._job(f"{name} start", tls=False)))

    def _crowds(self) -> None:
        """Many clients: what a request costs, and whether each client gets its share."""
        for suffix in ("", "_tls"):
            with ExitStack() as running:
                programs = [self._crowded(name, suffix) for name in (*CROWDED, LIMITED) if self._can_be_crowded(name)]
                for program in programs:
                    program.start()
                    running.callback(program.stop)
                    program.wait_until_up()
                few: dict[str, float] = {}
                for connections in crowd.CONNECTIONS:
                    print(f"  {connections} clients{suffix.replace('_', ' ')}", flush=True)
                    for program in programs:
                        us = measure.crowded(self.figures, program, self._upstream, suffix, connections, self.pace.each)
                        if connections == crowd.FEW:
                            few[program.name] = us
                        elif few:
                            self.figures.add(program.name, f"grown_{connections}{suffix}", us / few[program.name])

    def _can_be_crowded(self, name: str) -> bool:
        maker = name if name in MAKERS else "sidecar"
        return maker in self._names and maker not in self.missing

    def _crowded(self, name: str, suffix: str) -> Program:
        job = self._job(f"{name} crowd", tls=bool(suffix))
        if name == LIMITED:
            program = sidecar(job)
            program.name = LIMITED
            return program
        program = MAKERS[name](job)
        if name.startswith("sidecar"):
            program.environment["SIDECAR_MAX_IN_FLIGHT"] = ALL_IN_FLIGHT
        return program

    def _dials(self) -> None:
        """What new connections cost: many calls in one moment, and an upstream that keeps none."""
        print("  new connections", flush=True)
        names = [name for name in DIALLERS if name in self._names and name not in self.missing]
        for name in names:
            job = Job(self._upstream, True, _folder(f"{name.replace(' ', '-')}-storm"), closing=True)
            measure.storm(self.figures, MAKERS[name](job), seconds=self.pace.seconds)
        try:
            slow_names = SlowNames(_folder("names"))
        except Missing as reason:
            print(f"no calls at once: {reason}", file=sys.stderr)
            return
        upstream = Upstream(_folder("named-upstream"), NAME)
        with slow_names, ExitStack() as running:
            upstream.program.start()
            running.callback(upstream.program.stop)
            upstream.program.wait_until_up()
            for _ in range(self.pace.bursts):
                for name in names:
                    program = MAKERS[name](Job(upstream, True, _folder(f"{name.replace(' ', '-')}-burst")))
                    measure.burst(self.figures, slow_names.seen_by(program))


def _folder(name: str) -> Path:
    """An empty one in build/bench/run."""
    folder = BUILD / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _turned(programs: list[Program], number: int) -> list[Program]:
    start = number % len(programs)
    return programs[start:] + programs[:start]


def _setting(figures: Figures, pace: Pace) -> str:
    noise = figures.spread("sidecar", "us_32")
    spread = "" if noise is None else f"; between its turns the sidecar's CPU per request differed by {noise:.0%}"
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}. "
        f"1 KB answers, keep-alive, 32 connections where none are named. One worker each; Go and Caddy as they come, "
        f"with a thread for each core, and Go once more with one. The sidecar has everything on: metrics, access "
        f"log (through a pipe), rules, token, guards; its peers only add the header. It is compiled, as in its image; "
        f"interpreted it is the source as it stands. {pace.rounds} rounds of {pace.turns} turns at each load, a second "
        f"each, every proxy in turn. The figures are medians{spread}; a goal's ratio is the median of those within one "
        f"turn. Starts over https and on AWS Lambda are those of {optimized.told()}. Compare figures of one run only."
    )


def _write(figures: Figures, text: str) -> None:
    (BUILD / "result.md").write_text(text)
    (BUILD / "figures.json").write_text(json.dumps(figures.all(), indent=1))
    print("\n" + text)
    plot = subprocess.run([PYTHON, HERE / "plot.py", BUILD / "figures.json", BUILD / "result.png"], check=False)
    if os.environ.get("BENCH_KEEP") == "1":
        for name in ("result.md", "result.png")[: 2 - bool(plot.returncode)]:
            shutil.copy(BUILD / name, HERE / name)
    print(f"written to {(BUILD / 'result.md').relative_to(ROOT)}, figures.json and result.png beside it")


def main() -> int:
    try:
        debian("wrk", "wrk")
        debian("nginx", "nginx-light")
        compile_sidecar()
    except Missing as reason:
        print(f"the benchmark cannot run: {reason}", file=sys.stderr)
        return 1
    make_venv()
    pace = QUICK if os.environ.get("BENCH_QUICK") == "1" else FULL
    pace = pace._replace(rounds=int(os.environ.get("BENCH_ROUNDS", pace.rounds)))
    only = os.environ.get("BENCH_ONLY", "").split(",")
    bench = Bench(pace, [name for name in MAKERS if only == [""] or name in only])
    bench.run()
    _write(bench.figures, markdown(bench.figures, bench.missing, _setting(bench.figures, pace)))
    return guard.main()


if __name__ == "__main__":
    sys.exit(main())
