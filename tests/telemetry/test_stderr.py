"""The log's writer: it never waits for its reader, and says how much was lost."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from biot_sidecar.telemetry.stderr import Stderr, whole_lines


class Pipe:
    """A pipe whose reader reads when told."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)

    def fill(self) -> None:
        """Leave no room in the pipe."""
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, b".")
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.reader, size - len(data))
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for fd in (made.reader, made.writer):
        try:
            os.close(fd)
        except OSError:
            continue


def test_lines_come_out_in_order_and_whole(pipe):
    writer = Stderr(pipe.writer)
    lines = [b"line %d %s\n" % (number, b"x" * 1000) for number in range(50)]
    for line in lines:
        assert writer.write(line) == 0
    assert pipe.read(sum(map(len, lines))) == b"".join(lines)
    writer.close()


def test_closing_writes_what_is_queued(pipe):
    writer = Stderr(pipe.writer)
    for number in range(10):
        writer.write(b"%d\n" % number)
    writer.close()
    assert pipe.read(20) == b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"


def test_nobody_waits_for_a_reader_that_is_stuck(pipe):
    pipe.fill()
    writer = Stderr(pipe.writer, limit=1000)
    for _ in range(100):
        writer.write(b"x" * 99 + b"\n")
    writer.close(within=0.01)
    pipe.read(4096 + 1000)


def test_lines_that_found_no_room_are_counted_once(pipe):
    pipe.fill()
    writer = Stderr(pipe.writer, limit=105)
    writer.write(b"y" * 99 + b"\n")
    assert writer.write(b"two\nlines\n") == 0
    assert writer.write(b"one more\n") == 0
    assert writer.write(b"a\n") == 3
    assert writer.write(b"b\n") == 0
    writer.close(within=0.01)
    pipe.read(4096 + 104)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe):
    os.set_blocking(pipe.writer, False)
    writer = Stderr(pipe.writer)
    writer.write(b"z" * 20000 + b"\n")
    assert pipe.read(20001) == b"z" * 20000 + b"\n"
    writer.close()


def test_a_reader_that_went_away_is_no_error(pipe):
    os.close(pipe.reader)
    writer = Stderr(pipe.writer)
    writer.write(b"nobody reads this\n")
    writer.write(b"nor this\n")
    writer.close()
    assert writer.write(b"too late\n") == 0


def test_a_log_that_said_nothing_needs_no_thread():
    before = threading.active_count()
    Stderr(2).close()
    assert threading.active_count() == before


def test_a_pipe_that_has_room_needs_no_thread(pipe):
    before = threading.active_count()
    writer = Stderr(pipe.writer)
    writer.write(b"one\n")
    assert threading.active_count() == before
    assert pipe.read(4) == b"one\n"
    writer.close()


def test_what_a_full_pipe_did_not_take_comes_before_what_is_written_later(pipe):
    writer = Stderr(pipe.writer)
    writer.write(b"a" * 5000 + b"\n")
    writer.write(b"b\n")
    assert pipe.read(5003) == b"a" * 5000 + b"\nb\n"
    writer.close()


def test_a_pipe_of_others_still_waits_for_its_reader_where_they_write(pipe):
    writer = Stderr(pipe.writer)
    writer.write(b"ours\n")
    assert os.get_blocking(pipe.writer)
    writer.close()


def test_what_is_no_pipe_is_written_by_the_thread(tmp_path):
    with open(tmp_path / "log", "wb") as file:
        writer = Stderr(file.fileno())
        writer.write(b"one\n")
        writer.write(b"two\n")
        writer.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_pieces_for_a_shared_pipe_end_where_lines_end():
    lines = b"one\ntwo\nthree\n" + b"x" * 20 + b"\nfour\n"
    assert list(whole_lines(lines, 9)) == [b"one\ntwo\n", b"three\n", b"x" * 20 + b"\n", b"four\n"]
    assert list(whole_lines(b"no end", 3)) == [b"no end"]


def test_a_shared_writer_gives_a_pipe_no_more_at_once_than_it_keeps_whole(pipe):
    writer = Stderr(pipe.writer, shared=True)
    line = b"x" * 999 + b"\n"
    writer.write(line * 20)
    assert pipe.read(20_000) == line * 20
    writer.close()


# ---- what cannot be written


def until_done(writer: Stderr) -> None:
    """Wait for the log's thread."""
    end = time.monotonic() + 10
    while writer._given != writer._done:
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def file_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, files of this process grow no further (setrlimit(2), RLIMIT_FSIZE)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("shared", [False, True])
def test_a_full_disk_costs_whole_lines_which_are_counted_and_told_once_there_is_room_again(tmp_path, shared):
    with open(tmp_path / "log", "ab") as file:
        writer = Stderr(file.fileno(), shared=shared)
        with file_of_at_most(25):
            for number in (1, 2, 3):
                assert writer.write(b"line %d %s\n" % (number, b"x" * 8)) == 0
                until_done(writer)
            assert writer.lost == 2
        assert writer.write(b"there is room again\n") == 0
        until_done(writer)
        assert writer.write(b"the next line\n") == 2
        assert writer.write(b"the last line\n") == 0
        writer.close()
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines == [b"line 1 xxxxxxxx", b"line 2 xx", b"there is room again", b"the next line", b"the last line"]


def test_a_device_that_takes_nothing_costs_every_line():
    with open("/dev/full", "wb", buffering=0) as full:
        writer = Stderr(full.fileno())
        for _ in range(3):
            assert writer.write(b"one\ntwo\n") == 0
            until_done(writer)
        assert writer.lost == 6
        writer.close()


def test_lines_that_nobody_reads_any_more_are_counted(pipe):
    writer = Stderr(pipe.writer)
    os.close(pipe.reader)
    for _ in range(3):
        assert writer.write(b"one\ntwo\n") == 0
    assert writer.lost == 6
    writer.close()


@contextmanager
def no_more_threads() -> Iterator[None]:
    """As under a limit of processes: pthread_create(3) fails."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")

    usual, threading.Thread.start = threading.Thread.start, start  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = usual  # type: ignore[method-assign]


def test_without_a_thread_a_file_is_written_at_once(tmp_path):
    with open(tmp_path / "log", "ab") as file, no_more_threads():
        writer = Stderr(file.fileno())
        writer.write(b"one\n")
        assert (tmp_path / "log").read_bytes() == b"one\n"
        writer.close()


def test_without_a_thread_nobody_waits_for_a_full_pipe(pipe):
    pipe.fill()
    writer = Stderr(pipe.writer)
    with no_more_threads():
        writer.write(b"one\ntwo\n")
    assert writer.lost == 2
    pipe.read(4096)
    writer.write(b"three\n")
    assert pipe.read(6) == b"three\n"
    writer.close()
