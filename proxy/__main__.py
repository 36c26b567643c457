"""`python -m proxy` in the checkout: the program, from the sources beside this file."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
runpy.run_module("biot_sidecar", run_name="__main__", alter_sys=True)
