"""The web site is built of the pages as they lie here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.generated import ROOT
from tests.support import wants


@pytest.mark.thorough
@pytest.mark.slow
@wants.needs_module("sphinx")
def test_the_site_is_built_without_a_warning_and_lists_every_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-c", "docs", "-d", tmp_path / "cache"]
    built = subprocess.run([*command, ROOT, tmp_path / "site"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert built.returncode == 0, built.stderr
    first = (tmp_path / "site" / "README.html").read_text()
    assert [page.stem for page in (ROOT / "docs").glob("*.md") if f"docs/{page.stem}.html" not in first] == []
