"""Sidecars that share one login through a store: in memory with a clock set by hand, and through a real Redis."""

from __future__ import annotations

import asyncio
import itertools
import math
import random

import msgspec
import pytest
from biot_sidecar.auth.fleet_login import LOCK_SECONDS, PATIENCE_SECONDS, FleetLogin
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.redis_store import StoreUnavailable, TokenStore
from biot_sidecar.auth.token_cipher import TokenCipher
from biot_sidecar.errors import Code
from biot_sidecar.settings.secret import Secret

from tests.support.fakes import Clock
from tests.support.memory_store import MemoryStore
from tests.support.redis import NEEDS_REDIS, redis_server

LIFE = 1800.0
START = TokenRequest("start")
REJECTED = LoginFailure(Code.LOGIN_REJECTED, "rejected", "no", blocks=True)
BROKEN = LoginFailure(Code.LOGIN_UNAVAILABLE, "server_error", "no")


class Fleet:
    """Sidecars in front of one BioT that gives numbered tokens, or the next of `answers`.

    `sleep` is for those with a real store, which a clock set by hand would outrun.
    """

    def __init__(self, sleep=None) -> None:
        self.clock = Clock(1_763_549_574.0)
        self.store = MemoryStore(self.clock)
        self.sleep = sleep or self._sleep
        self.answers: list[LoginFailure] = []
        self.logins = 0
        self.running = self.most_running = 0
        self.hold: asyncio.Event | None = None
        self.slept = 0.0
        self.wall_is_off = 0.0
        self._random = random.Random(7)

    def sidecar(self, *, store=None, user: str = "user") -> FleetLogin:
        return FleetLogin(
            self,
            store or self.store,
            user_id=user,
            base_url="https://api.example",
            wall=lambda: self.clock.now + self.wall_is_off,
            clock=self.clock,
            jitter=lambda: 0.0,
            random_bytes=self._random.randbytes,
            sleep=self.sleep,
        )

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        self.logins += 1
        number = self.logins
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
            return self.answers.pop(0) if self.answers else self.issued(f"token.{number}")
        finally:
            self.running -= 1

    def issued(self, jwt: str) -> IssuedToken:
        return IssuedToken(jwt, self.clock.now, self.clock.now + LIFE)

    async def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.now += seconds
        await asyncio.sleep(0)

    async def ask(
        self, request: TokenRequest = START, *, secret: str = "s", **sidecar: str
    ) -> IssuedToken | LoginFailure:
        return await self.sidecar(**sidecar).obtain(Secret(secret), request)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


def jwts(results) -> set[str]:
    return {result.jwt for result in results}


async def test_any_number_of_sidecars_share_one_login():
    fleet = Fleet()
    results = await asyncio.gather(*(fleet.ask() for _ in range(50)))
    assert jwts(results) == {"token.1"}
    assert fleet.logins == 1
    assert sum(not result.shared for result in results) == 1


async def test_who_comes_later_takes_the_token_that_is_there():
    fleet = Fleet()
    await fleet.ask()
    fleet.clock.now += 200
    later = await fleet.ask(TokenRequest("start", 300))
    assert later == msgspec.structs.replace(fleet.issued("token.1"), obtained=fleet.clock.now - 200,
                                            expires=fleet.clock.now - 200 + LIFE, shared=True, age=200)  # fmt: skip
    assert fleet.slept == 0


async def test_the_store_is_left_after_each_login():
    fleet = Fleet()
    await fleet.ask()
    await fleet.ask()
    fleet.store.away = True
    await fleet.ask()
    assert fleet.store.closed == 3


async def test_another_secret_or_user_shares_nothing():
    fleet = Fleet()
    results = [await fleet.ask(), await fleet.ask(secret="t"), await fleet.ask(user="other")]
    assert jwts(results) == {"token.1", "token.2", "token.3"}


async def test_a_string_that_needs_a_younger_token_gets_one_for_all():
    fleet = Fleet()
    await fleet.ask()
    fleet.clock.now += 400
    request = TokenRequest("string", 300)
    assert jwts(await asyncio.gather(*(fleet.ask(request) for _ in range(10)))) == {"token.2"}


async def test_a_string_that_needs_a_token_of_its_own_takes_none_and_waits_for_none():
    fleet = Fleet()
    fleet.hold = asyncio.Event()
    first = asyncio.ensure_future(fleet.ask())
    await fleet.settle()
    own = [asyncio.ensure_future(fleet.ask(TokenRequest("string", shareable=False))) for _ in range(2)]
    await fleet.settle()
    assert fleet.running == 3
    fleet.hold.set()
    assert jwts(await asyncio.gather(first, *own)) == {"token.1", "token.2", "token.3"}


async def test_a_rejected_token_costs_one_login_for_all():
    fleet = Fleet()
    await fleet.ask()
    fleet.clock.now += 60
    request = TokenRequest("token_not_valid", 60, b"Bearer token.1")
    assert jwts(await asyncio.gather(*(fleet.ask(request) for _ in range(50)))) == {"token.2"}
    assert fleet.logins == 2


