"""Every address of a name is tried, in which order and how far apart; and what a dial leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.dialing import Dialer, first_of, interleaved
from biot_sidecar.http.resolver import Resolver
from biot_sidecar.settings import UpstreamUrl

from tests.support.ports import free_port

V4, V6 = ["192.0.2.1", "192.0.2.2", "192.0.2.3"], ["2001:db8::1", "2001:db8::2"]


@pytest.mark.parametrize(
    ("addresses", "first", "expected"),
    [
        ([], "", []),
        (V4, "", V4),
        ([*V6, *V4], "", [V6[0], V4[0], V6[1], V4[1], V4[2]]),
        ([*V4, *V6], "", [V4[0], V6[0], V4[1], V6[1], V4[2]]),
        ([*V6, *V4], V4[1], [V4[1], V6[0], V4[0], V6[1], V4[2]]),
        ([*V6, *V4], V6[1], [V6[1], V4[0], V6[0], V4[1], V4[2]]),
        (V4, "192.0.2.9", V4),
    ],
)
def test_families_take_turns_and_the_address_that_worked_is_first(addresses, first, expected):
    assert interleaved(addresses, first) == expected


class Attempts:
    """Attempts that end when they are told to."""

    def __init__(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        self.begun: list[int] = []
        self.ends = [loop.create_future() for _ in range(count)]

    def __call__(self, number: int):
        async def attempt() -> str:
            self.begun.append(number)
            return await self.ends[number]

        return attempt

    def all(self):
        return [self(number) for number in range(len(self.ends))]


async def until(condition) -> None:
    async with asyncio.timeout(40):
        while not condition():
            await asyncio.sleep(0)


async def test_a_failure_begins_the_next_attempt_at_once():
    attempts = Attempts(3)
    race = asyncio.ensure_future(first_of(attempts.all(), 3600.0, print))
    await until(lambda: attempts.begun == [0])
    attempts.ends[0].set_exception(OSError("first"))
    await until(lambda: attempts.begun == [0, 1])
    attempts.ends[1].set_result("second")
    assert await race == "second"
    assert attempts.begun == [0, 1]


async def test_a_silent_attempt_is_overtaken_by_the_next_and_given_up():
    attempts, discarded = Attempts(2), []
    race = asyncio.ensure_future(first_of(attempts.all(), 0.0, discarded.append))
    await until(lambda: attempts.begun == [0, 1])
    attempts.ends[1].set_result("second")
    assert await race == "second"
    await until(attempts.ends[0].cancelled)
    assert discarded == []


async def test_two_that_succeed_together_leave_one():
    attempts, discarded = Attempts(2), []
    race = asyncio.ensure_future(first_of(attempts.all(), 0.0, discarded.append))
    await until(lambda: attempts.begun == [0, 1])
    for number, end in enumerate(attempts.ends):
        end.set_result(number)
    assert await race == 0
    await until(lambda: discarded == [1])


async def test_if_all_fail_the_first_ones_error_is_told():
    attempts = Attempts(2)
    race = asyncio.ensure_future(first_of(attempts.all(), 0.0, print))
    await until(lambda: attempts.begun == [0, 1])
    attempts.ends[1].set_exception(OSError("second"))
    await asyncio.sleep(0)
    attempts.ends[0].set_exception(OSError("first"))
    with pytest.raises(OSError, match="first"):
        await race


async def test_who_gives_up_the_race_gives_up_all_attempts():
    attempts = Attempts(2)
    race = asyncio.ensure_future(first_of(attempts.all(), 0.0, print))
    await until(lambda: attempts.begun == [0, 1])
    race.cancel()
    await until(lambda: all(end.cancelled() for end in attempts.ends))


class Silent(asyncio.Protocol):
    """Closes at once; `lost` tells when it is closed."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        asyncio.get_running_loop().call_soon(self.lost.set)


