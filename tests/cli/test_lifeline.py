"""A command that ends with its parent, told by a pipe: what macOS and Windows do without prctl(2)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.deploy.programs import PLAIN, ROOT

PATIENCE = 60
CHILD = """
import signal, sys, threading
from biot_sidecar.cli.lifeline import watch
told = 0
def count(number, frame):
    global told
    told += 1
    print("told", told, flush=True)
signal.signal(signal.SIGTERM, count)
thread = threading.Thread(target=watch, args=[0])
thread.start()
print("here", flush=True)
while thread.is_alive():
    thread.join(0.01)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that says each time when it is asked to end, and ends with its lifeline."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env=PLAIN,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert line(process) == b"here\n"
        yield process
        process.kill()


@pytest.fixture
def beside() -> Iterator[subprocess.Popen[bytes]]:
    """What the parent runs beside the child."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def say(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def hang_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def test_each_empty_line_asks_once_and_so_does_the_end(child):
    say(child, b"\n")
    assert line(child) == b"told 1\n"
    say(child, b"\n")
    assert line(child) == b"told 2\n"
    hang_up(child)
    assert line(child) == b"told 3\n"
    assert child.wait(PATIENCE) == 0


def test_what_runs_beside_it_ends_with_the_parent_too(child, beside):
    say(child, b"%d\n" % beside.pid)
    hang_up(child)
    assert line(child) == b"told 1\n"
    assert beside.wait(PATIENCE) == -signal.SIGTERM


def test_what_has_ended_before_is_left_alone(child, beside):
    say(child, b"%d\n0\n" % beside.pid)
    hang_up(child)
    assert child.wait(PATIENCE) == 0
    assert beside.poll() is None
