"""The token store against a real Redis that is killed, frozen, full or used by others, and against impostors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from biot_sidecar.auth.redis_store import PAUSE_SECONDS, StoreUnavailable, TokenStore
from biot_sidecar.auth.token_cipher import StoredValue
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings.secret import Secret

from tests.support.authority import Authority
from tests.support.fakes import Clock
from tests.support.redis import NEEDS_REDIS, RedisServer, impostor, redis_server

LIMIT = 0.5


class Desk:
    """A store, the clock it goes by and what it logs."""

    def __init__(self, url: str, limit: float = LIMIT) -> None:
        self.clock = Clock(1000.0)
        self.events: list[tuple[str, str]] = []
        self.store = TokenStore(Secret(url), clock=self.clock, event=self._take, limit=limit)

    def _take(self, level: str, kind: str, message: str) -> None:
        assert kind == "token_store"
        self.events.append((level, message))

    async def is_away(self) -> bool:
        try:
            await self.store.get("k")
        except StoreUnavailable:
            return True
        finally:
            await self.store.close()
        return False


def values(answers: list[StoredValue | None]) -> list[bytes | None]:
    return [answer and answer.value for answer in answers]


@pytest_asyncio.fixture
async def redis(tmp_path: Path):
    async with redis_server(tmp_path) as server:
        yield server


@pytest_asyncio.fixture
async def desk(redis: RedisServer):
    desk = Desk(redis.url)
    yield desk
    await desk.store.close()


pytestmark = NEEDS_REDIS


async def test_what_is_put_is_there_for_its_life(redis, desk):
    await desk.store.put("k", b"\x00\xff", 60.0)
    assert values(await desk.store.get("k", "l")) == [b"\x00\xff", None]
    assert 59_000 < int(redis.cli("pttl", "k")) <= 60_000
    await desk.store.delete("k")
    assert values(await desk.store.get("k")) == [None]


async def test_a_value_ends_by_itself(redis, desk):
    await desk.store.put("k", b"v", 0.0)
    async with asyncio.timeout(40):
        while values(await desk.store.get("k")) != [None]:
            await asyncio.sleep(0.01)


async def test_a_lock_has_one_holder_and_only_that_one_drops_it(redis, desk):
    assert await desk.store.acquire_lock("k", b"one", 9.0)
    assert not await desk.store.acquire_lock("k", b"two", 9.0)
    await desk.store.delete_if("k", b"two")
    assert not await desk.store.acquire_lock("k", b"two", 9.0)
    await desk.store.delete_if("k", b"one")
    assert await desk.store.acquire_lock("k", b"two", 9.0)
    assert 8_000 < int(redis.cli("pttl", "k")) <= 9_000


async def test_between_logins_no_connection_rests(redis, desk):
    await desk.store.put("k", b"v", 9.0)
    await desk.store.close()
    assert redis.cli("client", "list").count("id=") == 1  # redis-cli's own
    assert values(await desk.store.get("k")) == [b"v"]


async def test_a_store_that_never_was_is_away_and_says_so_once(tmp_path):
    desk = Desk(f"unix://{tmp_path}/nothing.sock")
    for _ in range(3):
        assert await desk.is_away()
        desk.clock.now += PAUSE_SECONDS
    assert desk.events == [("warning", "the token store fails (FileNotFoundError); this sidecar logs in alone")]


async def test_a_store_that_was_killed_is_away_and_then_back(redis, desk):
    assert not await desk.is_away()
    redis.kill()
    assert await desk.is_away()
    await redis.start()
    assert await desk.is_away()  # for a while it is not even asked
    desk.clock.now += PAUSE_SECONDS
    assert not await desk.is_away()
    assert [level for level, _ in desk.events] == ["warning", "info"]


async def test_a_connection_that_breaks_between_two_commands_is_a_store_away(redis, desk):
    await desk.store.get("k")
    redis.kill()
    with pytest.raises(StoreUnavailable):
        await desk.store.get("k")


async def test_a_frozen_store_costs_no_more_than_its_limit(redis, desk):
    redis.freeze()
    began = asyncio.get_running_loop().time()
    assert await desk.is_away()
    assert await desk.is_away()
    assert asyncio.get_running_loop().time() - began < LIMIT + 3
    redis.thaw()
    desk.clock.now += PAUSE_SECONDS
    assert not await desk.is_away()


async def test_who_looks_again_and_again_at_a_slow_store_is_not_told_that_it_is_away(tmp_path):
    def late(came: bytes) -> bytes:
        desk.clock.now += 60.0
        return b":1\r\n"

    async with impostor(tmp_path, late, after=0.05) as url:
        desk = Desk(url, limit=100.0)
        for _ in range(5):
            await desk.store.delete("k")
            desk.clock.now += 60.0  # it waits for the login of another
        assert desk.events == []
        await desk.store.close()


async def test_an_answer_that_comes_too_late_is_nobodys(redis, desk):
    await desk.store.put("k", b"mine", 60.0)
    await desk.store.put("other", b"other", 60.0)
    redis.freeze()
    with pytest.raises(StoreUnavailable):
        await desk.store.get("other")
    redis.thaw()
    desk.clock.now += PAUSE_SECONDS
    assert values(await desk.store.get("k")) == [b"mine"]


async def test_a_full_store_is_read_but_takes_nothing(tmp_path):
    async with redis_server(tmp_path, "--maxmemory", "2mb", "--maxmemory-policy", "noeviction") as redis:
        desk = Desk(redis.url)
        await desk.store.put("k", b"v", 60.0)
        redis.cli("config", "set", "maxmemory", "1")
        assert values(await desk.store.get("k")) == [b"v"]
        with pytest.raises(StoreUnavailable):
            await desk.store.put("k", b"w", 60.0)
        desk.clock.now += PAUSE_SECONDS
        with pytest.raises(StoreUnavailable):
            await desk.store.acquire_lock("lock", b"one", 9.0)
        assert "OutOfMemory" in desk.events[0][1]
        await desk.store.close()


async def test_a_key_of_another_type_counts_as_none_and_is_written_over(redis, desk):
    redis.cli("lpush", "k", "a")
    assert values(await desk.store.get("k")) == [None]
    await desk.store.put("k", b"v", 9.0)
    assert values(await desk.store.get("k")) == [b"v"]


async def test_a_value_too_large_to_be_ours_is_not_even_read(redis, desk):
    redis.cli("setrange", "k", "300000000", "x")
    await desk.store.put("l", b"v", 9.0)
    assert values(await desk.store.get("k", "l")) == [None, b"v"]
    assert not desk.events


@pytest.mark.parametrize("life", ["none", "3600"])
async def test_a_lock_that_is_none_of_ours_locks_nobody_out(redis, desk, life):
    redis.cli("set", "k", "x", *([] if life == "none" else ["EX", life]))
    with pytest.raises(StoreUnavailable):
        await desk.store.acquire_lock("k", b"one", 9.0)
    assert "a lock that is none of ours" in desk.events[0][1]


async def test_a_wrong_password_is_told_by_its_kind_alone(tmp_path):
    async with redis_server(tmp_path, "--requirepass", "right") as redis:
        desk = Desk(redis.url.replace("unix://", "unix://:canary-password@"))
        assert await desk.is_away()
        assert desk.events[0][1].startswith("the token store fails (AuthenticationError)")
        right = Desk(redis.url.replace("unix://", "unix://:right@"))
        assert not await right.is_away()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x01\x02\x03",
        b"*1\r\n" * 5000,
        b"*-7\r\n",
        b"$99999999999\r\nx",
        b"$-2\r\n",
        b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        b":1\r\n",
        b"+PONG\r\n",
        b"-ERR no\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"",
        None,
    ],
    ids=repr,
)
async def test_a_server_that_talks_nonsense_or_nothing_is_away(tmp_path, said):
    async with impostor(tmp_path, lambda came: said) as url:
        desk = Desk(url)
        began = asyncio.get_running_loop().time()
        assert await desk.is_away()
        assert asyncio.get_running_loop().time() - began < LIMIT + 3
        assert len(desk.events) == 1


@pytest.mark.parametrize("url", ["redis://host:port/0", "redis://h:70000/", "redis://h/0?socket_timeout=soon"])
def test_an_address_that_cannot_be_one_is_a_wrong_setting(url):
    with pytest.raises(BadSettings) as caught:
        Desk(url)
    assert caught.value.problems[0].startswith("SIDECAR_TOKEN_STORE: is no address of a Redis")


def test_an_address_with_a_password_is_never_shown():
    desk = Desk("redis://user:canary-password@127.0.0.1:1/0")
    assert "canary-password" not in repr(vars(desk.store))


@asynccontextmanager
async def named_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Takes every SET, on a TCP port of 127.0.0.1."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_store_with_a_name_is_reached_over_tcp_and_over_tls_as_that_name(tmp_path):
    authority = Authority(tmp_path)
    async with named_server() as port, named_server(authority.server_context("localhost")) as tls_port:
        for url in (
            f"redis://localhost:{port}/0",
            f"redis://127.0.0.1:{port}",
            f"rediss://localhost:{tls_port}?ssl_ca_certs={authority.ca_file}",
        ):
            desk = Desk(url)
            await desk.store.put("k", b"v", 5)
            await desk.store.close()
        stranger = Desk(f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={authority.ca_file}")
        assert await stranger.is_away()


async def test_a_name_that_no_thread_can_look_up_leaves_the_sidecar_alone_and_running(monkeypatch):
    def no_thread(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    async with named_server() as port:
        monkeypatch.setattr("threading.Thread.start", no_thread)
        desk = Desk(f"redis://localhost:{port}")
        assert await desk.is_away()
    assert desk.events == [("warning", "the token store fails (NoThread); this sidecar logs in alone")]
