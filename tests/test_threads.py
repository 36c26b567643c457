"""Work in threads, when the process ends."""

from __future__ import annotations

import subprocess
import sys

from tests.deploy.programs import DEADLINE, PLAIN, ROOT

ENDS = """
import asyncio, atexit, threading, time
from biot_sidecar.threads import start_thread

ending = threading.Event()

def work():
    ending.wait()
    for _ in range(100):
        time.sleep(0)  # others run, the end of the process for one
    print("whole")

async def main():
    start_thread(work, "trusted CAs", overtaken=False)

asyncio.run(main())
atexit.register(ending.set)
"""


def test_the_process_waits_at_its_end_for_work_with_what_its_exit_frees() -> None:
    """OpenSSL's clean-up at exit(3) under a thread that read CAs was a segmentation fault."""
    ran = subprocess.run(
        [sys.executable, "-c", ENDS], cwd=ROOT, env=PLAIN, capture_output=True, text=True, timeout=DEADLINE
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "whole\n", "")
