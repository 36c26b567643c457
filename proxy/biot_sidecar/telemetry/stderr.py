"""Writes the log to standard error without blocking: a thread writes what would have to wait for a slow reader.

Whatever cannot be written is counted, line by line: a reader that is too slow, one that has gone, a disk that is full.
After a line of which only the beginning could be written, the next one begins on a line of its own.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Final

from biot_sidecar.platform import PIPE_WHOLE, reopen_pipe, wait_writable

QUEUE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that may wait for the reader; beyond them lines are dropped, and counted."""
CLOSING_TIME: Final = 2.0


class Stderr:
    """A bounded queue before a file descriptor; a thread empties it. A pipe that has room is written to at once.

    `shared`: other processes write there too, so lines go out in pieces that a pipe keeps whole (pipe(7), PIPE_BUF).
    """

    def __init__(self, fd: int = 2, *, limit: int = QUEUE_LIMIT, shared: bool = False) -> None:
        self._fd = fd
        self._limit = limit
        self._shared = shared
        # A queue in C, and each number written by one thread alone: no lock is handed to and fro, which costs the
        # threads several system calls and turns at the interpreter for each batch of lines.
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._given = 0  # bytes
        self._done = 0  # bytes; by the log's thread
        self._dropped = 0  # lines that found no room
        self._failed = 0  # lines that could not be written; by whoever writes
        self._told = 0  # lines of both kinds that write() has told of
        self._failing = False  # the last write failed
        self._inside = False  # what was written last ends inside a line
        self._thread: threading.Thread | None = None
        self._direct = reopen_pipe(fd)

    @property
    def lost(self) -> int:
        """Lines that could not be written, so far."""
        return self._dropped + self._failed

    @property
    def terminal(self) -> bool:
        """True when a person reads along."""
        return os.isatty(self._fd)

    def write(self, lines: bytes) -> int:
        """Queue whole lines; never waits. How many lines were lost of which nobody was told, once that can be told."""
        if self._given - self._done + len(lines) > self._limit:
            self._dropped += lines.count(b"\n")
            return 0
        rest = lines if self._direct < 0 or self._given != self._done else self._write_now(lines)
        if rest:
            self._hand_over(rest)
        if self._failing:
            return 0
        told, self._told = self._told, self.lost
        return self._told - told

    def _write_now(self, lines: bytes) -> bytes:
        """Write what the pipe takes without waiting: what it did not take. To wake a thread costs more, 2 us a line."""
        at = 0
        for piece in self._pieces(lines):
            try:
                written = self._put_some(self._direct, piece)
            except BlockingIOError:
                break
            except OSError:  # nobody reads any more
                self._lose(lines[at:])
                return b""
            at += written
            if written < len(piece):
                break
        return lines[at:]

    def _put_some(self, fd: int, lines: bytes | memoryview) -> int:
        """Write what goes; how many bytes that was. Raises OSError."""
        # Another process may have left half a line where this one failed.
        if self._failing and (self._inside or self._shared):
            os.write(fd, b"\n")
            self._inside = False
        written = os.write(fd, lines)
        self._failing = False
        if written:
            self._inside = bytes(lines[written - 1 : written]) != b"\n"
        return written

    def _lose(self, lines: bytes | memoryview) -> None:
        self._failed += bytes(lines).count(b"\n")
        self._failing = True

    def _pieces(self, lines: bytes) -> Iterable[bytes]:
        return whole_lines(lines, PIPE_WHOLE) if self._shared else [lines]

    def _hand_over(self, lines: bytes) -> None:
        if self._thread is None and not self._start_thread():
            self._do_without_thread(lines)
            return
        self._given += len(lines)
        self._queue.put(lines)

    def _start_thread(self) -> bool:
        """False when the system allows no more threads now (pthread_create(3), EAGAIN)."""
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _do_without_thread(self, lines: bytes) -> None:
        """A file or a terminal takes the lines at once; at a pipe or socket everybody would wait for its reader."""
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISCHR(mode):
            self._put(lines)
        else:
            self._lose(lines)

    def close(self, within: float = CLOSING_TIME) -> None:
        """Write what is queued, for `within` seconds at most; what comes later is dropped."""
        self._limit = 0
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(within)
        if self._direct >= 0:
            os.close(self._direct)
            self._direct = -1

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            for piece in self._pieces(lines):
                self._put(piece)
            self._done += len(lines)

    def _put(self, lines: bytes) -> None:
        """All of it, or none of what is left when it cannot be written."""
        rest = memoryview(lines)
        while rest:
            try:
                rest = rest[self._put_some(self._fd, rest) :]
            except BlockingIOError:  # whoever shares the descriptor may have made it non-blocking
                wait_writable(self._fd)
            except OSError:
                self._lose(rest)
                return


def whole_lines(lines: bytes, most: int) -> Iterator[bytes]:
    """Cut at line ends into pieces of at most `most` bytes; a longer line is a piece of its own."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + most) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
