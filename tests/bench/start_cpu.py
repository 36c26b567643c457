"""A start in CPU time, until ready over https, beside the least of a program in Python.

`python -m tests.bench.start_cpu` starts bundles for AWS Lambda, which bring all they need, interpreted and compiled, by
an optimized Python (optimized.py). The floor and they start in turn, so a busy machine slows all of them: what counts
is the ratio.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench import optimized
from tests.bench.measure import Figures
from tests.bench.workshop import PEERS, Missing
from tests.deploy.programs import DEPLOY, SECRET, USER

FLOOR: Final = "asyncio, ssl and uvloop alone"
FORMS: Final = {"sidecar": "1", "sidecar, interpreted": ""}
"""Of the bundle: COMPILED."""
ROUNDS: Final = 15


def measure(figures: Figures) -> None:
    """Raises Missing."""
    with TemporaryDirectory() as folder:
        commands = _commands(Path(folder))
        library = Path(folder, "sidecar", "lib")
        for number in range(ROUNDS + 1):
            taken = {name: _cpu(command, library) for name, command in commands.items()}
            if number:  # the first ones read files that the others find read
                for name, seconds in taken.items():
                    figures.add(name, "ready_cpu_ms", seconds * 1e3)
                    figures.add(name, "ready_cpu_floors", seconds / taken[FLOOR])


def _commands(folder: Path) -> dict[str, list[str]]:
    alone = [optimized.interpreter(), "-s", "-S", "-P"]
    commands = {FLOOR: [*alone, str(PEERS / "start_floor.py")]}
    for name, compiled in FORMS.items():
        bundle = folder / name
        built = subprocess.run(
            [DEPLOY / "aws-lambda" / "build.sh", bundle], check=False, capture_output=True, text=True,
            env={**os.environ, "PYTHON": optimized.interpreter(), "COMPILED": compiled},
        )  # fmt: skip
        if built.returncode:
            raise Missing(f"no bundle: {built.stderr[-300:]}")
        commands[name] = [*alone, str(bundle / "lib" / "__main__.py"), "serve"]
    return commands


def _cpu(command: list[str], library: Path) -> float:
    """Seconds, user and system, until it says that it is ready."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(library),  # for the floor
        "BIOT_BASE_URL": "https://127.0.0.1:9",
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        "SIDECAR_LISTEN": "127.0.0.1:0",
        "SIDECAR_LOGIN_AT_START": "0",
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    ready = process.stdout.readline()
    process.kill()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    process.stdout.close()
    if b"ready" not in ready:
        raise Missing(f"{command} did not start: {ready!r}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    figures = Figures()
    measure(figures)
    print(f"CPU until ready over https, medians of {ROUNDS} starts in turn; {optimized.told()}")
    for name, values in figures.all().items():
        print(f"{name:32}{median(values['ready_cpu_ms']):8.1f} ms{median(values['ready_cpu_floors']):8.2f} floors")


if __name__ == "__main__":
    main()
