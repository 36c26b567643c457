"""When the secret key ends: what BioT says of it, when it is asked, what is warned about. No sockets."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from biot_sidecar.auth.fleet_key_life import FleetKeyLife
from biot_sidecar.auth.secret_key_life import (
    DAY_SECONDS,
    PATH,
    KeyLife,
    SecretKeyWatch,
    Unknown,
    ask_key_life,
    read_key_life,
)
from biot_sidecar.errors import Code, UpstreamError
from biot_sidecar.http.messages import Response
from biot_sidecar.timestamps import iso

from tests.support.fakes import Clock
from tests.support.memory_store import MemoryStore

NOW = 1_763_549_574.0
DAY = DAY_SECONDS


def body(*ends: object) -> bytes:
    keys = [{"id": "k", "creationTime": iso(NOW), **({} if end is None else {"expirationTime": end})} for end in ends]
    return json.dumps({"id": "u", "secretKeys": keys}).encode()


def after(days: float) -> str:
    return iso(NOW + days * DAY)


@pytest.mark.parametrize(
    ("ends", "life"),
    [
        ([after(40)], KeyLife(NOW + 40 * DAY, 1)),
        ([None], KeyLife(None, 1)),
        ([None, None], KeyLife(None, 2)),
        ([after(40), None, after(3)], KeyLife(NOW + 3 * DAY, 3)),
        ([after(-5), after(40)], KeyLife(NOW + 40 * DAY, 1)),
        ([after(-5), None], KeyLife(None, 1)),
        ([after(-5), after(-1)], KeyLife(NOW - DAY, 1)),
    ],
)
def test_the_first_key_that_ends_counts(ends, life):
    assert read_key_life(200, body(*ends), NOW) == life


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (401, b"{}", "401"),
        (403, b'{"code": "ACCESS_DENIED"}', "UMS_SERVICES_SELF_GET_SERVICE_USER"),
        (404, b"{}", "BioT 2.4.3"),
        (500, b"{}", "BioT answered 500"),
        (302, b"", "BioT answered 302"),
        *(
            (200, content, "tells of no keys")
            for content in (
                b"", b"<html>", b"[]", b"{}", b'{"secretKeys": []}', b'{"secretKeys": 1}', b'{"secretKeys": ["x"]}',
                body("soon"), body(17), body(after(40), True), b"[" * 99_999,
            )
        ),
    ],
)  # fmt: skip
def test_whatever_else_comes_is_not_known_for_a_reason(status, content, words):
    result = read_key_life(status, content, NOW)
    assert isinstance(result, Unknown)
    assert words in result.reason


def test_it_says_when_a_key_ends():
    end = NOW + 6.5 * DAY
    assert KeyLife(end, 1).describe(NOW) == f"the secret key ends at {iso(end, 'seconds')}, in 6 days"
    assert KeyLife(NOW + DAY, 3).describe(NOW).startswith("one of 3 secret keys ends at ")
    assert KeyLife(NOW + DAY, 1).describe(NOW).endswith(", in 1 day")
    assert KeyLife(NOW + 7200, 1).describe(NOW).endswith(", in 2h")
    assert KeyLife(NOW - 3 * DAY, 1).describe(NOW).startswith("the secret key ended at ")
    assert KeyLife(None, 1).describe(NOW) == "the secret key does not end"
    assert KeyLife(None, 2).describe(NOW) == "2 secret keys do not end"


async def test_it_asks_with_the_token_that_it_is_given():
    asked = []

    async def fetch(method, path, headers, body, *, timeout, limit, repeatable=False):
        asked.append((method, path, headers, body))
        return Response(200, [], globals()["body"](after(40)))

    assert await ask_key_life(fetch, b"Bearer x", NOW) == KeyLife(NOW + 40 * DAY, 1)
    assert asked == [(b"GET", PATH, [(b"Authorization", b"Bearer x")], b"")]


async def test_a_biot_that_does_not_answer_is_not_known():
    async def fetch(*args, **more):
        raise UpstreamError(Code.UPSTREAM_TIMEOUT, "BioT did not answer within 10s.")

    assert await ask_key_life(fetch, b"Bearer x", NOW) == Unknown("BioT did not answer within 10s")


class World:
    """A watch with everything around it in hand."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.wall = Clock(NOW)
        self.answer: KeyLife | Unknown | None = KeyLife(NOW + 40 * DAY, 1)
        self.asked = self.asked_anew = 0
        self.ends: list[float | None] = []  # what the rotation was told with each step
        self.rotates = False
        self.events: list[tuple[str, str, str]] = []
        self.known: list[tuple[float | None, int]] = []
        self.watch = SecretKeyWatch(
            self.look,
            wall=self.wall,
            clock=self.clock,
            sleep=asyncio.sleep,
            event=self.event,
            found=self.found,
            rotate=self.rotate,
        )

    async def look(self, *, anew: bool = False) -> KeyLife | Unknown | None:
        self.asked += 1
        self.asked_anew += anew
        return self.answer

    async def rotate(self, expires: float | None) -> bool:
        self.ends.append(expires)
        return self.rotates

    def event(self, *event: str) -> None:
        self.events.append(event)

    def found(self, expires: float | None, keys: int) -> None:
        self.known.append((expires, keys))

    async def passed(self, days: float) -> None:
        for clock in (self.clock, self.wall):
            clock.now += days * DAY
        await self.watch.step()


