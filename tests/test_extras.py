"""An installation without extras: it forwards, and says in one line what whoever asks for more has to install."""

from __future__ import annotations

import re
import subprocess
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import files, packages_distributions
from pathlib import Path

import pytest
from biot_sidecar.extras import MODULES, lack_of

from tests.cli.processes import COMMAND
from tests.deploy.programs import PLAIN, ROOT, program
from tests.settings.given import environment

NOBODY = environment(BIOT_BASE_URL="http://127.0.0.1:9", SIDECAR_LOGIN_AT_START="0", SIDECAR_LISTEN="127.0.0.1:0")


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that finds no module of any extra."""
    absent = sorted({name for modules in MODULES.values() for name in modules})
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({absent})\n")
    return {"PYTHONPATH": f"{tmp_path}:{ROOT / 'proxy'}"}


def ran(bare: dict[str, str], *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = PLAIN | NOBODY | bare | env
    return subprocess.run([*COMMAND, *words], env=given, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_an_extra_names_the_modules_that_it_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {
        extra: {re.split("[<>=]", one)[0] for one in needs}
        for extra, needs in project["optional-dependencies"].items()
        if extra != "all"
    }
    installed = packages_distributions()  # it reads what each of some hundred distributions has installed
    found = {extra: {distribution_of(name, installed) for name in names} for extra, names in MODULES.items()}
    assert found == asked


def distribution_of(module: str, installed: Mapping[str, list[str]]) -> str:
    """The name of what installs it; many share a namespace such as `opentelemetry`."""
    top, _, below = module.partition(".")
    providers = installed[top]
    if not below:
        return providers[0].lower()
    folder = module.replace(".", "/") + "/"
    return next(one for one in providers if any(str(file).startswith(folder) for file in files(one) or ()))


def test_an_extra_that_is_installed_lacks_nothing() -> None:
    assert {lack_of(extra) for extra in MODULES} == {""}


INSPECT = {"SIDECAR_INSPECT": "1"}
STORE = {"SIDECAR_TOKEN_STORE": "redis://h"}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "env", "who", "lacks", "extra"),
    [
        ("simulate", {}, "simulate", "aiohttp and cryptography", "simulator"),
        ("demo", {}, "demo", "aiohttp and cryptography", "simulator"),
        ("serve", INSPECT, "SIDECAR_INSPECT:", "aiohttp", "inspector"),
        ("exec -- true", INSPECT, "SIDECAR_INSPECT:", "aiohttp", "inspector"),
        ("login", STORE, "SIDECAR_TOKEN_STORE:", "cryptography and redis", "redis"),
        ("check", STORE, "SIDECAR_TOKEN_STORE: error:", "cryptography and redis", "redis"),
        ("check --live", INSPECT, "SIDECAR_INSPECT: error:", "aiohttp", "inspector"),
        ("serve", STORE | {"SIDECAR_WORKERS": "2"}, "SIDECAR_TOKEN_STORE:", "cryptography and redis", "redis"),
    ],
)
def test_what_needs_an_extra_says_so_in_one_line_with_status_1(bare, words, env, who, lacks, extra) -> None:
    done = ran(bare, *words.split(), **env)
    (said,) = (line for line in (done.stdout + done.stderr).splitlines() if "routes, " not in line)
    are = "are" if " and " in lacks else "is"
    assert said.removeprefix("biot-sidecar: ") == (
        f'{who} needs {lacks}, which {are} not installed here: pip install "biot-sidecar[{extra}]"'
    )
    assert done.returncode == 1


@pytest.mark.e2e
@pytest.mark.parametrize("words", ["simulate --help", "demo --help", "check", "explain GET /a", "version"])
def test_what_needs_none_works_without(bare, words) -> None:
    done = ran(bare, *words.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.e2e
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sidecar_serves_and_forwards_without_any(bare, tmp_path, workers) -> None:
    with program(tmp_path, "sidecar", COMMAND, NOBODY | bare | {"SIDECAR_WORKERS": workers}) as running:
        where = running.first_line.split()[3]
        assert urllib.request.urlopen(f"http://{where}/metrics", timeout=60).status == 200
        with pytest.raises(urllib.error.HTTPError) as error, urllib.request.urlopen(f"http://{where}/a", timeout=60):
            pass
        with error.value as answer:  # nobody is at home where it logs in
            assert (answer.status, b"SIDECAR_LOGIN_UNAVAILABLE" in answer.read()) == (503, True)
        assert running.stop() == 0
