"""A wall clock that tests set on for processes whose monotonic clock stands still, as on a machine that was frozen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import wants


class WallClock:
    """Processes started with `variables` read this clock; libfaketime stands between them and the machine's."""

    def __init__(self, file: Path) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            pytest.skip(wants.reason("libfaketime"))
        self._file = file
        self.move_on(0)
        self.variables = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def move_on(self, seconds: int) -> None:
        """From now on it is so many seconds later than on this machine, or earlier; the file is never half written."""
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.replace(self._file)
