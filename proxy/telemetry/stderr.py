"""Writes the log to standard error from a thread of its own, so that a slow or stuck reader holds up nothing."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final

QUEUE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that may wait for the reader; beyond them lines are dropped, and counted."""
CLOSING_TIME: Final = 2.0


class Stderr:
    """A bounded queue before a file descriptor. The thread starts with the first write.

    `shared`: other processes write there too, so lines go out in pieces that a pipe keeps whole (pipe(7), PIPE_BUF).
    """

    def __init__(self, fd: int = 2, *, limit: int = QUEUE_LIMIT, shared: bool = False) -> None:
        self._fd = fd
        self._limit = limit
        self._shared = shared
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes) -> int:
        """Queue whole lines; never waits. How many lines were dropped since the last write that found room."""
        with self._changed:
            if self._size + len(lines) > self._limit:
                self._dropped += lines.count(b"\n")
                return 0
            self._queue.append(lines)
            self._size += len(lines)
            dropped, self._dropped = self._dropped, 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._changed.notify()
        return dropped

    def close(self, within: float = CLOSING_TIME) -> None:
        """Write what is queued, for `within` seconds at most; what comes later is dropped."""
        with self._changed:
            self._closing = True
            self._limit = 0
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._closing:
                        return
                    self._changed.wait()
                lines = self._queue.popleft()
            for piece in whole_lines(lines, select.PIPE_BUF) if self._shared else [lines]:
                self._put(piece)
            with self._changed:
                self._size -= len(lines)

    def _put(self, lines: bytes) -> None:
        """All of it, or none of what is left when nobody reads any more."""
        rest = memoryview(lines)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # whoever shares the descriptor may have made it non-blocking
                select.select([], [self._fd], [])
            except OSError:
                return


def whole_lines(lines: bytes, most: int) -> Iterator[bytes]:
    """Cut at line ends into pieces of at most `most` bytes; a longer line is a piece of its own."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + most) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
