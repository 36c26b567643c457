"""What the sidecar costs a plugin on AWS Lambda: `python -m tests.bench.lambda_cost [SECTION...]`. No account needed.

AWS's own runtime client for Python (awslambdaric) and the sidecar's bundle, as Lambda would start them, held by the
kernel to the share of a core that a function of so many megabytes has. Lambda's APIs and a BioT over https, nginx,
are outside of that. Needs root and the cgroup controller `cpu`. Plugin and sidecar run by an optimized Python, or by
BENCH_PYTHON (optimized.py); COMPILED=1 makes the bundle compiled.

The sections, of which all are run if none is named: `start`, `event`, `timeout` and `memory`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench import optimized
from tests.bench.measure import Figures
from tests.bench.upstream import Upstream
from tests.bench.workshop import Missing
from tests.deploy.lambda_api import Environment, LambdaApi
from tests.deploy.programs import DEPLOY, SECRET, USER
from tests.support.ports import free_port

WHOLE_CORE: Final = 1769
"""Megabytes of a function that has one core (AWS Lambda developer guide, "Configure function memory")."""
SMALLEST: Final = 128
TIMEOUT: Final = 3.0
"""Seconds that BioT's plugins have by default."""
ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "7"))
EVENTS: Final = 50
ALONE: Final = "alone"
WAYS: Final = ("image", "wrapper", "import")
WITHOUT: Final = "the plugin alone"
WITH: Final = "with the sidecar, by its wrapper"
KINDS_OF_EVENTS: Final = {
    WITHOUT: (ALONE, True),
    "the sidecar hears of no event": ("wrapper", False),
    WITH: ("wrapper", True),
}
"""How the plugin starts, and whether its sidecar is registered for events."""
HANDLER: Final = """\
import os, time
from urllib.request import urlopen

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("calls"):
        urlopen(os.environ["BIOT_BASE_URL"] + "/organization/v1/users/patients/1").read()
    return "done"
"""
_CGROUP: Final = Path("/sys/fs/cgroup")
_PERIOD: Final = 100_000
"""Microseconds in which a share is given out."""


class Share:
    """A control group (cgroups(7), version 1 or 2) whose processes have, together, a share of a core."""

    def __init__(self, megabytes: int) -> None:
        first = (_CGROUP / "cpu").is_dir()
        self._folder = (_CGROUP / "cpu" if first else _CGROUP) / f"biot-sidecar-bench-{os.getpid()}"
        quota = str(_PERIOD * megabytes // WHOLE_CORE)
        limits = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota, "cpu.shares": "262144"}
        if not first:
            limits = {"cpu.max": f"{quota} {_PERIOD}", "cpu.weight": "10000"}
        try:
            self._folder.mkdir()
            for name, limit in limits.items():
                (self._folder / name).write_text(limit)
        except OSError as error:
            raise Missing(f"no cgroup that holds a process to a share of a core: {error}") from None
        self.within = ["sh", "-c", f'echo $$ > {self._folder}/cgroup.procs && exec "$@"', "confined"]

    def remove(self) -> None:
        while (self._folder / "cgroup.procs").read_text():
            time.sleep(0.01)
        self._folder.rmdir()


