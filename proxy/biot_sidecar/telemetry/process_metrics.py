"""What the kernel and the interpreter count for one process, under the names that prometheus_client gives it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from biot_sidecar.platform import read_process
from biot_sidecar.platform.counts import ProcessCounts
from biot_sidecar.telemetry.merging import LIVE_MIN, LIVE_SUM, MIN

GENERATIONS: Final = 3


@dataclass(eq=False, repr=False)
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


def read_process_metrics(read: Callable[[], ProcessCounts] = read_process) -> ProcessMetrics:
    """This process, as it is now; `read` asks the kernel."""
    found = ProcessMetrics(**read()._asdict())
    for generation, counts in enumerate(gc.get_stats()):
        found.collections[generation] = counts["collections"]
        found.collected[generation] = counts["collected"]
        found.uncollectable[generation] = counts["uncollectable"]
    return found
