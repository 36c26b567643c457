"""Finds a wheel of everything that the lock names, on each platform and Python: `python -m tests.deploy.resolution`.

pip is asked for each of them, without installing. Environment markers are read here, since pip reads them as those of
the system that it runs on.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from packaging.requirements import Requirement

LOCK = Path(__file__).parents[2] / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OURS = re.compile(r"^[A-Za-z0-9][^\\\n]*", re.MULTILINE)


class Platform(NamedTuple):
    """`tags` are those of wheels that run there; the others are what markers ask for."""

    tags: tuple[str, ...]
    sys_platform: str
    system: str
    machine: str


def manylinux(machine: str) -> tuple[str, ...]:
    return tuple(f"manylinux{one}_{machine}" for one in ("2014", "_2_17", "_2_28"))


PLATFORMS = {
    "Linux, glibc, x86-64": Platform(manylinux("x86_64"), "linux", "Linux", "x86_64"),
    "Linux, glibc, arm64": Platform(manylinux("aarch64"), "linux", "Linux", "aarch64"),
    "Linux, musl, x86-64": Platform(("musllinux_1_1_x86_64", "musllinux_1_2_x86_64"), "linux", "Linux", "x86_64"),
    "Linux, musl, arm64": Platform(("musllinux_1_1_aarch64", "musllinux_1_2_aarch64"), "linux", "Linux", "aarch64"),
    "macOS 13, arm64": Platform(("macosx_13_0_arm64",), "darwin", "Darwin", "arm64"),
    "macOS 13, x86-64": Platform(("macosx_13_0_x86_64",), "darwin", "Darwin", "x86_64"),
    "Windows, x86-64": Platform(("win_amd64",), "win32", "Windows", "AMD64"),
}


def wanted(lock: str, platform: Platform, python: str) -> Iterator[str]:
    """The lock's requirements that count there, without markers and hashes."""
    environment = {
        "implementation_name": "cpython",
        "os_name": "nt" if platform.sys_platform == "win32" else "posix",
        "platform_machine": platform.machine,
        "platform_python_implementation": "CPython",
        "platform_system": platform.system,
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": platform.sys_platform,
    }
    for line in OURS.findall(lock):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield f"{requirement.name}{requirement.specifier}"


def lacking(platform: Platform, python: str) -> str:
    """Why not all of it can be had there; empty if it can."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        command += ["--ignore-installed", "--no-deps", "--only-binary", ":all:", "--target", folder]
        command += ["--implementation", "cp", "--python-version", python]
        command += [word for tag in platform.tags for word in ("--platform", tag)]
        told = subprocess.run([*command, *wanted(LOCK.read_text(), platform, python)], capture_output=True, text=True)
    return "" if told.returncode == 0 else told.stderr.strip().splitlines()[-1]


def main() -> int:
    good = True
    for name, platform in PLATFORMS.items():
        with ThreadPoolExecutor(2) as threads:
            reasons = list(threads.map(lambda python, platform=platform: lacking(platform, python), PYTHONS))
        for python, reason in zip(PYTHONS, reasons, strict=True):
            count = len(list(wanted(LOCK.read_text(), platform, python)))
            print(f"{name}, Python {python}: {reason or f'all {count} have wheels'}", flush=True)
            good = good and not reason
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
