"""What ships: a wheel that is the same wherever it is built, runs where it is installed, and names its licences."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

import pytest
from biot_sidecar import __version__
from biot_sidecar.extras import MODULES
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.programs import DEPLOY, PLAIN, ROOT, SECRET, USER, call, program
from tests.support import wants
from tests.support.once import made_once

PACKAGE = ROOT / "proxy" / "biot_sidecar"
SOURCES = ["proxy", "config", "deploy/sbom", "docs", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"]


WITH_PACKAGES = {"PYTHONPATH": str(Path(pytest.__file__).parents[1])}
"""For a program without dependencies of its own: those of this test."""
PATIENT_ID = "11111111-1111-1111-1111-111111111111"


def copy_of_sources(folder: Path) -> Path:
    """All that a wheel is built from; the files are as old as this test."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (folder / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, folder / name)
    return folder


def build(folder: Path, **more: str) -> Path:
    """A wheel from a copy of the sources."""
    sources = copy_of_sources(folder / "sources")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=sources, env={**PLAIN, **more}, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made_once(tmp_path_factory, "wheel", lambda folder: build(folder, SOURCE_DATE_EPOCH="1700000000"))
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, installed by pip from the wheel into an environment of its own."""

    def install(environment: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--python", environment / "bin" / "python"]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)

    return made_once(tmp_path_factory, "installed", install) / "bin" / "biot-sidecar"


def ran(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed program in its own folder, far from the sources; its dependencies are the ones of this test."""
    env = {
        **PLAIN,
        **WITH_PACKAGES,
        "BIOT_BASE_URL": "https://api.example",
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
    }
    return subprocess.run([program, *words], cwd=program.parent, env=env, capture_output=True, text=True)


def test_every_place_names_the_same_version() -> None:
    places = {
        "CHANGELOG.md": r"^## \[(\d\S*)\]",
        "Dockerfile": r"^ARG VERSION=(.*)$",
        "deploy/kubernetes/base/kustomization.yaml": r"name: biot-sidecar\n +newTag: (.*)$",
        "deploy/kubernetes/example/kustomization.yaml": r"/biot-sidecar\n +newTag: (.*)$",
    }
    found = {name: re.search(place, (ROOT / name).read_text(), re.MULTILINE)[1] for name, place in places.items()}
    assert set(found.values()) == {__version__}, found


def test_two_builds_of_the_wheel_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path, SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", LC_ALL="C")
    os.utime(again, (0, 0))
    assert digest(again) == digest(wheel)


def test_the_sdist_has_the_pages_and_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path), "--target"]
    env = {**PLAIN, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([*hatchling, "sdist"], cwd=ROOT, env=env, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 has it, and 3.12 asks for one
        archive.extractall(tmp_path)
    sources = tmp_path / sdist.name.removesuffix(".tar.gz")
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "SECURITY.md", ROOT / "RELEASING.md"]:
        assert (sources / page.relative_to(ROOT)).read_bytes() == page.read_bytes()
    subprocess.run([*hatchling, "wheel"], cwd=sources, env=env, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    assert digest(again) == digest(wheel)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_wheel_carries_the_shipped_rules_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in ("routes.yaml", "routes.schema.json"):
            assert archive.read(f"biot_sidecar/data/{name}") == (ROOT / "config" / name).read_bytes()
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "biot_sidecar",
            f"biot_sidecar-{__version__}.data",
            f"biot_sidecar-{__version__}.dist-info",
        }
        manual = f"biot_sidecar-{__version__}.data/data/share/man/man1/biot-sidecar.1"
        assert archive.read(manual) == (ROOT / "docs" / "biot-sidecar.1").read_bytes()
        sources = {str(path.relative_to(ROOT / "proxy")) for path in PACKAGE.rglob("*") if path.is_file()}
        assert {name for name in sources if "__pycache__" not in name} <= set(archive.namelist())


def test_the_installed_program_says_its_version(installed: Path) -> None:
    assert ran(installed, "--version").stdout == f"biot-sidecar {__version__}\n"


def test_the_installed_program_finds_the_shipped_rules(installed: Path) -> None:
    checked = ran(installed, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_installed_demo_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    words = ["demo", "--listen", "127.0.0.1:0", "--simulator-listen", "127.0.0.1:0"]
    with program(tmp_path, "demo", [str(installed), *words], WITH_PACKAGES, cwd=empty) as running:
        assert running.first_line.startswith("BioT simulator on http://127.0.0.1:")
        ready = running.next_line()
        assert ready.startswith("biot-sidecar ready on 127.0.0.1:")
        patient = call("GET", f"http://{ready.split()[3]}/organization/v1/users/patients/{PATIENT_ID}")
        assert patient["_id"] == PATIENT_ID
        assert running.stop() == 0, running.log()
    assert list(empty.iterdir()) == []


@pytest.mark.thorough
def test_the_sbom_tool_lists_what_an_environment_holds(installed: Path, tmp_path: Path) -> None:
    bom = tmp_path / "bom.json"
    tool = [wants.program("cyclonedx-py"), "environment", "--output-reproducible", "--of", "JSON"]
    subprocess.run([*tool, "-o", bom, installed.with_name("python")], check=True, capture_output=True)
    found = json.loads(bom.read_text())
    assert found["bomFormat"] == "CycloneDX"
    assert [(one["name"], one["version"]) for one in found["components"]] == [("biot-sidecar", __version__)]


def test_the_notices_name_every_package_that_ships() -> None:
    assert shipped("biot-sidecar", *MODULES) - {"biot-sidecar"} | {"mypy"} <= noticed().keys()


def test_the_notices_are_of_the_locked_versions() -> None:
    text = "".join((ROOT / name).read_text() for name in ("requirements.lock", "requirements-compile.lock"))
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    assert {name: locked.get(name) for name in noticed()} == noticed(), "run `make notices`"


def noticed() -> dict[str, str]:
    """The packages in the notices: name -> version."""
    lines = (ROOT / "THIRD-PARTY-NOTICES.txt").read_text().splitlines()
    heads = [after.partition(":")[0].split() for line, after in pairwise(lines) if line == "=" * 100]
    return {canonicalize_name(name): version for name, version in heads}


NO_OLDER = {"python_full_version": "3.11.3"} if sys.version_info < (3, 11, 3) else {}
"""The Python that the lists are of: what redis asks older ones for beside, deploy/sbom/support.toml tells of."""


def shipped(name: str, *extras: str) -> set[str]:
    """The package and everything that it needs, by name."""
    found = {canonicalize_name(name)}
    for text in distribution(name).requires or []:
        needed = Requirement(text)
        wanted = not needed.marker or any(
            needed.marker.evaluate({"extra": extra, **NO_OLDER}) for extra in (*extras, "")
        )
        if wanted and canonicalize_name(needed.name) not in found:
            found |= shipped(needed.name, *needed.extras)
    return found


def test_every_extra_that_a_page_names_is_there_and_all_holds_the_others() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pages = [ROOT / "README.md", *DEPLOY.rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"biot-sidecar\[(\w+)\]", page.read_text())}
    assert named
    assert named <= extras.keys()
    assert extras["all"] == [f"biot-sidecar[{','.join(name for name in extras if name != 'all')}]"]


def test_an_extra_asks_for_nothing_that_the_lock_does_not_hold() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {re.split("[<>=\\[]", one)[0] for extra in extras.values() for one in extra} - {"biot-sidecar"}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert wanted <= locked
