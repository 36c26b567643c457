"""Sockets and programs of other users, for tests that run as root."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - names are looked up with it, and another user may not read Python's own files
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY_ELSE = 54321
"""A uid that no machine's users have."""
STRANGER = 54322

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Sockets that are made in here belong to `uid`: the kernel asks for the effective user."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is closed to others again by each other run that begins."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def can_unshare_users() -> bool:
    """True where a user namespace can be made."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-Ur", "true"], capture_output=True).returncode == 0
