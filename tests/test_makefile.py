"""The front door: what `make` offers, and which command `make run` runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISED = {"run", "test", "check", "bench", "help"}
# Stands for the program: says how it was called, and waits to be told to end.
STUB = """#!/bin/sh
trap 'echo ended; exit 0' TERM
echo "biot-sidecar $*"
[ -z "$STUB_WAITS" ] || while :; do sleep 0.05; done
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(["make", *words], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)


@pytest.fixture
def venv(tmp_path: Path) -> str:
    """An installation that needs nothing more, with a stub for the program."""
    (tmp_path / "bin").mkdir()
    for name in ("biot-sidecar", "python"):
        (tmp_path / "bin" / name).write_text(STUB)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / ".run").touch()
    return f"VENV={tmp_path}"


def test_help_is_the_default_and_lists_every_target_that_was_promised():
    assert make().stdout == make("help").stdout
    listed = {line.split()[0]: line for line in make("help").stdout.splitlines()}
    assert set(listed) >= PROMISED
    assert all(len(line.split()) > 1 for line in listed.values())


def test_every_target_that_is_listed_is_there_whatever_files_lie_about():
    text = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert listed == phony


def test_run_without_a_biot_is_the_demo(venv):
    assert make("run", venv).stdout == "biot-sidecar demo\n"
    assert make("run", venv, BIOT_BASE_URL="").stdout == "biot-sidecar demo\n"


def test_run_with_a_biot_is_the_sidecar_alone(venv):
    assert make("run", venv, BIOT_BASE_URL="https://api.example").stdout == "biot-sidecar serve\n"


def test_run_passes_its_end_on_and_leaves_nothing_behind(venv):
    """As Ctrl-C or a supervisor ends it: the signal goes to the whole group."""
    env = {"PATH": os.environ["PATH"], "STUB_WAITS": "1"}
    with subprocess.Popen(
        ["make", "run", venv], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout.readline() == b"biot-sidecar demo\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == b"ended\n"
        process.wait(30)


def test_an_old_python_is_told_before_anything_is_installed(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    ran = make("run", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert ran.returncode != 0
    assert "Python 3.11 or newer is needed; set PYTHON=/path/to/it" in ran.stderr
    assert not (tmp_path / "venv").exists()
