"""A guard that does not time: how many instructions a forwarded request and a start take, and how many modules a start
imports, against stored counts.

The real program runs under valgrind's callgrind, which counts from when it is warm until the last request is answered:
two starts differ by more than a request costs. Instructions in the kernel do not count. A count holds for one build of
Python.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.contestants import Job, sidecar
from tests.bench.crowd import Clients
from tests.bench.program import Program
from tests.bench.start_cost import start_cost
from tests.bench.upstream import Upstream
from tests.bench.workshop import BUILD, HERE, Missing, debian, total_of

STORED: Final = HERE / "instructions.json"
CLIENTS: Final = (1, 32)
WARM_UP: Final = 300
"""Requests before those that count, or ten of each client."""
COUNTED: Final = 2000
SLACK: Final = 1.05


def main() -> int:
    """0 when the counts are what they were or less, or cannot be taken here; 1 when one grew."""
    forms = (False, True)
    return max([*(_check(interpreted=form) for form in forms), *(_check_start(interpreted=form) for form in forms)])


def _check(*, interpreted: bool) -> int:
    form = _form(interpreted)
    try:
        counts = per_request(interpreted=interpreted)
    except Missing as reason:
        print(f"instructions per request: not counted, {reason}")
        return 0
    return max(
        _compare(
            f"instructions per request, {clients} clients",
            form if clients == 1 else f"{form}, {clients} clients",
            count,
        )
        for clients, count in counts.items()
    )


def _check_start(*, interpreted: bool) -> int:
    form = _form(interpreted)
    try:
        cost = start_cost(interpreted=interpreted)
    except Missing as reason:
        print(f"instructions of a start: not counted, {reason}")
        return 0
    print(f"start, {form}: {cost}")
    return max(
        _compare("instructions of a start", f"{form}, start", cost.ready),
        _compare("modules of a start", f"{form}, modules of a start", len(cost.modules)),
    )


def _form(interpreted: bool) -> str:
    return "interpreted" if interpreted else "compiled"


def _compare(what: str, form: str, count: int) -> int:
    build = f"Python {platform.python_version()}, {platform.python_compiler()}, {form}"
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {}
    known = stored.get(build)
    print(f"{what}: {count:,}; stored for {build}: {known and format(known, ',')}")
    if os.environ.get("BENCH_KEEP") == "1":
        STORED.write_text(json.dumps({**stored, build: count}, indent=1) + "\n")
    elif known is not None and count > known * SLACK:
        print(f"that is over {SLACK - 1:.0%} more: find out why, or store it with BENCH_KEEP=1", file=sys.stderr)
        return 1
    return 0


def per_request(*, interpreted: bool) -> dict[int, int]:
    """By the number of clients that each have a request under way. Raises Missing."""
    tools = debian("valgrind", "valgrind"), debian("callgrind_control", "valgrind")
    folder = BUILD / "run" / "guard"
    folder.mkdir(parents=True, exist_ok=True)
    upstream = Upstream(folder)
    upstream.program.start()
    try:
        upstream.program.wait_until_up()
        job = Job(upstream, tls=False, folder=folder)
        return {clients: _instructions(*tools, sidecar(job, interpreted=interpreted), clients) for clients in CLIENTS}
    finally:
        upstream.program.stop()


def _instructions(valgrind: str, control: str, under: Program, clients: int) -> int:
    out = under.log.parent / "callgrind"
    counting = [valgrind, "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    under.command = [*counting, *under.command]
    under.environment["PYTHONHASHSEED"] = "0"
    under.start()
    try:
        under.wait_until_up()
        with Clients(under.port, clients) as crowd:
            crowd.run(max(WARM_UP, 10 * clients))
            _tell(control, under, "--instr=on")
            crowd.run(COUNTED)
            _tell(control, under, "--dump")
    finally:
        under.stop()
    return round(total_of(Path(f"{out}.1")) / COUNTED)


def _tell(control: str, under: Program, what: str) -> None:
    assert under.process is not None
    subprocess.run([control, what, str(under.process.pid)], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