async def connected(one: Dialer) -> str:
    """The address that a dial came to, after its connection's end."""
    protocol = Silent()
    address = await one.connect(protocol)
    await protocol.lost.wait()
    return address


def dialer(port: int, *answers: list[str], **more) -> tuple[Dialer, Resolver, list[str]]:
    """A dialer of a name that has these addresses, in turn; and those that failed."""
    left, failed = list(answers), []
    resolver = Resolver(lambda: 0.0, lambda host, port: left.pop(0))
    address = UpstreamUrl(tls=False, host="api.example", port=port, authority=b"x", prefix=b"")
    return Dialer(address, None, resolver, address_failed=failed.append, **more), resolver, failed


async def test_every_address_is_tried_and_none_that_failed_is_kept():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        one, resolver, failed = dialer(port, ["127.0.0.2", "127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"])
        assert await connected(one) == "127.0.0.1"
        assert failed == ["127.0.0.2"]
        assert await connected(one) == "127.0.0.1"
        assert failed == ["127.0.0.2"]  # the one that worked was tried first
        resolver.forget()
        with pytest.raises(UpstreamError) as raised:
            await one.connect(Silent())
        assert "it refused the connection" in raised.value.message
        assert await connected(one) == "127.0.0.1"


@contextlib.contextmanager
def swallowing(address: str) -> Iterator[int]:
    """What is sent to this address is swallowed: the port at which a listener's backlog is full."""
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.create_server((address, free_port()), backlog=0))
        for _ in range(2):
            sock = sockets.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        yield full.getsockname()[1]


async def test_an_address_that_swallows_what_is_sent_to_it_does_not_keep_the_next_one_waiting():
    with swallowing("127.0.0.3") as port, socket.create_server(("127.0.0.1", port)):
        one, _, failed = dialer(port, ["127.0.0.3", "127.0.0.1"])
        assert await connected(one) == "127.0.0.1"
        assert failed == []  # it may only be slow


async def test_when_all_swallow_what_is_sent_to_them_they_are_dead_and_looked_up_anew():
    with swallowing("127.0.0.3") as port, socket.create_server(("127.0.0.1", port)):
        one, _, failed = dialer(port, ["127.0.0.3"], ["127.0.0.1"], connect_timeout=0.05)
        with pytest.raises(UpstreamError) as raised:
            await one.connect(Silent())
        assert "connecting timed out after 0.05s" in raised.value.message
        assert failed == ["127.0.0.3"]
        assert await connected(one) == "127.0.0.1"


async def test_the_look_up_has_its_own_limit():
    may_answer = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        may_answer.wait(40)
        return ["127.0.0.1"]

    address = UpstreamUrl(tls=False, host="api.example", port=9, authority=b"x", prefix=b"")
    one = Dialer(address, None, Resolver(lambda: 0.0, slow), look_up_timeout=0.01)
    with pytest.raises(UpstreamError) as raised:
        await one.connect(Silent())
    may_answer.set()
    assert "its name was looked up for 0.01s in vain" in raised.value.message
    assert raised.value.retryable == "connect"


async def test_a_slow_look_up_takes_nothing_of_the_time_for_connecting():
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        may_answer = threading.Event()

        def slow(host: str, port: int) -> list[str]:
            may_answer.wait(40)
            return ["127.0.0.1"]

        address = UpstreamUrl(tls=False, host="api.example", port=port, authority=b"x", prefix=b"")
        one = Dialer(address, None, Resolver(lambda: 0.0, slow), connect_timeout=0.3)
        connecting = asyncio.ensure_future(connected(one))
        await asyncio.sleep(0.35)
        may_answer.set()
        assert await connecting == "127.0.0.1"


async def test_a_name_without_addresses_is_told():
    one, _, _ = dialer(9, [])
    with pytest.raises(UpstreamError) as raised:
        await one.connect(Silent())
    assert "its name could not be resolved" in raised.value.message
