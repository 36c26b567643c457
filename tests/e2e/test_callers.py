"""SIDECAR_ALLOWED_UIDS: the real program, called by several users' processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import House, start_sidecar
from tests.support.users import NOBODY_ELSE, STRANGER, acting_as, can_unshare_users, folder_for_all, needs_root

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    needs_root,
    pytest.mark.not_on("macos", "windows", why="only Linux tells callers' users"),
]
PATHS = [
    "/x",
    "/healthz",
    "/readyz",
    "/metrics",
    "/_sidecar/status",
    "/_sidecar/explain?method=GET&path=/x",
    "/_sidecar/",
]
HEALTH = {"/healthz", "/readyz", "/metrics", "/_sidecar/status"}


@asynccontextmanager
async def program(folder: Path, wrapper: Sequence[str] = (), **settings: str) -> AsyncIterator[House]:
    async with ScriptedUpstream() as upstream:
        sidecar = await start_sidecar(folder, upstream.url, wrapper=wrapper, **settings)
        try:
            yield House(sidecar, upstream)
        finally:
            await sidecar.stop()


def ask(where: int | str, path: str, uid: int, method: str = "GET") -> tuple[int, str]:
    """Status and code of an answer, asked for by a socket of `uid`; `where` is a port or a unix socket's path."""
    with acting_as(uid):
        sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    with sock:
        sock.settimeout(20)
        with acting_as(uid):
            sock.connect(where if isinstance(where, str) else ("127.0.0.1", where))
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        raw = b""
        while data := sock.recv(65536):
            raw += data
    head, _, body = raw.partition(b"\r\n\r\n")
    code = json.loads(body).get("code", "") if b"application/json" in head and body.startswith(b"{") else ""
    return int(head.split(b" ")[1]), code


async def answer(*asked: object) -> tuple[int, str]:
    return await asyncio.to_thread(ask, *asked)


REFUSED = (403, "SIDECAR_CALLER_REFUSED")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with folder_for_all() as folder:
        yield folder


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_only_listed_users_may_call_over_tcp_and_over_a_unix_socket(tmp_path, open_folder, workers):
    path = str(open_folder / "s")
    listen = f"unix:{path},127.0.0.1:0"
    async with program(
        tmp_path, SIDECAR_ALLOWED_UIDS=str(NOBODY_ELSE), SIDECAR_LISTEN=listen, SIDECAR_WORKERS=workers
    ) as house:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
        for where in (house.sidecar.port, path):
            assert (await answer(where, "/x", NOBODY_ELSE))[0] == 200
            assert (await answer(where, "/healthz", NOBODY_ELSE))[0] == 200
            for one in PATHS:
                assert await answer(where, one, STRANGER) == REFUSED, one
            assert await answer(where, "/x", STRANGER, "POST") == REFUSED
            assert await answer(where, "/x", STRANGER, "CONNECT") == REFUSED
            # The sidecar runs as root here, which gives no privilege but to ask for its health.
            for one in PATHS:
                got = await answer(where, one, 0)
                assert got[0] in {200, 503} if one in HEALTH else got == REFUSED, one
        refused = 2 * (len(PATHS) + 2 + len(PATHS) - len(HEALTH))
        metrics = (await house.get("/metrics")).body.decode()
        assert f'biot_sidecar_refused_total{{reason="caller"}} {float(refused)}' in metrics
        assert len(house.upstream.seen("/x")) == 2


async def test_a_process_of_another_user_is_told_by_its_uid(tmp_path):
    asked = "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]));"
    asked += " c.request('GET', '/x'); print(c.getresponse().status)"
    async with program(tmp_path, SIDECAR_ALLOWED_UIDS=f"root,{NOBODY_ELSE}") as house:
        for user, status in ((NOBODY_ELSE, b"200"), (STRANGER, b"403"), (0, b"200")):
            words = ["/usr/bin/env", "python3", "-c", asked, str(house.sidecar.port)]
            run = await asyncio.to_thread(
                subprocess.run,
                words,
                user=user,
                cwd="/",
                capture_output=True,
                timeout=30,
                env={"PATH": os.environ["PATH"]},
            )
            assert run.stdout.strip() == status, (user, run.stderr)


async def test_the_admin_listener_serves_anybody(tmp_path):
    async with program(tmp_path, SIDECAR_ALLOWED_UIDS=str(NOBODY_ELSE), SIDECAR_ADMIN_LISTEN="127.0.0.1:0") as house:
        assert (await answer(await house.admin_port(), "/healthz", STRANGER))[0] == 200


async def test_a_caller_that_has_gone_is_not_let_in_as_root(tmp_path):
    async with program(tmp_path, SIDECAR_ALLOWED_UIDS="0") as house:
        os.kill(house.sidecar.process.pid, signal.SIGSTOP)
        with acting_as(STRANGER), socket.create_connection(("127.0.0.1", house.sidecar.port)) as sock:
            sock.sendall(b"POST /gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        os.kill(house.sidecar.process.pid, signal.SIGCONT)
        for _ in range(3):
            assert (await answer(house.sidecar.port, "/x", 0))[0] == 200
        assert not house.upstream.seen("/gone")


async def test_where_callers_cannot_be_known_it_does_not_start(tmp_path):
    with pytest.raises(AssertionError, match=r"SIDECAR_ALLOWED_UIDS: [0.:]* is not loopback"):
        await start_sidecar(
            tmp_path,
            "http://127.0.0.1:9",
            SIDECAR_ALLOWED_UIDS="0",
            SIDECAR_LISTEN="0.0.0.0:0",
            SIDECAR_ALLOW_REMOTE="1",
        )


@pytest.mark.skipif(not can_unshare_users(), reason="needs user namespaces")
async def test_an_unmapped_user_is_not_let_in_as_nobody(tmp_path):
    """In a namespace that maps root alone every other user looks like 65534, nobody."""
    overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
    async with program(tmp_path, wrapper=("unshare", "-Ur"), SIDECAR_ALLOWED_UIDS=f"0,{overflow}") as house:
        assert (await answer(house.sidecar.port, "/x", 0))[0] == 200
        assert await answer(house.sidecar.port, "/x", STRANGER) == REFUSED
        assert await answer(house.sidecar.port, "/healthz", overflow) == REFUSED
        await house.sidecar.until_logged(f"{overflow} stands for every user")


def test_exec_lets_in_whom_it_is_told_to(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "BIOT_BASE_URL": "http://127.0.0.1:9",
        "BIOT_SERVICE_USER_ID": "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11",
        "BIOT_SERVICE_USER_SECRET_KEY": "x",
        "SIDECAR_LISTEN": "127.0.0.1:0",
        "SIDECAR_LOGIN_AT_START": "0",
    }
    asked = "import os, sys, encodings.idna, urllib.request, urllib.error; os.setuid(int(sys.argv[1]))\n"
    asked += "try: print(urllib.request.urlopen(os.environ['BIOT_BASE_URL'] + '/readyz').status)\n"
    asked += "except urllib.error.HTTPError as error: print(error.code)\n"
    for uid, status in ((NOBODY_ELSE, "200"), (STRANGER, "403")):
        words = ["exec", "--allow-uid", str(NOBODY_ELSE), "--", sys.executable, "-c", asked, str(uid)]
        run = subprocess.run(
            [sys.executable, "-m", "biot_sidecar", *words], env=environment, capture_output=True, text=True, timeout=50
        )
        assert run.stdout.strip() == status, run.stderr
