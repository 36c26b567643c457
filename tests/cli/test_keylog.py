"""SSLKEYLOGFILE has no effect on any command, not even where it names a place that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from biot_sidecar.__main__ import main


@pytest.mark.parametrize("where", ["/no/such/folder/keys", "/"])
def test_a_key_log_that_cannot_be_written_ends_nothing(where):
    """Importing aiohttp makes TLS contexts, which open it."""
    code = "import os, biot_sidecar.__main__ as program; program.main(['--version']); import aiohttp"
    ran = subprocess.run([sys.executable, "-c", code], env={**os.environ, "SSLKEYLOGFILE": where}, capture_output=True)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_commands_are_given_the_environment_as_it_was(monkeypatch, capsys):
    monkeypatch.setenv("SSLKEYLOGFILE", "/no/such/folder/keys")
    assert main(["--version"]) == 0
    assert "SSLKEYLOGFILE" not in os.environ
    capsys.readouterr()
