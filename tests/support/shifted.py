"""The real program with a wall clock that tests set: `python -m tests.support.shifted serve`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

FILE = "TEST_CLOCK"
"""Names the file that holds the seconds by which the program's wall clock is ahead."""


class ShiftedClock:
    """A test's hand on the program's clock; `settings` are what the program needs to be told."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.ahead = 0.0
        self.go(0.0)
        self.settings = {"module": "tests.support.shifted", FILE: str(self._file)}

    def go(self, seconds: float) -> None:
        """As if that much time had passed while the machine slept."""
        self.ahead += seconds
        new = self._file.with_suffix(".new")
        new.write_text(repr(self.ahead))
        os.replace(new, self._file)

    def __call__(self) -> float:
        return time.time() + self.ahead


def _shift(real, file: str):
    def shifted() -> float:
        return real() + float(Path(file).read_text())

    return shifted


if __name__ == "__main__":
    time.time = _shift(time.time, os.environ[FILE])
    from biot_sidecar.__main__ import main

    sys.exit(main())
