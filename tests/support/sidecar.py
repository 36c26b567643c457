"""The real program in a process of its own, with a clean environment, and what it must never say."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.form import FORM, SLOWDOWN, SYSTEM
from tests.support.rawclient import Answer, RawClient
from tests.support.scripted_upstream import TOKEN_CANARY, ScriptedUpstream
from tests.support.wire import DEADLINE, request

ROOT = Path(__file__).resolve().parents[2]
START = 120.0
"""Seconds in which a program is ready, even one of fifty on a small, busy machine."""
USER = "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"
SECRET = "canary-secret-9d41c0"
CANARY = "canary-private-5b7e"
"""Put into bodies and query values by tests: the program's log must never show it."""

_NEVER = ("Traceback (most recent call last)", "never retrieved", "never awaited", SECRET, TOKEN_CANARY, CANARY)

ROUTES = """\
version: 1
defaults:
  timeout: 60s
routes:
  - {name: intercepted, match: "* /on/**", interception: on}
  - {name: as the plugin says, match: "* /client/**", interception: client}
  - {name: the plugin's own token, match: "* /keep/**", authorization: keep}
  - {name: no token, match: "* /none/**", authorization: none}
  - {name: hasty, match: "* /hasty/**", timeout: 1s}
  - {name: once, match: "* /once/**", retry: none}
  - {name: closed, match: "* /closed/**", deny: nobody goes here}
"""


@dataclass
class Sidecar:
    """A running program."""

    process: asyncio.subprocess.Process
    port: int
    ready_line: str
    stderr: Path
    stopped: bool = False

    def memory(self, which: str) -> int:
        """Resident memory in bytes: `VmRSS` now, `VmHWM` at its highest."""
        for line in self._proc("status").splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {which} for process {self.process.pid}")

    def cpu_ticks(self) -> int:
        """User and system time so far, in clock ticks."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def _proc(self, name: str) -> str:
        if not Path("/proc/self/stat").exists():
            pytest.skip("memory and processor time of a program are read from Linux's /proc")
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        if SYSTEM == "windows" and number is signal.SIGHUP:
            pytest.skip("not on windows: SIGHUP")
        self.process.send_signal(number)

    async def wait(self, timeout: float = DEADLINE) -> int:
        """The exit status; TimeoutError if the program goes on."""
        status = await asyncio.wait_for(self.process.wait(), timeout * SLOWDOWN)
        self.stopped = True
        return status

    async def stop(self) -> None:
        """SIGTERM, a clean end, and nothing in the log that must not be there."""
        try:
            if not self.stopped:
                self.signal()
                assert await self.wait() == 0, self.log()[-2000:]
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
        self.check_log()

    def log(self) -> str:
        """What the program has written so far: it writes in batches, so all of it only once it has stopped."""
        return self.stderr.read_text(errors="replace")

    async def until_logged(self, text: str, times: int = 1) -> str:
        """The log's lines, once the text stands in them that often."""
        async with asyncio.timeout(START):
            while (lines := self.log().rpartition("\n")[0]).count(text) < times:
                await asyncio.sleep(0.02)
        return lines

    def check_log(self) -> None:
        log = self.log()
        for text in _NEVER:
            at = log.find(text)
            assert at < 0, f"{text!r} in the log: ...{log[max(0, at - 1000) : at + 3000]}"


def skip_where_lacking(settings: Mapping[str, str]) -> None:
    """Skip the test if it asks for what this system does not have."""
    if SYSTEM != "windows":
        return
    if settings.get("SIDECAR_TOKEN_STORE", "").startswith("unix:"):
        pytest.skip("not on windows: unix sockets, where this token store listens")
    if "unix:" in settings.get("SIDECAR_LISTEN", "") or settings.get("SIDECAR_INSPECT") == "1":
        pytest.skip("not on windows: unix sockets")
    if settings.get("SIDECAR_WORKERS", "1") != "1":
        pytest.skip("not on windows: several workers")


