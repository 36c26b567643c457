"""Calls between two ends of a socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from biot_sidecar.process.worker_channel import ChannelClosed, WorkerChannel


class Pair:
    """Two channels over one socket pair; `handlers` are those of the far one."""

    def __init__(self) -> None:
        self.handlers: dict = {}
        self.reports: list[BaseException] = []
        self.near = WorkerChannel({"back": self._back}, self.reports.append)
        self.far = WorkerChannel(self.handlers, self.reports.append)
        self.tasks: list[asyncio.Task[None]] = []

    async def _back(self, content):
        return ["back", content]

    async def open(self) -> None:
        one, two = socket.socketpair()
        await self.near.open(one)
        await self.far.open(two)
        self.tasks = [asyncio.ensure_future(end.run()) for end in (self.near, self.far)]

    async def close(self) -> None:
        self.near.close()
        self.far.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    await made.open()
    yield made
    await made.close()


async def test_calls_may_cross_and_each_gets_its_own_answer(pair):
    async def double(content):
        await asyncio.sleep(0)
        return content * 2

    pair.handlers["double"] = double
    calls = [pair.near.request("double", number) for number in range(50)]
    assert await asyncio.gather(*calls, pair.far.request("back", "x")) == [*range(0, 100, 2), ["back", "x"]]


async def test_bytes_stay_bytes(pair):
    async def same(content):
        return content

    pair.handlers["same"] = same
    assert await pair.near.request("same", b"\xff\x00" * 100_000) == b"\xff\x00" * 100_000


async def test_what_is_told_arrives_and_gets_no_answer(pair):
    heard: asyncio.Queue = asyncio.Queue()
    pair.handlers["told"] = heard.put
    pair.near.notify("told", {"a": 1})
    assert await asyncio.wait_for(heard.get(), 40) == {"a": 1}


async def test_a_handler_that_raises_is_reported_and_its_caller_does_not_wait(pair):
    async def stumble(content):
        raise ZeroDivisionError

    pair.handlers["stumble"] = stumble
    with pytest.raises(ChannelClosed):
        await pair.near.request("stumble")
    assert [type(error) for error in pair.reports] == [ZeroDivisionError]


async def test_those_who_wait_learn_that_the_other_end_has_gone(pair):
    async def never(content):
        await asyncio.Event().wait()

    pair.handlers["never"] = never
    waiting = asyncio.ensure_future(pair.near.request("never"))
    await asyncio.sleep(0)
    pair.far.close()
    with pytest.raises(ChannelClosed):
        await asyncio.wait_for(waiting, 40)
    with pytest.raises(ChannelClosed):
        await pair.near.request("never")


async def test_telling_one_who_does_not_read_does_not_fill_the_memory():
    one, two = socket.socketpair()
    with two:
        channel = WorkerChannel({}, lambda error: None)
        await channel.open(one)
        for _ in range(300):
            channel.notify("record", b"." * 10_000)
        assert channel._writer is not None
        assert channel._writer.transport.get_write_buffer_size() < 1_100_000
        channel.close()
