"""A socket that systemd holds: programs come and go behind it, and no call is refused."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from biot_sidecar.process.draining import IDLE_GRACE

from tests.support.form import FORM
from tests.support.rawclient import RawClient
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import ROOT, ROUTES, SECRET, USER
from tests.support.wire import DEADLINE, request

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.not_on("macos", "windows", why="systemd is Linux's"),
]

PROGRAMS = 3
LAUNCH = """
import os, sys
held = int(sys.argv[1])
if held != 3:
    os.dup2(held, 3)
    os.close(held)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "biot_sidecar"])
"""


class Manager:
    """What systemd does for a service with a socket: holds it, hands it over, and hears of the service's state."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream, workers: str) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(folder / "notify"))
        self._told.setblocking(False)
        self._environment = {
            **FORM,
            "PATH": "/usr/bin:/bin",
            "NOTIFY_SOCKET": str(folder / "notify"),
            "BIOT_BASE_URL": upstream.url,
            "BIOT_SERVICE_USER_ID": USER,
            "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
            "SIDECAR_ROUTES": str(folder / "routes.yaml"),
            "SIDECAR_WORKERS": workers,
        }
        (folder / "routes.yaml").write_text(ROUTES)

    @property
    def port(self) -> int:
        return self.listening.getsockname()[1]

    async def start(self) -> asyncio.subprocess.Process:
        """A program that has said READY=1."""
        held = self.listening.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LAUNCH, str(held),
            env=self._environment, cwd=ROOT, pass_fds=[held], stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await self.heard() == b"READY=1"
        return process

    async def heard(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._told, 100), DEADLINE)

    def close(self) -> None:
        self.listening.close()
        self._told.close()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_calls_wait_at_the_socket_while_the_program_is_replaced(tmp_path: Path, workers: str) -> None:
    async with ScriptedUpstream() as upstream:
        manager = Manager(tmp_path, upstream, workers)
        clock = asyncio.get_running_loop().time
        over = asyncio.Event()
        answered: list[int] = []

        async def keep_calling() -> None:
            while not over.is_set():
                began = clock()
                client = await RawClient.open(manager.port)
                await client.send(request("GET", "/x"))
                asked_at_once = clock() - began < IDLE_GRACE  # else it may have been closed, as one that rests
                with nullcontext() if asked_at_once else suppress(AssertionError):
                    answered.append((await client.read_answer()).status)
                client.close()

        async with asyncio.TaskGroup() as callers:
            for _ in range(4):
                callers.create_task(keep_calling())
            for _ in range(PROGRAMS):
                program = await manager.start()
                served = len(answered)
                while len(answered) < served + 50:
                    await asyncio.sleep(0.01)
                program.terminate()
                assert await manager.heard() == b"STOPPING=1"
                assert await program.wait() == 0
            last = await manager.start()
            over.set()
        last.terminate()
        assert await last.wait() == 0
        manager.close()
    assert set(answered) <= {200, 503}, "503: its connection had been taken before the stop"
    assert answered.count(503) < len(answered) / 10
