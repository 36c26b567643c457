"""Runs a command of this program that ends with its parent: `python -m biot_sidecar.cli.lifeline serve`.

Standard input is a pipe whose other end only the parent holds. Each byte on it asks the command to end, as SIGTERM
does, and so does its end, which comes with the parent's, however that ends. For systems whose kernel tells a process
nothing of its parent, or knows no signals.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def watch(descriptor: int) -> None:
    """SIGTERM to this process for each byte, and at the end."""
    while os.read(descriptor, 1):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch, args=[0], name="lifeline", daemon=True).start()
    runpy.run_module("biot_sidecar", run_name="__main__", alter_sys=True)
