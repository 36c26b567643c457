"""The compiled form: made on request and never otherwise, beside its sources, and the same program."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from biot_sidecar import __version__, compiled_modules
from packaging.tags import sys_tags

from tests.cli.processes import running
from tests.deploy.programs import PLAIN, ROOT, SECRET, USER, call, simulator
from tests.deploy.test_supply_chain import PATIENT_ID, copy_of_sources
from tests.support import wants
from tests.support.form import FORM, UNDER_TEST

COMPILED = {**PLAIN, "BIOT_SIDECAR_COMPILED": "1"}
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
LIBRARY = "biot_sidecar__mypyc" + SUFFIX
SMALL = ["proxy/biot_sidecar/durations.py", "proxy/biot_sidecar/routing/retry.py"]
"""A minute is too long for a test: these take seconds."""
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
LISTED: list[str] = WHEEL["hooks"]["custom"]["modules"]

WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)


def missing_for_compiling() -> list[str]:
    has_compiler = wants.found(sysconfig.get_config_var("CC").split()[0])
    has_headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    has_mypyc = wants.importable("mypyc") and wants.importable("setuptools")
    given = {"cc": has_compiler, "Python.h": has_headers, "mypyc": has_mypyc}
    return [name for name, there in given.items() if not there]


needs_compiler = pytest.mark.skipif(bool(missing_for_compiling()), reason=wants.reason(*missing_for_compiling()))
needs_compiled = pytest.mark.skipif(not UNDER_TEST, reason="`make test-compiled` runs it")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy that compiles two small modules."""
    copy = copy_of_sources(tmp_path / "sources")
    project = copy / "pyproject.toml"
    shorter = re.sub(r"(?m)^modules = \[$[^]]*", f"modules = {SMALL!r}"[:-1], project.read_text())
    project.write_text(shorter)
    return copy


def built(sources: Path, env: dict[str, str], target: str = "wheel") -> Path:
    ran = attempted(sources, env, target)
    assert ran.returncode == 0, ran.stderr
    (wheel,) = sources.glob("dist/*.whl")
    return wheel


def attempted(sources: Path, env: dict[str, str], target: str = "wheel") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    return subprocess.run(command, cwd=sources, env=env, capture_output=True, text=True)


def name_of(module: str) -> str:
    """As it is imported: `proxy/` is the source folder."""
    return module.removeprefix("proxy/").removesuffix(".py").replace("/", ".")


def files_of(modules: list[str], folder: Path | str, begin: str = "") -> set[str]:
    """What these say they come from, where the package is installed in `folder`: some say so of their library, and
    some that mypyc imports by itself name an extension of their own, which is not there.
    """
    names = [name_of(module) for module in modules]
    asked = (
        f"from importlib import import_module; {begin}\nfor name in {names}: print(import_module(name).__spec__.origin)"
    )
    path = {"PYTHONPATH": str(folder)}
    ran = subprocess.run([sys.executable, "-P", "-c", asked], env=PLAIN | path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


# ---- making it


@pytest.mark.parametrize("said", [{}, {"BIOT_SIDECAR_COMPILED": ""}, {"BIOT_SIDECAR_COMPILED": "0"}])
def test_nothing_is_compiled_that_was_not_asked_for(sources: Path, said: dict[str, str]) -> None:
    wheel = built(sources, PLAIN | said)
    assert wheel.name == f"biot_sidecar-{__version__}-py3-none-any.whl"
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(SUFFIX)]


def test_an_editable_install_is_never_compiled(sources: Path) -> None:
    wheel = built(sources, COMPILED, "wheel:editable")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(SUFFIX)]


