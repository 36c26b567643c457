"""Reads files that people name in settings, without ever waiting for one."""

from __future__ import annotations

import errno
import os
import stat

from biot_sidecar.platform import OPEN_AT_ONCE


def read_file(path: str, most: int) -> bytes:
    """At most that many bytes of a regular file. Raises OSError, ValueError for a name with a NUL character.

    Anything else is refused: a pipe gives what it holds once, and a pipe or a terminal keeps its reader waiting.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            kind = "pipe" if stat.S_ISFIFO(mode) else "device"
            raise OSError(errno.ESPIPE, f"it is a {kind}, and it is read more than once")
        return file.read(most)


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe that nobody writes to would wait (open(2)); for regular files it makes no difference.
    return os.open(path, flags | OPEN_AT_ONCE)