class Bench:
    """A bundle and a BioT, and plugins that use them."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self._python = python
        self.bundle = folder / "biot_sidecar"
        subprocess.run(
            [DEPLOY / "aws-lambda" / "build.sh", self.bundle], check=True,
            env={**os.environ, "PYTHON": python, "PIP_QUIET": "1"},
        )  # fmt: skip
        self.biot = Upstream(folder)
        # Amazon Linux has the web's CAs in one file; BioT's is one more of them.
        self._cas = folder / "ca-bundle.crt"
        listed = self.bundle / "lib" / "biot_sidecar" / "data" / "ca" / "certificates.pem"
        self._cas.write_bytes(listed.read_bytes() + self.biot.ca_file.read_bytes())
        self._number = 0

    @contextmanager
    def plugin(self, way: str, megabytes: int, *, registers: bool = True) -> Iterator[Plugin]:
        """A plugin with its sidecar started in one of WAYS, or `alone`; nothing runs yet."""
        self._number += 1
        folder = self._folder / f"plugin-{self._number}"
        folder.mkdir()
        begins = "import biot_sidecar.start\n" if way == "import" else ""
        (folder / "index.py").write_text(begins + HANDLER)
        (folder / "biot_sidecar").symlink_to(self.bundle)
        share = Share(megabytes)
        with LambdaApi() as api:
            api.refuses = not registers
            environment = Environment(api, folder, self._variables())
            environment.within = share.within
            try:
                yield Plugin(api, environment, way, self.bundle, self._python)
            finally:
                environment.kill()
                share.remove()

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(self._python).resolve().parent}:/usr/bin:/bin",
            "SSL_CERT_FILE": str(self._cas),
            "SSL_CERT_DIR": "/nowhere",
            "SIDECAR_HOME": str(self.bundle),
            "SIDECAR_LISTEN": f"127.0.0.1:{free_port()}",
            "BIOT_BASE_URL": self.biot.url(tls=True),
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        }


class Plugin:
    """A plugin as Lambda's service sees it."""

    def __init__(self, api: LambdaApi, environment: Environment, way: str, bundle: Path, python: str) -> None:
        self.api = api
        self.environment = environment
        runtime = [python, "-m", "awslambdaric", "index.handler"]
        self._extensions = [bundle / "bin" / "extension"] if way == "image" else []
        wrapped = {"image": [str(bundle / "bin" / "plugin-env")], "wrapper": [str(bundle / "bin" / "wrapper")]}
        self._runtime = [*wrapped.get(way, []), *runtime]

    def start(self) -> float:
        """Seconds until Lambda has an event to give away: the runtime and the sidecar have asked for one."""
        began = time.monotonic()
        started = self.environment.start(self._runtime, *self._extensions)
        assert started, (self.api.errors, self.environment.log())
        return time.monotonic() - began

    def event(self, **event: object) -> float:
        """Seconds until it is answered, and everybody has asked for the next one."""
        began = time.monotonic()
        self.api.invoke(event)
        return time.monotonic() - began

    def cpu(self) -> float:
        """Seconds of CPU so far, of all that runs in the environment."""
        files = [path for pid in self.environment.processes() for path in Path("/proc").glob(f"{pid}/task/*/schedstat")]
        return sum(int(path.read_text().split()[0]) for path in files) / 1e9


Rows = dict[str, dict[int, list[tuple[float, ...]]]]
"""What was measured, round by round: of each way, at each size in megabytes."""


def starts(bench: Bench, ways: Sequence[str], rounds: int) -> Rows:
    """Seconds of a cold start, seconds of CPU until then, and seconds of the first event, which has one call."""
    found: Rows = {way: {WHOLE_CORE: [], SMALLEST: []} for way in ways}
    for megabytes in (WHOLE_CORE, SMALLEST):
        for _ in range(rounds):
            for way in ways:
                with bench.plugin(way, megabytes) as plugin:
                    took = plugin.start(), plugin.cpu(), plugin.event(calls=way != ALONE)
                found[way][megabytes].append(took)
    return found


def events(bench: Bench, rounds: int) -> Rows:
    """Seconds, and seconds of CPU, of an event without a call; the mean of EVENTS."""
    found: Rows = {kind: {WHOLE_CORE: [], SMALLEST: []} for kind in KINDS_OF_EVENTS}
    for megabytes in (WHOLE_CORE, SMALLEST):
        for _ in range(rounds):
            for kind, (way, registers) in KINDS_OF_EVENTS.items():
                with bench.plugin(way, megabytes, registers=registers) as plugin:
                    plugin.start()
                    plugin.event(calls=way != ALONE)
                    time.sleep(0.5)  # what follows a first call is over
                    before, began = plugin.cpu(), time.monotonic()
                    for _ in range(EVENTS):
                        plugin.event()
                    took = (time.monotonic() - began) / EVENTS, (plugin.cpu() - before) / EVENTS
                    found[kind][megabytes].append(took)
    return found


def start(bench: Bench) -> None:
    """How much longer a plugin takes to start with its sidecar, and its first event with one call."""
    print(f"\nSeconds of a cold start, medians of {ROUNDS} rounds; `added` is that of a round's differences")
    print(f"{'':12}{'MB':>6}{'start':>8}{'added':>8}{'CPU, ms':>9}{'first event':>13}")
    found = starts(bench, (ALONE, *WAYS), ROUNDS)
    for megabytes in (WHOLE_CORE, SMALLEST):
        for way, rows in found.items():
            added = median(
                one[0] - alone[0] for one, alone in zip(rows[megabytes], found[ALONE][megabytes], strict=True)
            )
            seconds, cpu, first = (median(column) for column in zip(*rows[megabytes], strict=True))
            print(f"{way:12}{megabytes:6}{seconds:8.2f}{added:8.2f}{cpu * 1000:9.0f}{first:13.3f}", flush=True)


