"""A start in instructions, which no busy machine changes: until ready over https, and until the first POST is answered.

Beside the least that a program in Python can do, peers/start_floor.py. The real programs run under callgrind, from
their beginning to their end, which a SIGTERM asks for as soon as they are ready or have answered.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.contestants import Job, sidecar
from tests.bench.program import Program
from tests.bench.upstream import Upstream
from tests.bench.workshop import BUILD, PEERS, debian, total_of

READY_MOST: Final = 1.7
"""The start, in floors: what is wanted."""
FIRST_MOST: Final = 260_000_000
"""Instructions from the floor's first answer to the sidecar's: what is wanted."""
_POST: Final = b"POST /organization/v1/users/patients HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"


class StartCost(NamedTuple):
    """Instructions in user mode; a floor is what asyncio, ssl and uvloop take alone."""

    ready: int
    ready_floor: int
    first: int
    first_floor: int
    modules: list[str]
    """What is imported until ready (-X importtime); the floor does not count here."""

    def __str__(self) -> str:
        ready, first = self.ready / self.ready_floor, (self.first - self.first_floor) / 1e6
        return (
            f"{self.ready / 1e6:.0f} million until ready over https, {ready:.2f} floors (wanted: {READY_MOST}); "
            f"{self.first / 1e6:.0f} until the first POST is answered, {first:.0f} more than the floor "
            f"(wanted: {FIRST_MOST / 1e6:.0f}); {len(self.modules)} modules until ready, "
            f"{sum(name.startswith('biot_sidecar') for name in self.modules)} of them ours"
        )


def start_cost(*, interpreted: bool) -> StartCost:
    """Raises Missing."""
    folder = BUILD / "run" / "start"
    folder.mkdir(parents=True, exist_ok=True)
    upstream = Upstream(folder)
    upstream.program.start()
    try:
        upstream.program.wait_until_up()
        job = Job(upstream, tls=True, folder=folder)
        first = sidecar(job, interpreted=interpreted)
        alone = sidecar(job, interpreted=interpreted, BIOT_BASE_URL="https://127.0.0.1:9", SIDECAR_LOGIN_AT_START="0")
        del alone.environment["SIDECAR_CA_FILE"]  # the system's
        floor = [sys.executable, "-P", str(PEERS / "start_floor.py")]
        _count(alone, alone.command)  # the first start after a change compiles modules
        return StartCost(
            ready=_count(alone, alone.command),
            ready_floor=_count(alone, floor),
            first=_count(first, first.command, ask=True),
            first_floor=_count(first, [*floor, str(upstream.tls), str(upstream.ca_file)]),
            modules=_imported(alone),
        )
    finally:
        upstream.program.stop()


def _imported(program: Program) -> list[str]:
    command = [program.command[0], "-X", "importtime", *program.command[1:]]
    with subprocess.Popen(
        command, env={"PATH": "/usr/bin:/bin", **program.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.terminate()
        told = process.communicate()[1].decode(errors="replace")
    assert b"ready" in ready, told[-500:]
    return re.findall(r"^import time: +\d.*\| +(\S+)$", told, re.MULTILINE)


def _count(program: Program, command: list[str], *, ask: bool = False) -> int:
    out = Path(f"{program.log}.callgrind")
    valgrind = [debian("valgrind", "valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(out.parent), "PYTHONHASHSEED": "0", **program.environment}
    with (
        program.log.open("ab") as log,
        subprocess.Popen(
            [*valgrind, *command], env=environment, cwd=out.parent, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline(), program.log.read_text(errors="replace")[-500:]
        if ask:
            with socket.create_connection(("127.0.0.1", program.port)) as sock:
                sock.sendall(_POST)
                assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        process.terminate()
    return total_of(out)


if __name__ == "__main__":
    for form in ("compiled", "interpreted"):
        print(f"{form}: {start_cost(interpreted=form == 'interpreted')}", flush=True)