@pytest.mark.slow
@pytest.mark.thorough
@needs_compiler
def test_a_compiled_wheel_is_for_this_platform_and_holds_both_forms(sources: Path, tmp_path: Path) -> None:
    wheel = built(sources, COMPILED)
    own = next(tag for tag in sys_tags() if "manylinux" not in tag.platform and "musllinux" not in tag.platform)
    assert wheel.name == f"biot_sidecar-{__version__}-{own}.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    assert {name for name in names if name.endswith(SUFFIX)} == {LIBRARY}
    assert {str(path.relative_to(ROOT / "proxy")) for path in ROOT.glob("proxy/biot_sidecar/**/*.py")} <= names
    assert not list(sources.rglob(f"*{SUFFIX}"))
    installed = tmp_path / "installed"
    assert [file for file in files_of(SMALL, installed) if not file.endswith(SUFFIX)] == []
    (installed / LIBRARY).rename(tmp_path / LIBRARY)  # a library elsewhere on the path is another installation's
    found = files_of(SMALL, f"{installed}:{tmp_path}")
    assert found == {str(installed / module.removeprefix("proxy/")) for module in SMALL}


@pytest.mark.parametrize(
    ("before", "env", "lacking"),
    [
        ("", {"CC": "no-such-compiler -pthread"}, "the C compiler no-such-compiler"),
        ("sys.modules |= {'mypyc': None, 'setuptools': None};", {"CC": "sh"}, "mypy and setuptools"),
    ],
)
def test_what_compiling_needs_is_told_in_one_line(
    sources: Path, before: str, env: dict[str, str], lacking: str
) -> None:
    program = (
        f"import sys; {before} sys.argv[1:] = ['build', '-t', 'wheel']; from hatchling.cli import hatchling as h; h()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=sources, env=COMPILED | env, capture_output=True, text=True
    )
    (said,) = [line for line in (ran.stdout + ran.stderr).splitlines() if lacking in line]
    assert said.startswith("BIOT_SIDECAR_COMPILED=1 needs ")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.thorough
@needs_compiler
def test_what_cannot_be_compiled_is_told_in_mypys_words(sources: Path) -> None:
    with (sources / SMALL[0]).open("a") as module:
        module.write('WRONG: int = "a word"\n')
    ran = attempted(sources, COMPILED)
    assert ran.returncode == 1
    assert re.search(
        rf"^{SMALL[0].removeprefix('proxy/')}:\d+: error: Incompatible types", ran.stdout + ran.stderr, re.MULTILINE
    )
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(("env", "needed"), [(PLAIN, set()), (COMPILED, {"mypy", "setuptools", "uvloop>=0.22"})])
def test_pip_is_told_what_the_build_needs(env: dict[str, str], needed: set[str]) -> None:
    asked = "from hatchling.build import get_requires_for_build_wheel as needed; print(*needed(), sep='\\n')"
    said = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert {line.partition(";")[0] for line in said.stdout.splitlines()} >= needed
    assert bool(said.stdout.strip()) is bool(needed)


def test_it_is_made_with_the_versions_that_are_tested() -> None:
    made, tested, runs = (pins(f"requirements{kind}.lock") for kind in ("-compile", "-dev", ""))
    assert {"mypy", "setuptools"} <= made.keys()
    assert made.items() <= tested.items()
    assert runs.items() <= tested.items()


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_every_module_that_is_listed_is_there_once() -> None:
    assert [module for module in LISTED if not (ROOT / module).is_file()] == []
    assert sorted(set(LISTED)) == LISTED


def test_no_two_compiled_modules_have_the_same_name() -> None:
    """The library that holds them has an entry point for each, named by the last part alone (PEP 489)."""
    names = [Path(module).stem for module in LISTED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", LISTED)
def test_no_compiled_module_waits_while_it_handles_an_exception(module: str) -> None:
    """Of a coroutine of mypyc's that waits in an except or finally block, the exception stays behind in the thread:
    whatever is raised meanwhile takes it for its context, and many such waits at a time make chains that only grow.
    """
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Try):
            handling = [*node.finalbody, *(step for handler in node.handlers for step in handler.body)]
            waits = [one for step in handling for one in ast.walk(step) if isinstance(one, WAITS)]
            assert not waits, f"{module}:{waits[0].lineno}"
        if isinstance(node, ast.AsyncWith):  # its exit is such a block; that of a timeout does not wait
            assert {ast.unparse(item.context_expr).partition("(")[0] for item in node.items} == {"asyncio.timeout"}


