"""What the page on tests in CI tells one to type does what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from biot_sidecar.simulator.faults import KINDS

from tests.deploy.programs import PLAIN
from tests.docs.generated import DOCS
from tests.support import wants
from tests.support.ports import free_port

PAGE = (DOCS / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_fault_is_told() -> None:
    told = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall("`(.*?)`", row)}
    assert told == set(KINDS)


@pytest.mark.e2e
def test_its_commands_do_what_they_say(tmp_path: Path) -> None:
    wants.program("curl")
    install, *blocks = BLOCKS
    assert install.startswith("pip install")
    sidecar, simulator = free_port(), free_port()
    script = "set -e\n" + "\n".join(blocks)
    for port, here in (("8787", sidecar), ("8788", simulator)):
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{here}")
    addresses = {
        "SIDECAR_LISTEN": f"127.0.0.1:{sidecar}",
        "SIDECAR_SIMULATOR_LISTEN": f"127.0.0.1:{simulator}",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{PLAIN['PATH']}"
    ran = subprocess.Popen(
        ["sh", "-c", script],
        cwd=tmp_path,
        env={**PLAIN, **addresses, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = ran.communicate(timeout=60)
        assert ran.returncode == 0, said
        assert '"logins": 1' in said
    finally:
        os.killpg(ran.pid, signal.SIGKILL)  # the demo in the background