def event(bench: Bench) -> None:
    """What it costs an event that the sidecar hears of it."""
    print(f"\nAn event without a call, mean of {EVENTS}, medians of {ROUNDS} rounds")
    print(f"{'':32}{'MB':>6}{'ms':>8}{'CPU, ms':>9}")
    found = events(bench, ROUNDS)
    for megabytes in (WHOLE_CORE, SMALLEST):
        for kind, rows in found.items():
            seconds, cpu = (median(column) for column in zip(*rows[megabytes], strict=True))
            print(f"{kind:32}{megabytes:6}{seconds * 1000:8.2f}{cpu * 1000:9.2f}", flush=True)


def timeout(bench: Bench) -> None:
    """Whether the events after a time-out are answered: each starts the environment anew, within its own time."""
    print(f"\nEvents with one call that follow a time-out of {TIMEOUT:.0f} s: answered, and after how many seconds")
    print(f"{'':12}{'MB':>6}{'answered':>10}{'median':>8}{'longest':>9}")
    for megabytes in (SMALLEST, 192, 256, 384, 512):
        for way in (ALONE, *WAYS):
            took = [_after_a_timeout(bench, way, megabytes) for _ in range(ROUNDS)]
            answered = sum(seconds < TIMEOUT for seconds in took)
            print(
                f"{way:12}{megabytes:6}{f'{answered} of {ROUNDS}':>10}{median(took):8.2f}{max(took):9.2f}", flush=True
            )


def measure(figures: Figures, rounds: int) -> None:
    """What the sidecar costs a plugin that has it by the wrapper, for `make bench`. Raises Missing."""
    with made() as bench:
        found = starts(bench, (ALONE, "wrapper"), rounds)
        for megabytes in (WHOLE_CORE, SMALLEST):
            for one, alone in zip(found["wrapper"][megabytes], found[ALONE][megabytes], strict=True):
                figures.add(WITH, f"lambda_added_{megabytes}", one[0] - alone[0])
                figures.add(WITH, f"lambda_added_cpu_{megabytes}", (one[1] - alone[1]) * 1e3)
                figures.add(WITH, f"lambda_start_{megabytes}", one[0])
                figures.add(WITHOUT, f"lambda_start_{megabytes}", alone[0])
        for kind, sizes in events(bench, rounds).items():
            for megabytes, rows in sizes.items():
                for _, cpu in rows:
                    figures.add(kind, f"lambda_event_{megabytes}", cpu * 1e3)
        took = [_after_a_timeout(bench, "wrapper", SMALLEST) for _ in range(rounds)]
        for seconds in took:
            figures.add(WITH, "lambda_recovery", seconds)
        figures.add(WITH, "lambda_lost", sum(seconds >= TIMEOUT for seconds in took) / rounds)


def _after_a_timeout(bench: Bench, way: str, megabytes: int) -> float:
    """Lambda has killed all processes, and starts them when the next event is there."""
    with bench.plugin(way, megabytes) as plugin:
        return plugin.start() + plugin.event(calls=way != ALONE)


def memory(bench: Bench) -> None:
    """What the function's processes hold after a first event with one call; pages that they share count once."""
    print("\nMB after the first event: in all, and more than the plugin alone")
    alone = 0.0
    for way in (ALONE, *WAYS):
        with bench.plugin(way, WHOLE_CORE) as plugin:
            plugin.start()
            plugin.event(calls=way != ALONE)
            held = sum(plugin.environment.memory().values()) / 1e6
        alone = alone or held
        print(f"{way:12}{held:6.1f}{held - alone:6.1f}", flush=True)


SECTIONS: Final[dict[str, Callable[[Bench], None]]] = {
    "start": start,
    "event": event,
    "timeout": timeout,
    "memory": memory,
}


@contextmanager
def made() -> Iterator[Bench]:
    """Raises Missing."""
    if sys.platform != "linux" or os.geteuid():
        raise Missing("only root can hold processes to a share of a core, on Linux")
    python = optimized.python("awslambdaric")
    nice = os.nice(0)
    os.nice(-15)  # how long Lambda's APIs and BioT take is not to be measured
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), python)
        bench.biot.program.start()
        try:
            bench.biot.program.wait_until_up()
            yield bench
        finally:
            bench.biot.program.stop()
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def main(names: list[str]) -> None:
    with made() as bench:
        print(optimized.told())
        for name in names or SECTIONS:
            SECTIONS[name](bench)


if __name__ == "__main__":
    main(sys.argv[1:])
