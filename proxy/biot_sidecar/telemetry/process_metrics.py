"""What the kernel and the interpreter count for one process, under the names that prometheus_client gives it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from biot_sidecar.telemetry.merging import LIVE_MIN, LIVE_SUM, MIN

GENERATIONS: Final = 3
_PROC: Final = "/proc"


@dataclass
class ProcessMetrics:
    """Sizes in bytes, `cpu` in seconds, `started` in wall-clock seconds. A 0 is not known, as where there is no /proc.

    The three lists have a place for each generation of the garbage collector.
    """

    cpu: float = 0.0
    virtual: int = field(default=0, metadata=LIVE_SUM)
    resident: int = field(default=0, metadata=LIVE_SUM)
    open_files: int = field(default=0, metadata=LIVE_SUM)
    files_most: float = field(default=0.0, metadata=LIVE_MIN)
    started: float = field(default=0.0, metadata=MIN)  # a parent is older than its workers
    collections: list[int] = field(default_factory=lambda: [0] * GENERATIONS)
    collected: list[int] = field(default_factory=lambda: [0] * GENERATIONS)
    uncollectable: list[int] = field(default_factory=lambda: [0] * GENERATIONS)


def read_process_metrics(proc: str = _PROC) -> ProcessMetrics:
    """This process, as it is now."""
    found = ProcessMetrics()
    for read in (_read_stat, _read_files):
        _try(read, found, proc)
    for generation, counts in enumerate(gc.get_stats()):
        found.collections[generation] = counts["collections"]
        found.collected[generation] = counts["collected"]
        found.uncollectable[generation] = counts["uncollectable"]
    return found


def _try(read: Callable[[ProcessMetrics, str], None], found: ProcessMetrics, proc: str) -> None:
    try:
        read(found, proc)
    except (OSError, ValueError, IndexError, ImportError):
        return  # no Linux, or no descriptor left to read it by


def _read_stat(found: ProcessMetrics, proc: str) -> None:
    """proc_pid_stat(5); fields are counted from the one behind the command's name, which may hold anything."""
    with open(f"{proc}/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    found.cpu = (int(fields[11]) + int(fields[12])) / ticks
    found.virtual = int(fields[20])
    found.resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    found.started = _boot_time(proc) + int(fields[19]) / ticks


_booted: dict[str, int] = {}


def _boot_time(proc: str) -> int:
    """Wall-clock seconds; read once, since the file has a line for each processor and interrupt."""
    if proc not in _booted:
        with open(f"{proc}/stat", "rb") as file:
            _booted[proc] = next((int(line.split()[1]) for line in file if line.startswith(b"btime ")), 0)
    return _booted[proc]


def _read_files(found: ProcessMetrics, proc: str) -> None:
    import resource  # not on Windows

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found.files_most = float("inf") if most == resource.RLIM_INFINITY else float(most)
    found.open_files = len(os.listdir(f"{proc}/self/fd"))