async def test_a_token_that_was_rejected_when_it_was_young_costs_one_login_for_all():
    """Who waits for another's login finds a token that is older than the rejected one was when the wait began."""

    async def sleep(seconds: float) -> None:
        await fleet.settle()
        fleet.clock.now += seconds

    fleet = Fleet(sleep)
    await fleet.ask()
    fleet.clock.now += 0.01
    request = TokenRequest("token_not_valid", 0.01, b"Bearer token.1")
    assert jwts(await asyncio.gather(*(fleet.ask(request) for _ in range(50)))) == {"token.2"}
    assert fleet.logins == 2


async def test_a_rejected_token_is_taken_out_of_the_store_even_if_no_other_can_be_had():
    fleet = Fleet()
    await fleet.ask()
    fleet.answers = [BROKEN]
    await fleet.ask(TokenRequest("token_not_valid", 60, b"Bearer token.1"))
    fleet.clock.now += 5
    assert jwts([await fleet.ask()]) == {"token.3"}


async def test_a_store_restored_from_a_backup_does_not_bring_a_rejected_token_back():
    fleet = Fleet()
    await fleet.ask()
    backup = dict(fleet.store.values)
    fleet.clock.now += 400
    await fleet.ask(TokenRequest("string", 300))
    fleet.store.values = backup
    got = await fleet.ask(TokenRequest("token_not_valid", 1, b"Bearer token.2"))
    assert got.jwt == "token.3"


async def test_a_rejected_secret_costs_the_fleet_one_login_per_block():
    fleet = Fleet()
    fleet.answers = [REJECTED] * 9
    asked = []
    for _ in range(3):
        results = await asyncio.gather(*(fleet.ask() for _ in range(20)))
        assert all(isinstance(result, LoginFailure) and result.blocks for result in results)
        told = await fleet.ask()
        asked.append(told.pause)
        fleet.clock.now += told.pause
    assert fleet.logins == 3
    assert asked == pytest.approx([60, 120, 240], abs=1)


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
async def test_wall_clocks_that_differ_lengthen_and_shorten_no_pause_and_make_no_token_younger(seconds):
    fleet = Fleet()
    fleet.answers = [REJECTED]
    await fleet.ask()
    fleet.wall_is_off = seconds
    fleet.clock.now += 20
    told = await fleet.ask()
    assert isinstance(told, LoginFailure)
    assert told.pause == pytest.approx(40)
    fleet.clock.now += 41
    await fleet.ask()
    fleet.wall_is_off = 0.0
    fleet.clock.now += 250
    assert (await fleet.ask(TokenRequest("start", 300))).age == pytest.approx(250)
    assert fleet.logins == 2


async def test_a_good_secret_is_not_held_up_by_a_wrong_one():
    fleet = Fleet()
    fleet.answers = [REJECTED]
    assert isinstance(await fleet.ask(secret="wrong"), LoginFailure)
    assert jwts([await fleet.ask(secret="right")]) == {"token.2"}


async def test_those_who_wait_get_the_failure_of_the_login_they_waited_for():
    fleet = Fleet()
    fleet.answers = [BROKEN]
    results = await asyncio.gather(*(fleet.ask() for _ in range(20)))
    assert {result.outcome for result in results} == {"server_error"}
    assert fleet.logins == 1
    fleet.clock.now += 2
    assert jwts([await fleet.ask()]) == {"token.2"}


async def test_a_success_ends_the_block():
    fleet = Fleet()
    fleet.answers = [REJECTED]
    await fleet.ask()
    fleet.clock.now += 61
    await fleet.ask()
    assert [key.rpartition(":")[2] for key in fleet.store.values] == ["token"]


async def test_a_sidecar_that_died_with_the_lock_holds_the_others_up_no_longer_than_a_login():
    fleet = Fleet()
    await fleet.store.acquire_lock(TokenCipher(Secret("s"), "user", "https://api.example").lock, b"dead", LOCK_SECONDS)
    results = await asyncio.gather(*(fleet.ask() for _ in range(20)))
    assert len(jwts(results)) == 1
    assert fleet.logins == 1
    assert fleet.store.values  # the new token


async def test_a_lock_that_never_ends_is_waited_for_no_longer_than_patience_lasts():
    fleet = Fleet()
    await fleet.store.acquire_lock(TokenCipher(Secret("s"), "user", "https://api.example").lock, b"for ever", math.inf)
    assert jwts([await fleet.ask()]) == {"token.1"}
    assert PATIENCE_SECONDS <= fleet.slept < PATIENCE_SECONDS + 1


async def test_one_that_stops_in_the_middle_of_its_login_leaves_no_lock():
    fleet = Fleet()
    fleet.hold = asyncio.Event()
    login = asyncio.ensure_future(fleet.ask())
    await fleet.settle()
    assert fleet.store.values
    login.cancel()
    await asyncio.gather(login, return_exceptions=True)
    assert not fleet.store.values


