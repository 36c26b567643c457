"""A Python that was built as distributions and AWS build theirs, profile-guided: what starts are timed with.

One that was built without takes half as long again to start, which says nothing of a plugin's start on AWS Lambda.
BENCH_PYTHON names it; without that it is the running one, if it says that it is optimized, or else the distribution's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Final

from tests.bench.workshop import BUILD, Missing

SYSTEM: Final = "/usr/bin/python3"
VENV: Final = BUILD / "optimized"
_CAN_BE_USED: Final = "import sys, venv; sys.exit(sys.version_info < (3, 11))"
_VERSION: Final = "import platform; print(platform.python_version())"


@cache
def interpreter() -> str:
    """The one that is meant."""
    named = os.environ.get("BENCH_PYTHON")
    if named:
        return shutil.which(named) or named
    if not _says_so() and _runs(SYSTEM, _CAN_BE_USED):
        return SYSTEM
    return sys.executable


def told() -> str:
    """Which it is, for the row."""
    found = interpreter()
    version = subprocess.run([found, "-c", _VERSION], check=False, capture_output=True, text=True).stdout.strip()
    if found == sys.executable and not _says_so():
        return f"Python {version}, built without optimizations, as no other was found (BENCH_PYTHON names one)"
    return f"Python {version} ({found})"


def python(package: str) -> str:
    """That interpreter in a venv of its own, with this package of the index. Raises Missing."""
    found = VENV / "bin" / "python"
    if not _runs(str(found), f"import {package}") or (VENV / "of").read_text() != interpreter():
        shutil.rmtree(VENV, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(found)]
        try:
            subprocess.run([interpreter(), "-m", "venv", "--without-pip", VENV], check=True, capture_output=True)
            subprocess.run([*pip, "install", "pip", package], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Missing(f"no venv of {interpreter()} with {package}: {error}") from None
        (VENV / "of").write_text(interpreter())
    return str(found)


def _says_so() -> bool:
    """Of the running one; some distributions build theirs so and keep no word of it."""
    flags = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS')}"
    return "--enable-optimizations" in flags or "-fprofile-use" in flags


def _runs(python: str, code: str) -> bool:
    return (
        Path(python).exists() and not subprocess.run([python, "-c", code], check=False, capture_output=True).returncode
    )
