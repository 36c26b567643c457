"""The form of the program under test: the sources, or the package in a folder, BIOT_SIDECAR_UNDER_TEST; here, or
on what looks like another system, BIOT_SIDECAR_EMULATED (tests/platform/emulated).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

UNDER_TEST = os.environ.get("BIOT_SIDECAR_UNDER_TEST", "")
"""`build/compiled`, for one."""
_ROOT = Path(__file__).resolve().parents[2]
if UNDER_TEST and not Path(UNDER_TEST, "biot_sidecar").is_dir():
    raise SystemExit(f"BIOT_SIDECAR_UNDER_TEST: there is no biot_sidecar in {UNDER_TEST}")
_MEASURED = {name: os.environ[name] for name in ("COVERAGE_PROCESS_CONFIG",) if name in os.environ}
"""`make cover` looks into programs, too."""
SLOWDOWN = 4.0 if _MEASURED else 1.0
"""How many times longer waits may take that bound a broken program: a measured start costs four times as much."""
_FOUND = {"PYTHONPATH": f"{Path(UNDER_TEST).resolve()}:{_ROOT}", "PYTHONSAFEPATH": "1"} if UNDER_TEST else {}
EMULATED = os.environ.get("BIOT_SIDECAR_EMULATED", "")
"""`macos` or `windows`, as programs see this system; empty: as it is."""
SYSTEM = EMULATED or {"linux": "linux", "win32": "windows"}.get(sys.platform, "macos")
_EMULATION = str(Path(__file__).resolve().parents[1] / "platform" / "emulated")
_LOOKS = {
    "BIOT_SIDECAR_EMULATED": EMULATED,
    "PYTHONPATH": ":".join(filter(None, [_EMULATION, _FOUND.get("PYTHONPATH")])),
}
FORM = _FOUND | _MEASURED | (_LOOKS if EMULATED else {})
"""Environment of a process that is the program, or starts it. Safe: `-m` does not look where the process runs."""
if UNDER_TEST:
    sys.path.insert(0, str(Path(UNDER_TEST).resolve()))
    if file := getattr(sys.modules.get("biot_sidecar"), "__file__", None):
        raise SystemExit(f"BIOT_SIDECAR_UNDER_TEST: biot_sidecar was imported from {file} before")
