"""`python -m proxy` in the checkout: the program, from the sources beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from biot_sidecar.__main__ import main

raise SystemExit(main())
