"""The repository polices its own shape."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "proxy" / "biot_sidecar").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST = 400
"""Lines of a source file."""
HEAVY = {"aiohttp", "redis", "cryptography", "jwt"}
"""What serve imports only when it is switched on."""
THROUGH = {"unknown_operations": "the routes file that asks it"}
"""Decisions that have tests by another name; so have the parts of the routes file's reader."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in SOURCES + TESTS if written(path)], ids=name_of)
def test_each_module_says_at_its_top_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(written(path))), "write a charter docstring"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_source_file_is_longer_than_one_can_read_in_one_go(path):
    assert written(path).count("\n") <= LONGEST


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_source_holds_what_was_put_off(path):
    marks = ("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "\n")
    assert not [mark for mark in marks if mark in written(path)]


def pure_modules() -> list[str]:
    """What the import linter's contract about decisions lists."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["name"] == "decisions never await and know no clock"]
    return contract["source_modules"]


def source_of(module: str) -> Path:
    return ROOT / "proxy" / f"{module.replace('.', '/')}.py"


@pytest.mark.parametrize(
    "module", [one for one in pure_modules() if one.rpartition(".")[2] not in THROUGH and ".file." not in one]
)
def test_each_module_of_decisions_is_imported_by_its_tests(module):
    room, _, name = module.rpartition(".")
    imported = re.compile(rf"from {module} import|from {room} import ([^\n]*\b)?{name}\b")
    assert any(imported.search(written(test)) for test in TESTS if test.stem.startswith("test_"))


def test_starting_to_serve_imports_nothing_heavy():
    """Heavy imports cost a start 100 ms and more, and a sidecar starts with its plugin."""
    loaded = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    asked = f"import sys, biot_sidecar.process, biot_sidecar.__main__; {loaded}"
    run = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert not HEAVY & set(run.stdout.split())


@pytest.mark.parametrize("module", pure_modules())
def test_decisions_never_look_at_the_clock_the_loop_or_the_environment(module):
    """The import linter says so too; this finds what is imported within a function."""
    forbidden = {"asyncio", "socket", "ssl", "time", "random", "os", "logging"}
    for node in ast.walk(ast.parse(written(source_of(module)))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not forbidden & {name.partition(".")[0] for name in names}