async def test_it_is_asked_once_a_day():
    world = World()
    for days in (0, 0.5, 0.49, 0.02, 0.9, 0.1):
        await world.passed(days)
    assert (world.asked, world.known) == (3, [(NOW + 40 * DAY, 1)] * 3)
    assert world.events == []


async def test_the_rotation_is_told_the_end_with_each_step_and_another_key_is_asked_for_at_once():
    world = World()
    await world.passed(0)
    await world.passed(60 / DAY)
    assert (world.ends, world.asked) == ([NOW + 40 * DAY] * 2, 1)
    world.rotates, world.answer = True, KeyLife(NOW + 90 * DAY, 2)
    await world.passed(60 / DAY)
    assert (world.asked, world.asked_anew, world.known[-1]) == (2, 1, (NOW + 90 * DAY, 2))
    world.rotates = False
    await world.passed(60 / DAY)
    assert world.ends[-1] == NOW + 90 * DAY


async def test_what_could_not_be_asked_is_asked_with_the_next_step():
    world = World()
    world.answer = None
    await world.passed(0)
    await world.passed(60 / DAY)
    assert (world.asked, world.known, world.events) == (2, [], [])


async def test_it_is_warned_once_each_30_7_and_1_days_before_the_end():
    world = World()
    warned = []
    for quarter in range(4 * 45):
        await world.passed(0.25 if quarter else 0)
        warned += [quarter / 4 for _ in world.events]
        assert all(level == "warning" and kind == "secret_key" for level, kind, _ in world.events)
        world.events.clear()
    assert warned == [10, 33, 39]


async def test_a_start_near_the_end_warns_once_and_a_new_key_anew():
    world = World()
    world.answer = KeyLife(NOW + 3600, 2)
    await world.passed(0)
    await world.passed(60 / DAY)
    ((_, _, message),) = world.events
    assert message.startswith("one of 2 secret keys ends at ")
    world.answer = KeyLife(NOW + 8 * DAY, 1)
    await world.passed(1)
    assert len(world.events) == 2


async def test_one_that_does_not_end_is_no_matter():
    world = World()
    world.answer = KeyLife(None, 1)
    await world.passed(0)
    assert (world.known, world.events) == ([(None, 1)], [])


async def test_what_biot_does_not_tell_is_said_once():
    world = World()
    world.answer = Unknown("BioT does not permit it")
    for days in (0, 1, 1):
        await world.passed(days)
    assert world.asked == 3
    assert world.events == [
        ("warning", "secret_key", "it is not known when the secret key ends: BioT does not permit it")
    ]
    assert world.known == []


async def test_nothing_is_asked_before_the_first_login_that_succeeds():
    world = World()
    logged_in = asyncio.Event()
    running = asyncio.ensure_future(world.watch.run(logged_in))
    await asyncio.sleep(0)
    assert world.asked == 0
    logged_in.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.asked == 1
    running.cancel()


# ---- with a token store


class Fleet:
    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.store = MemoryStore(self.clock)
        self.asked = 0
        self.answer: KeyLife | Unknown = KeyLife(NOW + DAY, 2)
        self.token = True

    async def look(self) -> KeyLife | Unknown | None:
        self.asked += 1
        return self.answer

    def member(self) -> FleetKeyLife:
        return FleetKeyLife(self.look, lambda: self.token, self.store, "key")


async def test_one_sidecar_a_day_asks_and_all_know():
    fleet = Fleet()
    for _ in range(3):
        assert await fleet.member()() == fleet.answer
    assert fleet.asked == 1
    fleet.clock.now += DAY
    await fleet.member()()
    assert fleet.asked == 2


async def test_who_comes_while_another_one_asks_tries_again_later():
    fleet = Fleet()
    await fleet.store.acquire_lock("key", b"asking", DAY)
    assert await fleet.member()() is None
    assert fleet.asked == 0


async def test_what_biot_did_not_tell_one_it_is_not_asked_by_the_others():
    fleet = Fleet()
    fleet.answer = Unknown("BioT answered 403")
    assert await fleet.member()() == fleet.answer
    assert isinstance(await fleet.member()(), Unknown)
    assert fleet.asked == 1


async def test_without_the_store_each_asks_alone_and_without_a_token_none():
    fleet = Fleet()
    fleet.store.away = True
    assert await fleet.member()() == fleet.answer
    fleet.token = False
    assert await fleet.member()() is None
    assert fleet.asked == 1


@pytest.mark.parametrize("lie", [b"\xff", b"{}", b'{"expires": "x", "keys": 1}', b'{"expires": 1, "keys": -1}'])
async def test_a_store_that_lies_makes_nothing_known(lie):
    fleet = Fleet()
    await fleet.member()()
    fleet.store.lie = lie
    assert not isinstance(await fleet.member()(), KeyLife)


def test_infinity_is_no_moment():
    assert not math.isinf(read_key_life(200, body("9999-12-31T23:59:59.999999Z"), NOW).expires or 0.0)


async def test_a_rotated_key_is_told_to_the_sidecars_that_have_asked_already():
    clock = Clock(0.0)
    store = MemoryStore(clock)
    lives = [KeyLife(NOW + 3 * DAY, 1), KeyLife(NOW + 90 * DAY, 2)]

    async def look(*, anew: bool = False) -> KeyLife:
        return lives.pop(0)

    one, other = (FleetKeyLife(look, lambda: True, store, "k") for _ in range(2))
    assert await one() == await other() == KeyLife(NOW + 3 * DAY, 1)
    await one(anew=True)
    assert await other() == KeyLife(NOW + 90 * DAY, 2)
