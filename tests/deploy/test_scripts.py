"""The shell scripts that ship, as shellcheck sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deploy.programs import DEPLOY, ROOT
from tests.support import wants

SHELL = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!"))


@pytest.mark.parametrize(
    "script", [*SHELL, *sorted((ROOT / ".ci").iterdir())], ids=lambda path: str(path.relative_to(ROOT))
)
def test_shellcheck_finds_nothing_in_a_script(script: Path) -> None:
    checked = subprocess.run([wants.program("shellcheck"), script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
