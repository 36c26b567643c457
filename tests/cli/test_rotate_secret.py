"""`biot-sidecar rotate-secret` against the simulator, as a process that is killed too."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from biot_sidecar.auth.rotation_files import RotationFiles
from biot_sidecar.process.secret_rotation import alone
from biot_sidecar.settings import load
from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID
from biot_sidecar.simulator.server import running_simulator

from tests.cli.support import Ran, ran
from tests.deploy.programs import PLAIN, ROOT, call
from tests.support.exchanges import Exchange
from tests.support.redis import NEEDS_REDIS, redis_server
from tests.support.scripted_upstream import ScriptedUpstream

KILLED_BEFORE = (7, 20, 26, 32, 37, 39)
"""Steps: a copy takes the place of FILE; FILE.new, FILE.new-id, FILE.old-id, the new FILE and FILE.id are there."""


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "key"
    path.write_text(DEFAULT_SECRET + "\n")
    path.chmod(0o600)
    return path


def settings(url: str, file: Path, **more: str) -> dict[str, str]:
    return {
        "BIOT_BASE_URL": url,
        "BIOT_SERVICE_USER_ID": DEFAULT_SERVICE_USER_ID,
        "BIOT_SERVICE_USER_SECRET_KEY_FILE": str(file),
        **more,
    }


async def rotate(capsys: pytest.CaptureFixture[str], env: dict[str, str], *words: str) -> Ran:
    return await asyncio.to_thread(ran, capsys, "rotate-secret", *words, **env)


async def keys(url: str) -> list[str]:
    told = await asyncio.to_thread(call, "GET", f"{url}/_simulator/secret-keys")
    return [key["id"] for key in told["secretKeys"]]


async def change(url: str, **document: object) -> None:
    await asyncio.to_thread(call, "PUT", f"{url}/_simulator/secret-keys", document)


async def test_the_new_key_is_in_force_and_the_old_one_gone(capsys, file):
    async with running_simulator() as url:
        (old,) = await keys(url)
        said = await rotate(capsys, settings(url, file))
        (new,) = await keys(url)
        login = await asyncio.to_thread(ran, capsys, "login", **settings(url, file))
    assert (said.status, said.err, login.status) == (0, [], 0)
    assert said.out == [
        f"BioT made the secret key {new}",
        f"the new secret key is in {file}",
        f"the old secret key {old} is deleted",
    ]
    secret = file.read_text()
    assert secret.strip() not in ("", DEFAULT_SECRET)
    assert secret not in "\n".join(said.out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["key", "key.id"]


async def test_a_dry_run_changes_nothing(capsys, file):
    before = file.stat().st_ino, file.stat().st_ctime_ns
    async with running_simulator() as url:
        (old,) = await keys(url)
        said = await rotate(capsys, settings(url, file), "--dry-run", "--grace", "7d")
        assert await keys(url) == [old]
    assert said.status == 0
    assert said.out[1] == f"would delete the old key {old} (the only one) in a run 168h later"
    assert (file.stat().st_ino, file.stat().st_ctime_ns) == before
    assert [path.name for path in file.parent.iterdir()] == ["key"]


async def test_what_stays_undeleted_is_named_and_no_failure(capsys, file):
    """Two keys of which none is known: the new one is in force, and the ids of both are told."""
    async with running_simulator() as url:
        await change(url, max=3)
        await rotate(capsys, settings(url, file), "--grace", "1h")
        for name in ("key.id", "key.old-id"):
            (file.parent / name).unlink()
        said = await rotate(capsys, settings(url, file))
        there = await keys(url)
    assert (said.status, len(there)) == (0, 3)
    assert all(f"{one}, made at " in said.err[0] for one in there[:2])


async def test_the_most_keys_leave_the_old_one_in_force(capsys, file):
    async with running_simulator() as url:
        await change(url, max=1)
        said = await rotate(capsys, settings(url, file))
        there = await keys(url)
    assert said.status == 1
    assert "as many secret keys as it may have already" in said.err[0]
    assert there[0] in said.err[0]
    assert file.read_text() == DEFAULT_SECRET + "\n"


@pytest.mark.parametrize("at", KILLED_BEFORE)
async def test_killed_and_run_again_it_ends_with_a_key_that_works(capsys, file, at):
    async with running_simulator() as url:
        await change(url, max=3)
        (old,) = await keys(url)
        env = settings(url, file)
        command = [sys.executable, "-m", "tests.support.killed", str(at), "rotate-secret"]
        died = await asyncio.to_thread(
            subprocess.run, command, env=PLAIN | env, cwd=ROOT, capture_output=True, timeout=60, check=False
        )
        assert died.returncode == -signal.SIGKILL, died
        assert (await asyncio.to_thread(ran, capsys, "login", **env)).status == 0
        assert (await rotate(capsys, env)).status == 0
        assert (await asyncio.to_thread(ran, capsys, "login", **env)).status == 0
        assert old not in await keys(url)
    assert {path.name for path in file.parent.iterdir()} <= {"key", "key.id"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--delete", "../x"), "is no secret key's id"),
        (("--grace", "soon"), "is no duration"),
        (("--grace", "366d"), "no duration of 0d to 365d"),
    ],
)
def test_a_wrong_command_line(capsys, file, words, reason):
    said = ran(capsys, "rotate-secret", *words, **settings("http://127.0.0.1:9", file))
    assert said.status == 2
    assert reason in said.err[-1]


@pytest.mark.parametrize(
    "source",
    [{"BIOT_SERVICE_USER_SECRET_KEY": "x"}, {"SIDECAR_SECRET_COMMAND": "echo x"}],
    ids=["environment", "command"],
)
def test_only_a_secret_in_a_file_can_be_rotated(capsys, file, source):
    env = settings("http://127.0.0.1:9", file)
    del env["BIOT_SERVICE_USER_SECRET_KEY_FILE"]
    said = ran(capsys, "rotate-secret", **env, **source)
    assert (said.status, said.out) == (1, [])
    assert "only a secret in a file can be rotated" in said.err[0]


def test_a_biot_that_is_away_leaves_everything(capsys, file):
    said = ran(capsys, "rotate-secret", **settings("http://127.0.0.1:9", file))
    assert said.status == 1
    assert "the login with" in said.err[-1]
    assert file.read_text() == DEFAULT_SECRET + "\n"
    assert [path.name for path in file.parent.iterdir()] == ["key"]


@NEEDS_REDIS
async def test_of_sidecars_that_share_a_token_one_rotates_at_a_time(capsys, file, tmp_path):
    async with running_simulator() as url, redis_server(tmp_path) as redis:
        env = settings(url, file, SIDECAR_TOKEN_STORE=redis.url)
        another = tmp_path / "another host's"
        another.write_text("secret")
        async with alone(load(env, {}), RotationFiles(str(another))):
            said = await rotate(capsys, env)
            assert said.status == 1
            assert "another sidecar is rotating" in said.err[-1]
        assert (await rotate(capsys, env)).status == 0
        redis.kill()
        said = await rotate(capsys, env)
        assert said.status == 1
        assert "the token store does not say" in said.err[-1]
    assert sorted(path.name for path in file.parent.iterdir() if path.name.startswith("key")) == ["key", "key.id"]


async def test_an_output_that_is_lost_stops_nothing(file):
    async with running_simulator() as url:
        with open("/dev/full", "w") as full:
            said = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "biot_sidecar", "rotate-secret"],
                env=PLAIN | settings(url, file),
                cwd=ROOT,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert len(await keys(url)) == 1
    assert (said.returncode, said.stderr.count("biot-sidecar: ")) == (0, 3)


@pytest.mark.parametrize("command", ["rotate-secret", "login"])
async def test_a_crash_would_leave_no_core_with_the_secret_in_it(file, command):
    """Its limits, as they are once it has asked BioT."""
    asked = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with ScriptedUpstream() as upstream:
        upstream.login_script = wait
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", 'ulimit -c "$(ulimit -Hc)"; exec "$@"', "sh"),
            *(sys.executable, "-m", "biot_sidecar", command),
            env=PLAIN | settings(upstream.url, file),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            await asked.wait()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.kill()
        await process.wait()
    (limit,) = [line for line in limits.splitlines() if "core" in line]
    assert limit.split()[4] in {"0", "1"}, limit
