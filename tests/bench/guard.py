"""A guard that does not time: how many instructions a forwarded request and a start take, against
stored counts.

The real program runs under valgrind's callgrind, once for few requests and once for many; the difference leaves out
starting and stopping. Instructions in the kernel do not count. A count holds for one build of Python.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import Final

from tests.bench import load
from tests.bench.contestants import Job, sidecar
from tests.bench.program import Program
from tests.bench.start_cost import start_cost
from tests.bench.upstream import Upstream
from tests.bench.workshop import BUILD, HERE, Missing, debian, total_of

STORED: Final = HERE / "instructions.json"
FEW, MANY = 300, 1500
SLACK: Final = 1.05


def main() -> int:
    """0 when the counts are what they were or less, or cannot be taken here; 1 when one grew."""
    forms = (False, True)
    return max([*(_check(interpreted=form) for form in forms), *(_check_start(interpreted=form) for form in forms)])


def _check(*, interpreted: bool) -> int:
    form = _form(interpreted)
    try:
        count = per_request(interpreted=interpreted)
    except Missing as reason:
        print(f"instructions per request: not counted, {reason}")
        return 0
    return _compare("instructions per request", form, count)


def _check_start(*, interpreted: bool) -> int:
    form = _form(interpreted)
    try:
        cost = start_cost(interpreted=interpreted)
    except Missing as reason:
        print(f"instructions of a start: not counted, {reason}")
        return 0
    print(f"start, {form}: {cost}")
    return _compare("instructions of a start", f"{form}, start", cost.ready)


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


def per_request(*, interpreted: bool) -> int:
    """Raises Missing."""
    valgrind = debian("valgrind", "valgrind")
    folder = BUILD / "run" / "guard"
    folder.mkdir(parents=True, exist_ok=True)
    upstream = Upstream(folder)
    upstream.program.start()
    try:
        upstream.program.wait_until_up()
        job = Job(upstream, tls=False, folder=folder)
        _write_bytecode(sidecar(job, interpreted=interpreted))
        few, many = (_instructions(valgrind, sidecar(job, interpreted=interpreted), count) for count in (FEW, MANY))
    finally:
        upstream.program.stop()
    return round((many - few) / (MANY - FEW))


def _write_bytecode(under: Program) -> None:
    """Start and stop it once: the first start after a change compiles modules, which would count for one run alone."""
    under.start()
    try:
        under.wait_until_up()
    finally:
        under.stop()


def _instructions(valgrind: str, under: Program, requests: int) -> int:
    out = under.log.parent / f"callgrind.{requests}"
    under.command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={out}", *under.command]
    under.environment["PYTHONHASHSEED"] = "0"
    under.start()
    try:
        under.wait_until_up()
        with load.connect(under.port) as sock:
            for number in range(requests):
                load.ask(sock, number)
    finally:
        under.stop()
    return total_of(out)


if __name__ == "__main__":
    sys.exit(main())
