"""What a run needs beside the dev venv: the peers' own venv, Debian's programs, the compiled Go proxy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = ROOT / "tests" / "bench"
BUILD: Final = ROOT / "build" / "bench"
PYTHON: Final = BUILD / "venv" / "bin" / "python"
COMPILED: Final = ROOT / "build" / "compiled"
PEERS: Final = HERE / "peers"
_REQUIREMENTS: Final = PEERS / "requirements.txt"
_SITE: Final = BUILD / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


class Missing(Exception):
    """Something cannot be had; the text says what, and how it could be."""


def debian(program: str, package: str) -> str:
    """The path of a program that Debian packages. Raises Missing."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{program} is not installed: apt-get install {package}")
    return found


def total_of(out: Path) -> int:
    """The instructions that callgrind counted. Raises Missing."""
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise Missing(f"callgrind wrote no total into {out}")
    return int(found[1])


def in_venv(path: str) -> str:
    """A file of the peers' venv, relative to its site-packages. Raises Missing."""
    found = (_SITE / path).resolve()
    if not found.is_file():
        raise Missing(f"{path} is not in {_SITE}: see {_REQUIREMENTS.relative_to(ROOT)}")
    return str(found)


def make_venv() -> None:
    """Install the peers, one after the other, so that one that cannot be had does not take the rest along."""
    done = BUILD / "venv" / ".done"
    wanted = _REQUIREMENTS.read_text()
    if done.is_file() and done.read_text() == wanted:
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", BUILD / "venv"], check=True)
    for line in wanted.splitlines():
        if not line.startswith("#"):
            print(f"installing {line} into {PYTHON.parents[1].relative_to(ROOT)}", flush=True)
            subprocess.run(
                [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", line], check=False
            )
    done.write_text(wanted)


def compile_sidecar() -> None:
    """The sidecar as it is in its image. Raises Missing."""
    run = subprocess.run(["make", "--no-print-directory", COMPILED.relative_to(ROOT)], cwd=ROOT)
    if run.returncode:
        raise Missing("the sidecar was not compiled")


def go_proxy() -> str:
    """The compiled Go proxy. Raises Missing."""
    source, binary = PEERS / "reverseproxy.go", BUILD / "reverseproxy"
    go = in_venv("go/bin/go")
    if not binary.is_file() or binary.stat().st_mtime < source.stat().st_mtime:
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        print("compiling the Go proxy", flush=True)
        run = subprocess.run([go, "build", "-o", binary, source], env=environment, capture_output=True, text=True)
        if run.returncode:
            raise Missing(f"the Go proxy does not compile: {run.stderr.strip()}")
    return str(binary)
