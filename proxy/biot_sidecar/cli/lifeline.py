"""Runs a command of this program that ends with its parent: `python -m biot_sidecar.cli.lifeline serve`.

Standard input is a pipe whose other end only the parent holds. Each empty line on it asks the command to end, as
SIGTERM does, and so does its end, which comes with the parent's, however that ends. A number is the process that ends
then, too: what the parent runs beside us; 0 is none. For systems whose kernel tells a process nothing of its parent, or
knows no signals.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import threading


def watch(descriptor: int) -> None:
    """SIGTERM to this process for each empty line, and at the end."""
    beside = 0
    with open(descriptor, "rb", closefd=False) as lines:
        for line in lines:
            if line.strip():
                beside = int(line)
            else:
                signal.raise_signal(signal.SIGTERM)
    if beside:
        with contextlib.suppress(OSError):
            os.kill(beside, signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch, args=[0], name="lifeline", daemon=True).start()
    runpy.run_module("biot_sidecar", run_name="__main__", alter_sys=True)
