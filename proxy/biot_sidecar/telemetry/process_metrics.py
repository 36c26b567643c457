"""What the kernel and the interpreter count for one process, under the names that prometheus_client gives it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec
from msgspec import field

from biot_sidecar.platform import read_process
from biot_sidecar.platform.counts import ProcessCounts
from biot_sidecar.telemetry.merging import LIVE_MIN, LIVE_SUM, MIN, Rule

GENERATIONS: Final = 3


class ProcessMetrics(msgspec.Struct, eq=False):
    """Sizes in bytes, `cpu` in seconds, `started` in wall-clock seconds. A 0 is not known, as where there is no /proc.

    The three lists have a place for each generation of the garbage collector.
    """

    RULES: ClassVar[dict[str, Rule]] = {
        "virtual": LIVE_SUM,
        "resident": LIVE_SUM,
        "open_files": LIVE_SUM,
        "files_most": LIVE_MIN,
        "started": MIN,  # a parent is older than its workers
    }

    cpu: float = 0.0
    virtual: int = 0
    resident: int = 0
    open_files: int = 0
    files_most: float = 0.0
    started: float = 0.0
    collections: list[int] = field(default_factory=lambda: [0] * GENERATIONS)
    collected: list[int] = field(default_factory=lambda: [0] * GENERATIONS)
    uncollectable: list[int] = field(default_factory=lambda: [0] * GENERATIONS)


def read_process_metrics(read: Callable[[], ProcessCounts] = read_process) -> ProcessMetrics:
    """This process, as it is now; `read` asks the kernel."""
    found = ProcessMetrics(**msgspec.structs.asdict(read()))
    for generation, counts in enumerate(gc.get_stats()):
        found.collections[generation] = counts["collections"]
        found.collected[generation] = counts["collected"]
        found.uncollectable[generation] = counts["uncollectable"]
    return found
