"""The real program, which counts calls by the file of their function: `python -m tests.support.traced serve`.

The counts lie in the file TRACED_TO, as JSON, when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

if __name__ == "__main__":
    from biot_sidecar.__main__ import main

    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":  # a coroutine that goes on is called, too
            calls[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        status = main()
    finally:
        sys.setprofile(None)
        Path(os.environ["TRACED_TO"]).write_text(json.dumps(calls))
    sys.exit(status)
