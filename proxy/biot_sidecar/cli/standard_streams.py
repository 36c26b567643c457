"""Standard streams as the program finds them: closed, full, or read by nobody any more."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Final

STREAMS: Final = 3
"""Standard input, output and error are descriptors 0, 1 and 2."""


class OutputLost(Exception):
    """What is printed cannot be written; no mistake of ours. The text says why."""


class Stdout(io.TextIOWrapper):
    """Standard output that tells its own failure from any other OSError."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            reason = error.strerror or ""
        raise OutputLost(reason)

    def flush(self) -> None:
        reason = None
        try:
            super().flush()
        except OSError as error:
            reason = error.strerror or ""
        if reason is not None:
            raise OutputLost(reason)


class Stderr(io.TextIOWrapper):
    """Standard error. What cannot be written there can be told nowhere, and changes no exit status."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare() -> None:
    """Make the process's streams fit for use."""
    # A socket that got one of their numbers would also get what we print and log.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < STREAMS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Python has no stream where the descriptor was closed.
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    given = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(given, io.TextIOWrapper):
        encoding, lines, at_once = given.encoding, given.line_buffering, given.write_through
        sys.stdout = Stdout(given.detach(), encoding, line_buffering=lines, write_through=at_once)
    told = sys.stderr
    if isinstance(told, io.TextIOWrapper):
        sys.stderr = Stderr(told.detach(), told.encoding, line_buffering=True)


def say(*lines: str) -> None:
    """Tell the user on standard error, under the program's name."""
    for line in lines:
        print(f"biot-sidecar: {line}", file=sys.stderr)


def discard_stdout() -> None:
    """Forget what could not be written, or the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
