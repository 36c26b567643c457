"""The systemd units: accepted by systemd, hardened, and started by a call on their socket."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.programs import DEPLOY

UNITS = DEPLOY / "systemd"
PROGRAM = "/opt/biot-sidecar/bin/biot-sidecar"
SERVICE = (UNITS / "biot-sidecar.service").read_text()


def analyze(*words: str | Path) -> str:
    """What systemd-analyze says; it must be content."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    said = subprocess.run([tool, *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stderr == ""
    return said.stdout


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS.glob("biot-sidecar.*"):
        # The program is not installed where tests run; systemd looks for it.
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    analyze("verify", tmp_path / "biot-sidecar.service", tmp_path / "biot-sidecar.socket")


def test_systemd_finds_the_service_hardened() -> None:
    exposure = re.search(r"exposure level for biot-sidecar.service: ([\d.]+) OK", analyze_security())
    assert exposure
    assert float(exposure[1]) < 2.0


def analyze_security() -> str:
    return analyze("security", "--offline=true", "--no-pager", UNITS / "biot-sidecar.service")


def test_the_secret_comes_as_a_credential_and_from_nowhere_else() -> None:
    assert "LoadCredential=secret:/etc/biot-sidecar/secret" in SERVICE
    assert "BIOT_SERVICE_USER_SECRET_KEY_FILE=%d/secret" in SERVICE
    assert "SECRET_KEY=" not in SERVICE + (UNITS / "environment.example").read_text()
