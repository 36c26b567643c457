"""The real program with short deadlines, for tests that wait for them: `python -m tests.support.hasty serve`."""

from __future__ import annotations

import functools
import os
import sys

SHORT = 0.4
"""Seconds in which a head must arrive, and with SIDECAR_LOGIN_AT_START=0 a login be answered: a start takes its time.
"""

if __name__ == "__main__":
    from biot_sidecar.auth import login_client as login
    from biot_sidecar.http.server import Limits
    from biot_sidecar.process import sidecar

    if os.environ.get("SIDECAR_LOGIN_AT_START") == "0":
        login.TIMEOUT_SECONDS = SHORT
    login.SUSPENDED_SECONDS = 3600.0  # one login is one login
    sidecar.Limits = functools.partial(Limits, head=SHORT)
    from biot_sidecar.__main__ import main

    sys.exit(main())
