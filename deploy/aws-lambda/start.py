"""Starts the sidecar when a handler imports this first: for a ZIP plugin whose environment cannot name a wrapper.

`from biot_sidecar import start`, with the sidecar's folder in the plugin's ZIP as biot_sidecar/.
"""

import os
import signal
import subprocess
import threading

LISTEN = os.environ.get("SIDECAR_LISTEN", "127.0.0.1:8787").split(",")[0]

_home = os.path.dirname(os.path.abspath(__file__))
_process = subprocess.Popen(
    [f"{_home}/bin/python", f"{_home}/launch.py"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
)
# The sidecar has BioT's address and the secret; from here on, the plugin has neither.
os.environ["BIOT_BASE_URL"] = f"http://{LISTEN}"
os.environ["BIOT_SERVICE_USER_SECRET_KEY"] = "kept-by-biot-sidecar"
# It listens: the first call waits for what is left of its start.
if not _process.stdout.readline():
    raise SystemExit("biot-sidecar did not start")


def _end_with_the_sidecar() -> None:
    """A plugin without its sidecar is of no use; Lambda starts a new environment."""
    _process.wait()
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=_end_with_the_sidecar, daemon=True).start()
