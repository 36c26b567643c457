"""The secret's command: run before each login, asked once a minute while BioT rejects what it printed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from biot_sidecar.auth.secret_command import POLL_SECONDS, SecretCommand, SupervisedSecretCommand
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_command_run import SecretCommandFailed


class World:
    """A command that prints a file, counts its runs in another, and a clock that the test moves on."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "secret"
        self.file.write_text("one")
        self._runs = folder / "runs"
        self.warnings: list[str] = []
        self.noticed = 0
        self.slept: list[float] = []
        self._minute = asyncio.Event()
        self._asleep = asyncio.Event()
        self.source = SecretCommand(
            ["/bin/sh", "-c", f"echo >> {self._runs}; cat {self.file}"],
            {"PATH": "/usr/bin:/bin"},
            clock=time.monotonic,
            warn=self.warnings.append,
            sleep=self._sleep,
            noticed=self._notice,
        )

    @property
    def runs(self) -> int:
        return len(self._runs.read_text().splitlines())

    def _notice(self) -> None:
        self.noticed += 1
        self._asleep.set()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.set()
        self._minute.clear()
        await self._minute.wait()

    async def minute(self) -> None:
        """A minute passes; what it sets off is over, too."""
        await self._asleep.wait()
        self._asleep.clear()
        self._minute.set()
        await self._asleep.wait()


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    yield world
    await world.source.close()


async def test_it_is_run_before_each_login(world):
    assert await world.source.read() == Secret("one")
    world.file.write_text("two")
    assert await world.source.read() == Secret("two")
    assert (world.runs, world.source.changed(), world.slept) == (2, False, [])


async def test_after_a_rejected_login_it_is_run_once_a_minute_and_only_another_output_counts(world):
    await world.source.read()
    world.source.login_ended(rejected=True)
    world.source.login_ended(rejected=True)
    await world.minute()
    await world.minute()
    assert (world.runs, world.source.changed(), world.noticed) == (3, False, 0)
    world.file.unlink()
    await world.minute()
    assert (world.runs, world.source.changed()) == (4, False)
    world.file.write_text("two")
    await world.minute()
    assert (world.runs, world.source.changed(), world.noticed) == (5, True, 1)
    assert set(world.slept) == {POLL_SECONDS}
    assert await world.source.read() == Secret("two")
    assert not world.source.changed()


async def test_a_login_that_succeeds_ends_it(world):
    await world.source.read()
    world.source.login_ended(rejected=True)
    await asyncio.sleep(0)
    world.source.login_ended(rejected=False)
    await asyncio.sleep(0)
    assert (world.runs, len(world.slept)) == (1, 1)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_failed_run_is_a_failure_with_its_setting(world):
    world.file.unlink()
    with pytest.raises(SecretCommandFailed, match="ended with status 1") as caught:
        await world.source.read()
    assert caught.value.setting == "SIDECAR_SECRET_COMMAND"


async def test_nobody_else_waits_for_it():
    source = SecretCommand(["/bin/sleep", "60"], {}, clock=time.monotonic)
    reading = asyncio.ensure_future(source.read())
    await asyncio.sleep(0.05)
    began = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert time.monotonic() - began < 40


async def test_what_stands_around_the_secret_is_warned_about_once(world):
    world.file.write_text("'one'")
    await world.source.read()
    await world.source.read()
    assert world.warnings == [
        "SIDECAR_SECRET_COMMAND: the secret stands in quotes, which are sent to BioT as part of it"
    ]


def test_a_worker_hears_of_another_secret_from_its_supervisor():
    secret = SupervisedSecretCommand()
    assert not secret.changed()
    secret.notice()
    assert secret.changed()
    assert secret.read() == Secret("")
    assert not secret.changed()