@pytest.mark.parametrize("trouble", ["away", "full"])
async def test_without_a_store_each_goes_on_alone(trouble):
    fleet = Fleet()
    setattr(fleet.store, trouble, True)
    assert len(jwts(await asyncio.gather(*(fleet.ask() for _ in range(5))))) == 5
    assert fleet.slept == 0


async def test_a_full_store_still_gives_what_it_has():
    fleet = Fleet()
    await fleet.ask()
    fleet.store.full = True
    assert jwts([await fleet.ask()]) == {"token.1"}


@pytest.mark.parametrize("lie", [b"garbage", b"\x01" + b"x" * 100, b"{}"])
async def test_what_a_lying_store_says_is_ignored(lie):
    fleet = Fleet()
    fleet.store.lie = lie
    assert jwts([await fleet.ask(), await fleet.ask()]) == {"token.1", "token.2"}


async def test_the_backoffs_value_under_the_tokens_key_is_ignored():
    fleet = Fleet()
    fleet.answers = [REJECTED]
    await fleet.ask()
    cipher = TokenCipher(Secret("s"), "user", "https://api.example")
    fleet.store.values[cipher.token] = fleet.store.values.pop(cipher.backoff)
    assert jwts([await fleet.ask()]) == {"token.2"}


async def test_a_store_that_fails_at_any_point_costs_nobody_a_token():
    """Every call of the store fails in turn, alone or with all that follow."""
    for moment, for_good in itertools.product(range(8), (True, False)):
        fleet = Fleet()
        count = itertools.count()

        def check(*, writes=False, count=count, moment=moment, for_good=for_good):
            number = next(count)
            if number == moment or (for_good and number > moment):
                raise StoreUnavailable

        fleet.store._check = check
        for _ in range(2):
            assert isinstance(await fleet.ask(), IssuedToken)
        assert fleet.logins <= 2


# ---- a real Redis


def real(fleet: Fleet, url: str, count: int, limit: float = 1.5) -> list[FleetLogin]:
    """`limit` in seconds; a busy machine may need more of them than a store that is away should cost a test."""
    loop = asyncio.get_running_loop()
    return [
        fleet.sidecar(store=TokenStore(Secret(url), clock=loop.time, event=lambda *_: None, limit=limit))
        for _ in range(count)
    ]


async def ask_each(sidecars: list[FleetLogin], request: TokenRequest = START) -> list[IssuedToken]:
    return await asyncio.gather(*(sidecar.obtain(Secret("s"), request) for sidecar in sidecars))


@NEEDS_REDIS
async def test_fifty_share_one_login_through_redis(tmp_path):
    async with redis_server(tmp_path) as redis:
        fleet = Fleet(sleep=asyncio.sleep)
        results = await ask_each(real(fleet, redis.url, 50, limit=60.0))
        assert jwts(results) == {"token.1"}
        (key,) = redis.stored()
        assert key.endswith(":token")
        assert "token.1" not in redis.cli("get", key)
        assert 1_700_000 < int(redis.cli("pttl", key)) <= 1_800_000


@NEEDS_REDIS
async def test_redis_killed_while_one_logs_in_costs_nobody_a_token(tmp_path):
    async with redis_server(tmp_path) as redis:
        fleet = Fleet(sleep=asyncio.sleep)
        fleet.hold = asyncio.Event()
        asked = asyncio.ensure_future(ask_each(real(fleet, redis.url, 5)))
        async with asyncio.timeout(40):
            while not fleet.running:
                await asyncio.sleep(0.01)
        redis.kill()
        fleet.hold.set()
        assert all(isinstance(result, IssuedToken) for result in await asked)
        assert fleet.logins == 5


@NEEDS_REDIS
@pytest.mark.parametrize("trouble", ["frozen", "full"])
async def test_redis_in_trouble_costs_nobody_a_token(tmp_path, trouble):
    async with redis_server(tmp_path) as redis:
        fleet = Fleet(sleep=asyncio.sleep)
        if trouble == "frozen":
            redis.freeze()
        else:
            redis.cli("config", "set", "maxmemory", "1")
        assert len(jwts(await ask_each(real(fleet, redis.url, 5)))) == 5
        if trouble == "frozen":
            redis.thaw()


@NEEDS_REDIS
async def test_redis_with_other_peoples_values_costs_nobody_a_token(tmp_path):
    async with redis_server(tmp_path) as redis:
        fleet = Fleet(sleep=asyncio.sleep)
        cipher = TokenCipher(Secret("s"), "user", "https://api.example")
        redis.cli("set", cipher.token, "garbage")
        redis.cli("hset", cipher.backoff, "a", "b")
        assert jwts(await ask_each(real(fleet, redis.url, 5))) == {"token.1"}
        redis.cli("set", cipher.lock, "for ever")
        request = TokenRequest("string", 0.0)
        fleet.clock.now += 1
        assert all(isinstance(result, IssuedToken) for result in await ask_each(real(fleet, redis.url, 2), request))
