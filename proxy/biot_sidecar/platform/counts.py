"""What a kernel counts for one process; a 0 is not known."""

from __future__ import annotations

import msgspec


class ProcessCounts(msgspec.Struct, frozen=True):
    """Sizes in bytes, `cpu` in seconds, `started` in wall-clock seconds."""

    cpu: float = 0.0
    started: float = 0.0
    virtual: int = 0
    resident: int = 0
    open_files: int = 0
    files_most: float = 0.0
