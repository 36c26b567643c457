"""The shell scripts that ship, as shellcheck sees them, and those that people run on their own machines."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
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


# ---- what people run on their own machines, macOS among them

PORTABLE = [ROOT / "Makefile", DEPLOY / "aws-lambda" / "build.sh"]
GNU = {
    r"\bsed (-i|-r|.*\\t)": "macOS' sed wants a suffix after -i, has no -r, and takes \\t for a t",
    r"\breadlink -f|\brealpath\b": "new on macOS; cd -P and pwd are everywhere",
    r"\bfind [^|;]* -(printf|regextype)": "GNU find alone",
    r"\b(touch|date) -d|\bstat -c|\bcp (-t|--)|\bxargs -(r|d)|\bgrep -P|\bsort -V|\bmktemp -p": "GNU's",
    r"\b(expand|nproc)\b": "not everywhere",
    r"\bdeclare -[An]|\b(mapfile|readarray|coproc)\b|\$\{\w+(,,|\^\^|@)|&>>|\|&|\[\[ -v ": "bash 4, and macOS has 3.2",
}


def foreign(text: str) -> list[str]:
    """What only GNU's tools or a newer bash understand."""
    commands = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line for line in commands for pattern in GNU if re.search(pattern, line)]


@pytest.mark.parametrize("script", PORTABLE, ids=lambda path: path.name)
def test_what_people_run_on_a_mac_asks_for_nothing_of_gnu(script: Path) -> None:
    assert foreign(script.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        'sed -i "s/a/b/" file',
        "sed 's/:.*## /\\t/' | cat",
        "here=$(readlink -f .)",
        "find . -printf %s",
        "touch -d yesterday x",
        "awk x | expand -t 15",
        "declare -A seen",
        "echo ${name,,}",
    ],
)
def test_what_a_mac_does_not_have_is_found_out(line: str) -> None:
    assert foreign(line)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"ARCH": "mips"}, "ARCH=mips: Lambda has x86_64 and arm64"),
        (
            {"ARCH": "arm64" if platform.machine() == "x86_64" else "x86_64", "COMPILED": "1"},
            "COMPILED=1 compiles for this",
        ),
        (
            {"PYTHON_HOME": "/nowhere", "ARCH": "arm64" if platform.machine() == "x86_64" else "x86_64"},
            "/nowhere has no lib/",
        ),
    ],
)
def test_a_bundle_that_cannot_be_built_here_is_refused_in_words(
    asked: dict[str, str], told: str, tmp_path: Path
) -> None:
    env = {**os.environ, "PYTHON": sys.executable, **asked}
    ended = subprocess.run(
        [DEPLOY / "aws-lambda" / "build.sh", tmp_path / "out"], capture_output=True, text=True, env=env
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(told)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.thorough
def test_a_bundle_for_arm64_holds_nothing_of_another_architecture(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHON": sys.executable, "ARCH": "arm64"}
    subprocess.run([DEPLOY / "aws-lambda" / "build.sh", tmp_path / "out"], check=True, env=env)
    machines = {path.read_bytes()[18:20] for path in (tmp_path / "out").rglob("*.so")}
    assert machines == {b"\xb7\x00"}  # EM_AARCH64 (elf(5))
