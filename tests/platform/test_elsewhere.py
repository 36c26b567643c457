"""The room's answers on Linux that looks like macOS or Windows, each asked in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import PLAIN, ROOT

EMULATION = Path(__file__).parent / "emulated"
SYSTEMS = ["macos", "windows"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that is made to look like others")
IMPORT_ALL = """
import importlib, json, pkgutil, biot_sidecar
other = {"macos": "linux windows sock_diag windows_children", "windows": "linux darwin posix sock_diag posix_children"}
skip = {f"biot_sidecar.platform.{name}" for name in other[SYSTEM].split()} | {"biot_sidecar.__main__"}
names = [one.name for one in pkgutil.walk_packages(biot_sidecar.__path__, "biot_sidecar.") if one.name not in skip]
for name in names:
    importlib.import_module(name)
print(json.dumps(len(names)))
"""
FAR_SIDES = """
import json, socket
from biot_sidecar.platform import far_side, has_input, receive
class Transport:
    def __init__(self, sock): self.sock = sock
    def get_extra_info(self, name): return self.sock
def seen(end):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    end(client, ours)
    answer = far_side(Transport(ours))
    ours.close(); client.close()
    return answer
def read(client, ours):
    client.send(b"more"); client.close()
    while not has_input(ours.fileno()): pass
    assert receive(ours, 100) == b"more"
def reset(client, ours):
    ours.send(b"unread")
    while not has_input(client.fileno()): pass
    client.close()
print(json.dumps({
    "silent": seen(lambda client, ours: None),
    "speaking": seen(lambda client, ours: client.send(b"more")),
    "half-closed": seen(lambda client, ours: client.shutdown(socket.SHUT_WR)),
    "closed": seen(lambda client, ours: client.close()),
    "closed behind bytes that were read": seen(read),
    "reset": seen(reset),
}))
"""
ANSWERS = """
import json
from biot_sidecar import platform
platform.raise_file_limit()
platform.forbid_core_dumps()
counts = platform.read_process()
print(json.dumps({
    "files": min(platform.file_limit(), 1e9), "peers": platform.why_peers_untold(),
    "memory": platform.resident_memory(),
    "given back": platform.give_memory_back(), "cpu": counts.cpu > 0, "unix": platform.WHY_NO_UNIX_SOCKETS,
    "workers": platform.WHY_NO_WORKERS, "reopened": platform.reopen_pipe(2), "spreads": platform.SPREADING_OPTION,
}))
"""
SIGNALLED = """
import asyncio, json, os, signal
from biot_sidecar import platform
async def main():
    stopped = asyncio.Event()
    platform.handle_signals(asyncio.get_running_loop(), stopped.set, lambda: None)
    os.kill(os.getpid(), signal.SIGINT)
    await stopped.wait()
    return type(asyncio.get_running_loop()).__module__
with asyncio.Runner(loop_factory=platform.new_event_loop) as runner:
    print(json.dumps(runner.run(main())))
"""


def asked(system: str, code: str) -> Any:
    """What a program on that system prints, as JSON."""
    env = PLAIN | {"BIOT_SIDECAR_EMULATED": system, "PYTHONPATH": f"{EMULATION}{os.pathsep}{ROOT / 'proxy'}"}
    done = subprocess.run(
        [sys.executable, "-c", f"SYSTEM = {system!r}\n{code}"], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_fails_at_import(system):
    assert asked(system, IMPORT_ALL) > 150


@pytest.mark.parametrize("system", SYSTEMS)
def test_who_says_no_more_has_gone_and_nobody_else(system):
    assert asked(system, FAR_SIDES) == {
        "silent": "open",
        "speaking": "open",
        "half-closed": "gone",
        "closed": "gone",
        "closed behind bytes that were read": "gone",
        "reset": "gone",
    }


def test_macos_has_what_its_kernel_gives():
    assert asked("macos", ANSWERS) == {
        "files": 10_240,
        "peers": "callers' users are known on Linux only",
        "memory": 0,
        "given back": False,
        "cpu": True,
        "unix": "",
        "workers": "",
        "reopened": -1,
        "spreads": None,
    }


def test_windows_has_what_its_python_gives():
    assert asked("windows", ANSWERS) == {
        "files": 1e9,
        "peers": "Windows has no uids",
        "memory": 0,
        "given back": False,
        "cpu": True,
        "unix": "Python has no unix sockets on Windows",
        "workers": "processes cannot share a port on Windows",
        "reopened": -1,
        "spreads": None,
    }


@pytest.mark.parametrize(("system", "loop"), [("macos", "uvloop"), ("windows", "sitecustomize")])
def test_ctrl_c_wakes_the_loop_and_asks_to_stop(system, loop):
    assert asked(system, SIGNALLED) == loop


def test_on_windows_ctrl_c_wakes_the_loop_that_runs_processes_too():
    run = SIGNALLED[: SIGNALLED.index("with asyncio.Runner")] + "print(json.dumps(asyncio.run(main())))"
    assert asked("windows", run) == "sitecustomize"
