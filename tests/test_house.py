"""The repository polices its own shape."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "proxy" / "biot_sidecar").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST = 400
"""Lines of a source file."""
HEAVY = {"aiohttp", "redis", "cryptography", "jwt"}
"""What serve imports only when it is switched on."""
THROUGH = {"catalogue": "the operations that read it", "strangers": "the routes file that asks it"}
"""Policies that have tests by another name."""


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


def policies() -> list[Path]:
    return [
        path for path in sorted((ROOT / "proxy" / "policy").glob("*.py")) if written(path) and path.stem not in THROUGH
    ]


@pytest.mark.parametrize("path", policies(), ids=name_of)
def test_each_policy_is_imported_by_tests_of_policy(path):
    module = f"biot_sidecar.routing.{path.stem}"
    tests = (written(test) for test in (ROOT / "tests").rglob("test_*.py"))
    assert any(
        f"from {module} import" in text or f"from biot_sidecar.routing import {path.stem}" in text for text in tests
    )


def test_starting_to_serve_imports_nothing_heavy():
    """Heavy imports cost a start 100 ms and more, and a sidecar starts with its plugin."""
    asked = "import sys, biot_sidecar.process, biot_sidecar.__main__; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert not HEAVY & set(run.stdout.split())


def test_the_policies_never_look_at_the_clock_the_loop_or_the_environment():
    """Import contracts say so too; this finds what is imported within a function."""
    forbidden = {"asyncio", "socket", "ssl", "time", "random", "os", "logging"}
    for path in (ROOT / "proxy" / "policy").rglob("*.py"):
        for node in ast.walk(ast.parse(written(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.partition(".")[0] for name in names}, name_of(path)
