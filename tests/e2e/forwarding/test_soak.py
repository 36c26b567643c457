"""Tagged requests under concurrent load with aborts: never a header, a body or an answer of somebody else."""

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from tests.support.live import LIVE
from tests.support.rawclient import RawClient
from tests.support.wire import Cut, chunked, lines, request, response

pytestmark = [*LIVE, pytest.mark.timeout(240)]

SECONDS = 8
GOOD = 300
"""Whole answers, at least; a busy machine gives them in more seconds."""
WORKERS = 24
_CHUNKED_ANSWER = b"Transfer-Encoding: chunked"


class Fickle:
    """Answers with the request's tag, early, late or by half; judges by the tag whether the request is in one piece."""

    def __init__(self) -> None:
        self.once: set[bytes] = set()  # tags of requests that must not be repeated

    async def __call__(self, exchange):
        tag = exchange.head.first(b"x-tag")
        assert exchange.target == b"/soak/" + tag, exchange.head.raw
        assert [name for name in exchange.head.names if name.startswith(b"x-only-")] == [b"x-only-" + tag]
        if exchange.method in (b"POST", b"PATCH"):
            assert tag not in self.once, f"{tag!r} came twice"
            self.once.add(tag)
        whim = random.random()
        if whim < 0.04:
            exchange.connection.reset()
            return
        if whim < 0.1:
            await exchange.send(lines(b"HTTP/1.1 103 Early Hints", b"X-Tag: " + tag))
        if whim > 0.9:
            await exchange.send(response(200, b"X-Tag: " + tag, body=tag * 501))
        body = await exchange.body()
        assert body == tag * (len(body) // len(tag)), (tag, body[:200])
        if whim < 0.9:
            await self.answer(exchange, tag, whim)

    async def answer(self, exchange, tag, whim):
        if whim < 0.07:
            exchange.connection.close()
        elif whim < 0.12:
            await exchange.send(lines(b"HTTP/1.1 200 OK", b"X-Tag: " + tag, b"Content-Length: 1000") + tag)
            exchange.connection.reset()
        elif whim < 0.5:
            await exchange.send(lines(b"HTTP/1.1 200 OK", b"X-Tag: " + tag, _CHUNKED_ANSWER) + chunked(tag, tag * 500))
        else:
            await exchange.send(response(200, b"X-Tag: " + tag, body=tag * 501))


class Worker:
    """One client that asks, aborts and pipelines at random, and checks every answer's tag."""

    def __init__(self, port: int, number: int) -> None:
        self.port = port
        self.number = number
        self.count = 0
        self.good = 0
        self.random = random.Random(number)
        self.client: RawClient | None = None

    def new_request(self) -> tuple[bytes, bytes]:
        self.count += 1
        tag = b"w%d-%d." % (self.number, self.count)
        method = self.random.choice(["GET", "POST", "PUT", "PATCH"])
        fields = (b"X-Tag: " + tag, b"X-Only-" + tag + b": 1")
        body = tag * self.random.choice([0, 1, 10, 3000, 20_000])
        if self.random.random() < 0.5:
            return tag, request(method, "/soak/" + tag.decode(), *fields, body=body)
        head = lines(
            b"%s /soak/%s HTTP/1.1" % (method.encode(), tag), b"Host: 127.0.0.1", *fields, b"Transfer-Encoding: chunked"
        )
        return tag, head + (chunked(body) if body else chunked())

    async def run(self, enough: Callable[[], bool]) -> None:
        while not enough():
            try:
                await self.step()
            except (Cut, ConnectionError):
                self.drop()
        self.drop()

    async def step(self) -> None:
        if self.client is None:
            self.client = await RawClient.open(self.port)
        if self.random.random() < 0.1:
            await self.abort()
            return
        batch = [self.new_request() for _ in range(self.random.choice([1, 1, 1, 3]))]
        self.client.writer.write(b"".join(raw for _, raw in batch))
        if last := self.random.random() < 0.1:
            self.client.shut_writing()
        for tag, _ in batch:
            if not await self.check(tag):
                self.drop()
                return
        if last:
            assert await self.client.ended()
            self.drop()

    async def check(self, tag: bytes) -> bool:
        """False when the connection is over; raises when the answer is somebody else's."""
        assert self.client is not None
        while (head := await self.client.read_head()) is not None and b" 103 " in head.start:
            assert head.values(b"x-tag") == [tag], (tag, head)
        if head is None:
            return False
        answer = await self.client._read_body(head)
        if answer.status != 502:
            assert answer.status == 200, answer
            assert head.values(b"x-tag") == [tag], (tag, answer)
            assert answer.body == (tag * 501)[: len(answer.body)], (tag, answer)
            assert not answer.complete or len(answer.body) == 501 * len(tag)
        self.good += answer.complete and answer.status == 200
        return answer.complete

    async def abort(self) -> None:
        assert self.client is not None
        _, raw = self.new_request()
        self.client.writer.write(raw[: self.random.randrange(len(raw))])
        if self.random.random() < 0.5:
            await asyncio.sleep(self.random.random() * 0.01)
        self.drop()

    def drop(self) -> None:
        if self.client is not None:
            self.client.reset() if self.random.random() < 0.5 else self.client.close()
            self.client = None


@pytest.mark.slow
async def test_under_load_with_aborts_every_answer_goes_to_its_own_request(house):
    house.upstream.on("/soak", Fickle())
    workers = [Worker(house.sidecar.port, number) for number in range(WORKERS)]
    until = time.monotonic() + SECONDS

    def enough() -> bool:
        return time.monotonic() > until and sum(worker.good for worker in workers) > GOOD

    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run(enough))
    assert not house.upstream.failures, house.upstream.failures[:3]
    await house.fence()
