"""Some hours of simulated chaos around tokens, by many seeds, and the laws that must hold through all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from biot_sidecar.telemetry.snapshot import LOGIN_OUTCOMES

from tests.auth.chaos import TROUBLES, World
from tests.support.simulated_loop import simulate

STEPS = 60
SEEDS = [*range(10), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(10, 30))]


async def live(seed: int, folder: Path, *, sidecars: int = 1, store: str = "none") -> World:
    """One world from its beginning to its end."""
    world = World(seed, folder, sidecars=sidecars, store=store)
    for house in world.houses:
        house.tokens.start()
    calls: set[asyncio.Task[None]] = set()
    for _ in range(STEPS):
        for _ in range(world.random.choice([0, 1, 1, 2, 20])):
            calls.add(asyncio.ensure_future(world.call()))
        await world.misfortune()
    await asyncio.gather(*calls)
    await world.recover()
    await world.close()
    assert not world.bugs, world.bugs
    assert not world.broken, world.broken
    return world


@pytest.mark.parametrize(("sidecars", "store"), [(1, "none"), (1, "chaotic"), (4, "chaotic"), (4, "sound")])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_the_laws_hold(seed, sidecars, store, tmp_path):
    simulate(live(seed, tmp_path, sidecars=sidecars, store=store))


def test_a_seed_decides_everything(tmp_path):
    lives: list[tuple[int, ...]] = []

    async def once() -> None:
        world = await live(7, tmp_path, sidecars=3, store="chaotic")
        lives.append((world.logins, world.answered, *world.outcomes.values()))

    simulate(once())
    simulate(once())
    assert lives[0] == lives[1]


def test_everything_that_can_go_wrong_with_a_login_goes_wrong_somewhere(tmp_path):
    seen: set[str] = set()
    outcomes: set[str] = set()

    async def one(seed: int) -> None:
        world = await live(seed, tmp_path)
        seen.update(world.outcomes)
        outcomes.update(outcome for house in world.houses for outcome, _ in house.finished)

    for seed in range(25):
        simulate(one(seed))
    assert seen == {"good", "rejected", *TROUBLES}
    # In this world the secret is always to be had, and no proxy stands on the way.
    assert outcomes == set(LOGIN_OUTCOMES) - {"proxy_refused"}
