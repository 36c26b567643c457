"""A secret that rotates by itself: when it is tried, how often, and what is said. BioT in memory, real files."""

from __future__ import annotations

import os
import time

import pytest
from biot_sidecar.process.secret_rotation import RETRY_SECONDS, SecretRotator

from tests.settings.given import settings
from tests.support.fakes import Clock
from tests.support.rotation_world import FIRST, World

DAY = 86_400.0


class House:
    """A rotator with everything around it in hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = Clock(1000.0)
        self.token: bytes | None = b"Bearer a.b.c"
        self.said: list[tuple[str, str]] = []
        given = settings(
            BIOT_SERVICE_USER_SECRET_KEY=None,
            BIOT_SERVICE_USER_SECRET_KEY_FILE=str(world.file),
            SIDECAR_ROTATE_SECRET_BEFORE="7d",
        )
        self.rotator = SecretRotator(
            given,
            world.fetch,  # type: ignore[arg-type]
            lambda: self.token,
            lambda level, kind, message: self.said.append((level, message)),
            clock=self.clock,
        )

    async def step(self, days: float | None = 3) -> bool:
        return await self.rotator.step(None if days is None else self.world.now + days * DAY)


@pytest.fixture
def house(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, time.time())
    world.biot.ends["key-1"] = world.now + 3 * DAY
    return House(world)


async def test_a_key_near_its_end_is_replaced_and_the_old_one_kept_for_a_day(house):
    assert await house.step()
    assert house.world.file.read_text() == "canary-2"
    assert house.world.beside() == [".id", ".old-id"]
    assert [level for level, _ in house.said] == ["info"] * 3
    assert not [message for _, message in house.said if "canary" in message or FIRST in message]


async def test_the_token_in_hand_asks_and_logins_prove_the_old_secret_and_the_new_one(house):
    await house.step()
    assert [one.rpartition("/")[2] for one in house.world.biot.asked] == [
        "self",
        "accessToken",
        "secret-keys",
        "accessToken",
    ]


@pytest.mark.parametrize("days", [8, None])
async def test_what_is_not_near_its_end_costs_nothing(house, days):
    assert not await house.step(days)
    assert (house.world.biot.asked, house.said, house.world.beside()) == ([], [], [])


async def test_without_a_token_it_waits_for_the_next_step(house):
    house.token = None
    assert not await house.step()
    house.token = b"Bearer a.b.c"
    assert await house.step()


async def test_what_fails_is_tried_each_hour_and_said_once(house):
    house.world.biot.most = 1
    for _ in range(4):
        assert not await house.step()
        assert not await house.step()
        house.clock.now += RETRY_SECONDS
    assert len([one for one in house.world.biot.asked if one.endswith("secret-keys")]) == 4
    ((level, message),) = house.said
    assert level == "error"
    assert message.endswith("tried again each hour")
    house.world.biot.most = 2
    assert await house.step()
    assert house.world.file.read_text() == "canary-2"


async def test_the_day_of_the_grace_is_told_once(house):
    await house.step()
    told = list(house.said)
    for _ in range(3):
        house.clock.now += RETRY_SECONDS
        assert not await house.step()
    assert house.said == told


async def test_the_old_key_is_deleted_a_day_later_whatever_else_is_near(house):
    await house.step()
    old = house.world.file.parent / "key.old-id"
    earlier = time.time() - DAY - 60
    for path in (house.world.file, old):
        os.utime(path, (earlier, earlier))
    house.clock.now += RETRY_SECONDS
    assert await house.step(90)
    assert house.world.biot.secrets == {"key-2": "canary-2"}
    assert house.world.beside() == [".id"]


async def test_what_was_begun_by_hand_is_gone_on_with(house):
    (house.world.file.parent / "key.new").write_text("left")
    house.world.biot.secrets["key-2"] = "left"
    assert await house.step(90)
    assert house.world.file.read_text() == "left"
    assert house.world.biot.made == 1
