"""Runs a command of the program as a shell would, without a process."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from biot_sidecar.__main__ import main


class Ran(NamedTuple):
    """How it ended and what it said."""

    status: int
    out: list[str]
    err: list[str]


def ran(capsys: pytest.CaptureFixture[str], *words: str, **env: str) -> Ran:
    """The command's exit status and lines, with nothing else in its environment."""
    try:
        status = main(words, env)
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    return Ran(status, said.out.splitlines(), said.err.splitlines())
