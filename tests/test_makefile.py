"""The front door: what `make` offers, and which command `make run` runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import wants

ROOT = Path(__file__).parents[1]
PROMISED = {"run", "test", "test-all", "test-compiled", "check", "bench", "help"}
# Stands for the program: says how it was called, and waits to be told to end.
STUB = """#!/bin/sh
trap 'echo ended; exit 0' TERM
echo "biot-sidecar $*"
[ -z "$STUB_WAITS" ] || while :; do sleep 0.05; done
"""

pytestmark = wants.needs("make")


def make(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(["make", *words], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)


@pytest.fixture
def venv(tmp_path: Path) -> str:
    """An installation that needs nothing more, with a stub for the program."""
    (tmp_path / "bin").mkdir()
    for name, text in {"biot-sidecar": STUB, "python": "#!/bin/sh\n# finds nothing wrong with it\n"}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / ".run").touch()
    return f"VENV={tmp_path}"


def test_help_is_the_default_and_lists_every_target_that_was_promised():
    assert make().stdout == make("help").stdout
    listed = {line.split()[0]: line for line in make("help").stdout.splitlines()}
    assert set(listed) >= PROMISED
    assert all(len(line.split()) > 1 for line in listed.values())


def test_every_target_that_is_listed_is_there_whatever_files_lie_about():
    text = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert listed == phony


def test_run_without_a_biot_is_the_demo(venv):
    assert make("run", venv).stdout == "biot-sidecar demo\n"
    assert make("run", venv, BIOT_BASE_URL="").stdout == "biot-sidecar demo\n"


def test_run_with_a_biot_is_the_sidecar_alone(venv):
    assert make("run", venv, BIOT_BASE_URL="https://api.example").stdout == "biot-sidecar serve\n"


def test_run_passes_its_end_on_and_leaves_nothing_behind(venv):
    """As Ctrl-C or a supervisor ends it: the signal goes to the whole group."""
    env = {"PATH": os.environ["PATH"], "STUB_WAITS": "1"}
    with subprocess.Popen(
        ["make", "run", venv], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout.readline() == b"biot-sidecar demo\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == b"ended\n"
        process.wait(30)


def test_an_old_python_is_told_before_anything_is_installed(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    ran = make("run", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert ran.returncode != 0
    assert "Python 3.11 or newer is needed; set PYTHON=/path/to/it" in ran.stderr
    assert not (tmp_path / "venv").exists()


ANEW = "made anew"


def installed(folder: Path) -> Path:
    """An installation as `make` leaves it, as far as it is looked at."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").touch()
    script = folder / "bin" / "biot-sidecar"
    script.write_text(f"#!{folder}/bin/python\nprint('run')\n")
    script.chmod(0o755)
    for stamp in (".run", ".dev", ".compile"):
        (folder / stamp).touch()
    return folder


def done(tmp_path: Path, folder: Path, python: str = sys.executable) -> list[str]:
    """What `make run` does with an installation, step by step; no package is really installed."""
    inside = tmp_path / "inside"
    script = folder / "bin" / "biot-sidecar"
    inside.write_text(f"""#!/bin/sh
case "$*" in
  *editable*) echo installed; printf '#!/bin/sh\\necho run\\n' > {script}; chmod +x {script} ;;
esac
""")
    outside = tmp_path / "outside"
    outside.write_text(f"""#!/bin/sh
case "$*" in
  "-m venv "*) echo {ANEW}; mkdir -p "$3/bin"; cp {inside} "$3/bin/python" && touch -d 2000-01-01 "$3/bin/python" ;;
  *) exec {python} "$@" ;;
esac
""")
    for program in (inside, outside):
        program.chmod(0o755)
    ran = make("run", f"VENV={folder}", f"PYTHON={outside}")
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if "..." not in line]


def test_an_installation_that_is_sound_is_run_as_it_is(tmp_path):
    assert done(tmp_path, installed(tmp_path / "venv")) == ["run"]


def another_python(folder: Path) -> None:
    (packages,) = folder.glob("lib/python*/site-packages")
    packages.parent.rename(packages.parent.with_name("python3.5"))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / ".run").unlink() or shutil.rmtree(folder / "bin"),
        lambda folder: shutil.rmtree(next(folder.glob("lib/python*/site-packages/pip"))),
        lambda folder: (folder / "bin" / "python").unlink() or (folder / "bin" / "python").symlink_to("/gone/python3"),
        another_python,
    ],
    ids=["broken off", "without pip", "its Python is gone", "its Python became another"],
)
def test_an_installation_that_cannot_work_is_made_anew(tmp_path, harm):
    folder = installed(tmp_path / "venv")
    harm(folder)
    assert done(tmp_path, folder) == [ANEW, "installed", "run"]


def test_an_installation_that_was_moved_is_made_anew(tmp_path):
    moved = installed(tmp_path / "venv").rename(tmp_path / "moved")
    assert done(tmp_path, moved) == [ANEW, "installed", "run"]


def test_an_installation_of_another_version_than_the_python_that_was_asked_for_is_made_anew(tmp_path):
    folder = installed(tmp_path / "venv")
    other = tmp_path / "python3"
    other.write_text('#!/bin/sh\ncase "$*" in *print*) echo 3.99 ;; esac\n')
    other.chmod(0o755)
    assert done(tmp_path, folder) == ["run"]
    assert done(tmp_path, folder, str(other)) == [ANEW, "installed", "run"]


def python_without(folder: Path, *lacking: str) -> Path:
    """This Python as Debian ships it, without the modules `lacking`."""
    patterns = "|".join(f'*"import {name}"*|"-m {name} "*' for name in lacking)
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\ncase "$*" in {patterns}) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


def test_a_python_that_cannot_make_an_installation_says_so_and_leaves_nothing_behind(tmp_path):
    python = python_without(tmp_path, "ensurepip", "pip")
    for _ in range(2):
        ran = make("run", f"VENV={tmp_path}/venv", f"PYTHON={python}")
        assert ran.returncode != 0
        assert "apt-get install python3-venv" in ran.stderr
        assert not (tmp_path / "venv").exists()


def test_a_python_without_ensurepip_makes_one_with_the_machines_pip(tmp_path):
    ran = make("-n", "run", f"VENV={tmp_path}/venv")
    assert f"-m pip --python {tmp_path}/venv/bin/python --quiet install pip" in ran.stdout


def test_an_installation_that_could_not_be_made_whole_is_gone_again(tmp_path):
    """As Debian's venv fails, half way."""
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *"-m venv"*) mkdir -p "$3/bin"; exit 1 ;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    ran = make("run", f"VENV={tmp_path}/venv", f"PYTHON={python}")
    assert ran.returncode != 0
    assert not (tmp_path / "venv").exists()
