"""What the sidecar costs a plugin on Lambda, as figures: `python -m tests.deploy.lambda_figures`. No account needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.deploy.programs import simulator
from tests.deploy.test_aws_lambda import LAMBDA, LANGUAGES, WAYS, function

ROUNDS = 5


def main() -> None:
    """A table: start with and without the sidecar, the first and a later event, memory of each process."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "biot_sidecar"
        env = {**os.environ, "PYTHON": sys.executable, "PIP_QUIET": "1"}
        subprocess.run([LAMBDA / "build.sh", bundle], check=True, env=env)
        size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        print(f"the sidecar's folder: {size / 1e6:.1f} MB; milliseconds, medians of {ROUNDS} starts")
        print(f"{'plugin':20}{'start':>10}{'first event':>16}{'next event':>15}{'all MB':>8}{'sidecar MB':>12}")
        for language in LANGUAGES:
            for way in ["alone", *WAYS]:
                rounds = [measured(Path(tempfile.mkdtemp(dir=folder)), bundle, language, way) for _ in range(ROUNDS)]
                figures = [median(column) for column in zip(*rounds, strict=True)]
                print(f"{language + ' ' + way:20}" + "".join(row(figures)))


def row(figures: list[float]) -> Iterator[str]:
    for figure, width in zip(figures, (10, 16, 15, 8, 12), strict=True):
        yield f"{figure:{width}.1f}"


def measured(folder: Path, bundle: Path, language: str, way: str) -> tuple[float, ...]:
    """Milliseconds of start, first and next event; megabytes of everything and of what the sidecar adds."""
    with simulator(folder) as biot, function(folder, bundle, language, way, biot) as plugin:
        start = timed(plugin.start)
        first, later = (0.0, 0.0) if way == "alone" else (timed(plugin.age), timed(plugin.age))
        memory = plugin.environment.memory()
        return start, first, later, sum(memory.values()) / 1e6, sidecars_share(memory) / 1e6


def timed(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


def sidecars_share(memory: dict[str, int]) -> int:
    return sum(size for command, size in memory.items() if "runtime." not in command)


if __name__ == "__main__":
    main()
