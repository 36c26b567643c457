"""Whether an installed program works on this machine: `python tests/platform/smoke.py`, with nothing but Python.

Starts `demo`, makes a call through it, stops it as Ctrl-C would, and wants a clean end; then `exec`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
PROGRAM = [sys.executable, "-m", "biot_sidecar"]
FREE = {"SIDECAR_LISTEN": "127.0.0.1:0", "SIDECAR_SIMULATOR_LISTEN": "127.0.0.1:0"}
NOBODY = {"BIOT_BASE_URL": "http://127.0.0.1:9", "BIOT_SERVICE_USER_ID": "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"}
ON_WINDOWS = os.name == "nt"
ALONE = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if ON_WINDOWS else {}
STOP = signal.CTRL_BREAK_EVENT if ON_WINDOWS else signal.SIGINT


def demo() -> None:
    """A call through the demo reaches its simulator with a token, and Ctrl-C ends both."""
    env = {**os.environ, **FREE}
    with subprocess.Popen([*PROGRAM, "demo"], env=env, stdout=subprocess.PIPE, text=True, **ALONE) as process:
        assert process.stdout is not None
        ready = next(line for line in process.stdout if line.startswith("biot-sidecar ready on "))
        address = re.search(r"ready on (\S+) ->", ready)
        assert address is not None, ready
        with urllib.request.urlopen(f"http://{address[1]}{PATIENT}", timeout=30) as answer:
            assert json.load(answer)["_name"]["firstName"] == "Demo"
        process.send_signal(STOP)
        assert process.wait(30) == 0, process.returncode


def execute() -> None:
    """A command finds the sidecar in its environment, and its exit status is exec's."""
    code = "import os, urllib.request as u; u.urlopen(os.environ['BIOT_BASE_URL'] + '/healthz'); raise SystemExit(7)"
    env = {**os.environ, **FREE, **NOBODY, "BIOT_SERVICE_USER_SECRET_KEY": "unused"}
    ended = subprocess.run([*PROGRAM, "exec", "--", sys.executable, "-c", code], env=env, timeout=60)
    assert ended.returncode == 7, ended.returncode


if __name__ == "__main__":
    for part in (demo, execute):
        part()
        print(f"{part.__name__}: works on {sys.platform}, Python {sys.version.split()[0]}", flush=True)