def test_no_value_of_a_compiled_module_is_read_by_its_types() -> None:
    """mypyc drops the types of fields, by which msgspec reads a value that came from elsewhere."""
    compiled = "\n".join((ROOT / module).read_text() for module in LISTED)
    names = "|".join(re.findall(r"^class (\w+)\(msgspec\.Struct", compiled, re.MULTILINE))
    reads = re.compile(rf"(?:convert|decode|Decoder)\(.*\b(?:{names})\b")
    sources = (ROOT / "proxy").rglob("*.py")
    assert [path.name for path in sources if reads.search(path.read_text())] == []


# ---- finding it


def test_a_module_that_the_library_holds_is_found_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("library")
    library.init_package___sub___module = None
    monkeypatch.setitem(sys.modules, compiled_modules.LIBRARY, library)
    finder = compiled_modules.CompiledFinder("/somewhere/library.so")
    found = finder.find_spec("package.sub.module", ["/somewhere/package/sub"])
    assert (found.name, found.origin, found.loader.path) == ("package.sub.module", *["/somewhere/library.so"] * 2)
    assert found.has_location
    assert finder.find_spec(compiled_modules.LIBRARY).origin == "/somewhere/library.so"
    assert finder.find_spec("package.sub") is finder.find_spec("module") is None


def test_where_there_is_no_library_nothing_finds_modules_in_it(tmp_path: Path) -> None:
    before = list(sys.meta_path)
    compiled_modules.find_compiled_modules(str(tmp_path / "biot_sidecar"))
    assert sys.meta_path == before


# ---- running it


def check_of_the_image() -> str:
    """What the Dockerfile asks of the package that it has built."""
    return re.search(r'python -P -c "([^"]+)"$', (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]


@pytest.mark.e2e
@pytest.mark.parametrize("form", [{}, pytest.param(FORM, marks=needs_compiled)], ids=["sources", "compiled"])
def test_an_image_that_is_not_compiled_is_not_built(form: dict[str, str]) -> None:
    command = [sys.executable, "-P", "-c", check_of_the_image()]
    ran = subprocess.run(command, env={"PATH": PLAIN["PATH"]} | form, capture_output=True, text=True)
    assert (ran.returncode == 0) is bool(form), ran.stderr


@pytest.mark.e2e
@needs_compiled
def test_every_module_that_is_listed_is_compiled() -> None:
    folder = Path(UNDER_TEST).resolve()
    start = "from biot_sidecar import frugal_start; frugal_start.begin()"
    for found in (files_of(LISTED, folder), files_of(LISTED, folder, start)):
        assert [file for file in found if not file.endswith(SUFFIX)] == []


@pytest.mark.e2e
@needs_compiled
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_compiled_program_forwards_and_says_what_it_is(tmp_path: Path, workers: str) -> None:
    with simulator(tmp_path) as biot:
        env = {
            "BIOT_BASE_URL": biot,
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
            "SIDECAR_LISTEN": "127.0.0.1:0",
            "SIDECAR_WORKERS": workers,
        }
        with running(tmp_path, **env) as program:
            url = "http://" + program.until("biot-sidecar ready on ").split()[3]
            for _ in range(20):  # each on a connection of its own, so that every worker has something to tell
                assert call("GET", f"{url}/organization/v1/users/patients/{PATIENT_ID}")["_id"] == PATIENT_ID
            said = call("GET", f"{url}/_sidecar/status")
            assert said["build"]["version"] == __version__
            assert sum(rule["hits"] for rule in said["routes"]) == 20
            serving = own_children(program.process.pid) if workers != "1" else [program.process.pid]
            assert len(serving) == int(workers)
            assert all(LIBRARY in Path(f"/proc/{pid}/maps").read_text() for pid in serving)


def own_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
