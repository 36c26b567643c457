"""One room knows the platform: nothing else asks which one it is, and each system's module answers every question."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "proxy" / "biot_sidecar"
ROOM = HOUSE / "platform"
OTHERS = [path for path in sorted(HOUSE.rglob("*.py")) if path.parent != ROOM]
SYSTEMS = ("linux", "darwin", "windows")
CHILDREN = ("posix_children", "windows_children")
KERNEL = {
    *("ctypes", "fcntl", "grp", "msvcrt", "nt", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"),
    *("uvloop", "winreg", "winloop", "_winapi"),
}
"""Modules that only some systems have."""
ASKED = {("sys", "platform"), ("sys", "getwindowsversion"), ("os", "name"), ("os", "uname")}
LOOKED_UP = {"os", "select", "signal", "socket", "subprocess", "sys", "time"}
"""Modules whose attributes differ from system to system."""


def questions(tree: ast.AST) -> list[str]:
    """What code asks about the system that it runs on, or takes from one system alone."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in ASKED:
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in KERNEL]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [node.module or ""] if (node.module or "").partition(".")[0] in KERNEL else []
            found += [f"{node.module}.{a.name}" for a in node.names if (node.module, a.name) in ASKED]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"getattr", "hasattr"}:
            first = node.args[0]
            found += [f"{node.func.id} of {first.id}"] if isinstance(first, ast.Name) and first.id in LOOKED_UP else []
    return found


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(HOUSE)))
def test_nothing_else_asks_which_system_it_is(path):
    assert questions(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nif sys.platform == 'linux': ...",
        "from sys import platform",
        "import os\nos.name",
        "def limit():\n    import resource",
        "import ctypes.util",
        "from uvloop import new_event_loop",
        "import socket\ngetattr(socket, 'AF_UNIX', None)",
        "import select\nhasattr(select, 'poll')",
    ],
)
def test_a_question_is_found_out(text):
    assert questions(ast.parse(text))


def signatures(name: str) -> dict[str, str]:
    """What a module of the room defines, and what it takes from another one: name -> signature, or nothing."""
    tree = ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = f"{type(node).__name__} {ast.unparse(node.args)} -> {ast.unparse(node.returns)}"
        elif isinstance(node, ast.ClassDef):
            found[node.name] = ", ".join(sorted(one.name for one in node.body if isinstance(one, ast.FunctionDef)))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ""
        elif isinstance(node, ast.ImportFrom) and node.module == "biot_sidecar.platform.posix":
            found |= {alias.name: signatures("posix")[alias.name] for alias in node.names}
    return found


def taken(name: str) -> set[str]:
    """The attributes of `system` that the room, or its module about children, hands on."""
    tree = ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "system"
    }


def without_defaults(signature: str) -> str:
    return ", ".join(part.partition("=")[0] for part in signature.split(", "))


def test_each_system_answers_every_question():
    wanted = taken("__init__")
    assert len(wanted) > 30
    for name in SYSTEMS:
        assert wanted - signatures(name).keys() == set(), name


def test_the_answers_have_one_form():
    linux = signatures("linux")
    for name in SYSTEMS[1:]:
        there = signatures(name)
        differing = {
            one: (linux[one], there[one])
            for one in taken("__init__") - {"raise_file_limit"}  # its steps are for macOS's own
            if without_defaults(linux[one]) != without_defaults(there[one])
        }
        assert differing == {}, name


def test_children_are_started_signalled_and_reaped_in_the_same_words_everywhere():
    posix, windows = (signatures(name) for name in CHILDREN)
    wanted = taken("children")
    assert wanted - posix.keys() == wanted - windows.keys() == set()
    functions = {"start", "start_own", "reap"}
    assert {posix[one] for one in functions} == {windows[one] for one in functions}
    for name in ("first_line", "send"):
        assert name in posix["Child"]
        assert name in windows["Child"]
    for name in ("__enter__", "next", "ending"):
        assert name in posix["Signals"]
        assert name in windows["Signals"]


def test_only_the_module_of_this_system_is_imported():
    asked = "import sys, biot_sidecar.process, biot_sidecar.cli.serve; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name for name in run.stdout.split() if name.startswith("biot_sidecar.platform.")}
    others = {"linux": "darwin windows", "win32": "linux darwin posix"}.get(sys.platform, "linux windows")
    assert loaded
    assert not {f"biot_sidecar.platform.{name}" for name in others.split()} & loaded
    assert not [name for name in loaded if name.endswith("children")]