async def start_sidecar(
    folder: Path,
    base_url: str,
    *,
    routes: str = ROUTES,
    patience: float = START,
    module: str = "biot_sidecar",
    wrapper: Sequence[str] = (),
    **settings: str,
) -> Sidecar:
    """Starts `serve` on a free port, within `patience` seconds; `settings` are environment variables over the plainest
    possible ones, `module` is what runs the program, `wrapper` a command that execs it.
    """
    skip_where_lacking(settings)
    table = folder / "routes.yaml"
    table.write_text(routes)
    environment = {
        **FORM,
        "PATH": "/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "BIOT_BASE_URL": base_url,
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        "SIDECAR_LISTEN": "127.0.0.1:0",
        "SIDECAR_DRAIN_TIMEOUT": "10m",  # a stop that waits in vain lasts longer than any test
        "SIDECAR_SECRET_KEY_CHECK": "0",  # one more request, which few tests are about
        "SIDECAR_ROUTES": str(table),
        **settings,
    }
    stderr = folder / "stderr"
    with stderr.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *wrapper, sys.executable, "-m", module, "serve",
            env=environment, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    line = await _first_line(process, stderr, patience)
    return Sidecar(process, int(line.split(" -> ")[0].rpartition(":")[2]), line, stderr)


async def _first_line(process: asyncio.subprocess.Process, stderr: Path, patience: float) -> str:
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), patience)).decode().strip()
        assert line.startswith("biot-sidecar ready on "), (line, stderr.read_text())
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return line


@dataclass
class House:
    """A sidecar, the upstream behind it, and the clients a test opened."""

    sidecar: Sidecar
    upstream: ScriptedUpstream
    clients: list[RawClient] = field(default_factory=list)

    async def client(self, *, receive_buffer: int | None = None) -> RawClient:
        client = await RawClient.open(self.sidecar.port, receive_buffer=receive_buffer)
        self.clients.append(client)
        return client

    async def ask(self, raw: bytes, method: str = "GET") -> Answer:
        """One request on a connection of its own."""
        client = await self.client()
        try:
            return await client.ask(raw, method)
        finally:
            client.close()

    async def get(self, path: str, *fields: bytes) -> Answer:
        return await self.ask(request("GET", path, *fields))

    async def admin_port(self) -> int:
        """Where the admin listener is, which SIDECAR_ADMIN_LISTEN=127.0.0.1:0 opened."""
        log = await self.sidecar.until_logged("admin pages on 127.0.0.1:")
        return int(re.findall(r"admin pages on 127\.0\.0\.1:(\d+)", log)[-1])

    async def admin(self) -> RawClient:
        """A client of the admin listener, which SIDECAR_ADMIN_LISTEN=127.0.0.1:0 opened."""
        client = await RawClient.open(await self.admin_port())
        self.clients.append(client)
        return client

    async def warm_up(self) -> None:
        """After this a token is in hand and one connection to the upstream idles in the pool."""
        assert (await self.get("/warm-up")).status == 200

    async def fence(self) -> None:
        """A round trip through the program and the upstream: what it did before has had its effect."""
        assert (await self.get("/fence")).status == 200

    async def local_fence(self) -> None:
        """A round trip through the program alone."""
        assert (await self.get("/healthz")).status == 200

    async def tidy(self) -> None:
        """Between tests: clients gone, scripts and records forgotten."""
        for client in self.clients:
            client.reset()
        for client in self.clients:
            await client.wait_closed()
        self.clients.clear()
        self.upstream.forget()


@asynccontextmanager
async def running(
    folder: Path, *, upstream: ScriptedUpstream | None = None, routes: str = ROUTES, **settings: str
) -> AsyncIterator[House]:
    """A house of one's own; ends with a clean stop and a look at the log."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(upstream or ScriptedUpstream())
        sidecar = await start_sidecar(folder, upstream.url, routes=routes, **settings)
        house = House(sidecar, upstream)
        try:
            yield house
            assert not upstream.failures, upstream.failures
        finally:
            await house.tidy()
            await sidecar.stop()


async def until_refused(house: House) -> None:
    """Returns once nobody can connect any more."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                client = await house.client()
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # it was accepted by a system that lets nobody down gently while it closes
                continue
            client.reset()
