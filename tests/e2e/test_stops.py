"""A hundred stops under load: whatever was accepted is answered, whole and once, and whatever is not is turned away."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from biot_sidecar.process.draining import IDLE_GRACE

from tests.support.exchanges import Exchange
from tests.support.rawclient import Answer, RawClient
from tests.support.sidecar import House, running
from tests.support.wire import Cut, chunked, lines, request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LANES = 4
"""Programs under load at a time."""
DOWNLOAD = 48 * 1024
ANSWERED, TURNED_AWAY, LOST = "answered", "turned away", "lost"
OVERTAKEN = "overtaken"  # its connection was closed while it was being sent: it had rested, or was sent for too long
UNHEARD = "unheard"  # so was a new connection, which somebody had taken


class Crowd:
    """Clients of one program that call until it is no more, and what became of each of their calls."""

    def __init__(self, house: House, unix: str) -> None:
        """`unix` is a socket file to call at instead of the port, if there is one."""
        self._house = house
        self._unix = unix
        self._numbers = count(1)
        self.fates: dict[str, list[int]] = {fate: [] for fate in (ANSWERED, TURNED_AWAY, OVERTAKEN, UNHEARD, LOST)}
        self.enough = asyncio.Event()

    async def call(self, wanted: int) -> None:
        """Call from many sides until nobody listens; `enough` is set when `wanted` calls have been answered."""
        house = self._house
        house.upstream.on("/calls/", answer_with_number)
        house.upstream.on("/calls/download/", stream_slowly)
        ways = [self._get] * 6 + [self._post] * 4 + [self._upload] * 3 + [self._download] * 3
        async with asyncio.TaskGroup() as clients:
            for place, way in enumerate(ways):
                clients.create_task(self._keep_calling(way, wanted, keep_alive=place % 4 != 3))

    async def _keep_calling(
        self, way: Callable[[RawClient, int], Awaitable[None]], wanted: int, *, keep_alive: bool
    ) -> None:
        client: RawClient | None = None
        clock = asyncio.get_running_loop().time
        while True:
            fresh, began = client is None, clock()
            try:
                client = client or await (RawClient.open_unix(self._unix) if self._unix else self._house.client())
            except OSError:
                return
            number = next(self._numbers)
            fate, goes_on, sent = await self._fate(client, way, number)
            fresh = fresh and sent - began < IDLE_GRACE  # else it was we who let it rest
            self.fates[OVERTAKEN if fate == UNHEARD and not fresh else fate].append(number)
            if len(self.fates[ANSWERED]) >= wanted:
                self.enough.set()
            if not (goes_on and keep_alive):
                client.close()
                client = None

    async def _fate(
        self, client: RawClient, way: Callable[[RawClient, int], Awaitable[None]], number: int
    ) -> tuple[str, bool, float]:
        """What became of a call, whether its connection goes on, and when it was sent by the loop's clock."""
        with suppress(ConnectionError, Cut):  # it may have answered before it stopped to listen
            await way(client, number)
        sent = asyncio.get_running_loop().time()
        try:
            answer = await client.read_answer()
        except (AssertionError, Cut) as end:
            return (LOST if getattr(end, "body", b"") else UNHEARD), False, sent
        return judge(answer, number), answer.head.first(b"connection") != b"close", sent

    # ---- ways to call

    async def _get(self, client: RawClient, number: int) -> None:
        await client.send(request("GET", f"/calls/{number}"))

    async def _post(self, client: RawClient, number: int) -> None:
        await client.send(request("POST", f"/calls/{number}", body=b"x" * 300))

    async def _upload(self, client: RawClient, number: int) -> None:
        head, _, _ = request("PUT", f"/calls/{number}").rpartition(b"\r\n")
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        body = chunked(*[b"y" * 2000] * 4)
        for start in range(0, len(body), 1500):
            await client.send(body[start : start + 1500])
            await asyncio.sleep(0.001)

    async def _download(self, client: RawClient, number: int) -> None:
        await client.send(request("GET", f"/calls/download/{number}"))


def judge(answer: Answer, number: int) -> str:
    if not answer.complete:
        return LOST
    if answer.status == 503 and answer.json["code"] == "SIDECAR_DRAINING":
        return TURNED_AWAY
    return ANSWERED if answer.status == 200 and answer.body.startswith(b"%d " % number) else LOST


async def answer_with_number(exchange: Exchange) -> None:
    """Takes a moment, so that calls are always under way."""
    await exchange.body()
    await asyncio.sleep(0.002)
    body = exchange.target.rpartition(b"/")[2] + b" "
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body)) + body)


async def stream_slowly(exchange: Exchange) -> None:
    number = exchange.target.rpartition(b"/")[2] + b" "
    await exchange.send(lines(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"))
    whole = chunked(number, *[b"z" * (DOWNLOAD // 8)] * 8)
    for start in range(0, len(whole), 9000):
        await exchange.send(whole[start : start + 9000])
        await asyncio.sleep(0.002)


async def stop_under_load(folder: Path, stop: int, **settings: str) -> Counter[str]:
    """One program: start, crowd, SIGTERM in the middle of it. What became of the calls."""
    folder.mkdir()
    unix = str(folder / "socket") if settings.get("SIDECAR_LISTEN", "").startswith("unix:") else ""
    if unix:
        settings["SIDECAR_LISTEN"] = f"unix:{unix},127.0.0.1:0"
    async with running(folder, **settings) as house:
        await house.warm_up()
        crowd = Crowd(house, unix)
        calling = asyncio.ensure_future(crowd.call(wanted=40 + 7 * (stop % 13)))
        await crowd.enough.wait()
        house.sidecar.signal()
        assert await house.sidecar.wait() == 0
        await calling
        fates = crowd.fates
        seen = Counter(int(exchange.target.rpartition(b"/")[2]) for exchange in house.upstream.seen("/calls/"))
        told = [json.loads(line) for line in house.sidecar.log().splitlines()]
    assert fates[LOST] == []
    assert seen == Counter(fates[ANSWERED]), "BioT heard of every answered call once, and of no other"
    logged = [line["status"] for line in told if line["event"] == "request"]
    assert logged.count(200) == len(fates[ANSWERED]) + 1
    unread = logged.count(503) - len(fates[TURNED_AWAY])  # who had no time to read on, and was no longer waited for
    assert 0 <= unread <= len(fates[OVERTAKEN])
    return Counter({fate: len(numbers) for fate, numbers in fates.items()})


async def stop_often(folder: Path, stops: int, **settings: str) -> Counter[str]:
    """That many programs, some at a time. What became of all calls."""
    numbers = iter(range(stops))
    total: Counter[str] = Counter()

    async def lane() -> None:
        for number in numbers:
            total.update(await stop_under_load(folder / str(number), number, **settings))

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    assert total[ANSWERED] > 60 * stops
    assert total[TURNED_AWAY] > 0
    assert total[UNHEARD] == 0, "a new connection is refused, or served to its end"
    return total


@pytest.mark.slow
async def test_a_hundred_stops_under_load_lose_no_request_that_was_accepted(tmp_path: Path) -> None:
    await stop_often(tmp_path, 100)


@pytest.mark.slow
async def test_workers_stop_under_load_as_one_process_does(tmp_path: Path) -> None:
    await stop_often(tmp_path, 8, SIDECAR_WORKERS="2")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_socket_file_is_no_worse_than_a_port(tmp_path: Path, workers: str) -> None:
    await stop_often(tmp_path, 6, SIDECAR_LISTEN="unix:", SIDECAR_WORKERS=workers)
