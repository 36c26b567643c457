"""Every address of BioT's name is tried, and a name that moves is followed, whatever the name server does."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.network.conftest import NAME, Upstream
from tests.network.namespace import DEAD, DEAD_6, DEAD_TOO, OURS, OURS_6, OURS_TOO
from tests.support.judge import assert_ours, assert_passed_on
from tests.support.live import LIVE
from tests.support.wire import request

pytestmark = [*LIVE, pytest.mark.network]

HASTY = """\
version: 1
defaults: {timeout: 4s, retry: none}
routes:
  - {name: no token, match: "* /none/**", authorization: none}
"""
"""Shorter than the 5 s in which one dead address alone would use up a connection's time."""


@pytest.mark.parametrize(
    ("addresses", "listening"),
    [
        ([DEAD, OURS], OURS),
        ([DEAD, DEAD_TOO, OURS], OURS),
        ([DEAD_6, OURS], OURS),
        ([OURS_6, DEAD], OURS_6),
        ([OURS_6], OURS_6),
        ([DEAD_6, DEAD, OURS_6], OURS_6),
        ([OURS_TOO, OURS], OURS),  # refused there
    ],
    ids=" ".join,
)
async def test_an_address_that_swallows_all_is_no_outage(network, start, addresses, listening):
    network.names.names[NAME] = addresses
    house = await start(Upstream(network, listening), routes=HASTY)
    for _ in range(2):
        assert_passed_on(await house.ask(request("POST", "/x", body=b"x")), 200)
    assert len(house.upstream.logins) == 1


@pytest.mark.thorough
async def test_when_every_address_is_dead_the_call_ends_after_five_seconds_and_says_so(network, start):
    network.names.names[NAME] = [DEAD, DEAD_6]
    house = await start(Upstream(network, OURS), routes=HASTY.replace("4s", "7s"))
    answer = await house.ask(request("POST", "/none/x", body=b"x"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_UNREACHABLE")
    assert f"at {NAME}:443: connecting timed out after 5s." in answer.json["message"]
    network.names.names[NAME] = [OURS]
    assert_passed_on(await house.get("/x"), 200)  # looked up anew, since none of the addresses was good


async def test_a_name_that_does_not_exist_is_told_and_found_once_it_does(network, start):
    network.names.names.pop(NAME, None)
    house = await start(Upstream(network, OURS), routes=HASTY)
    answer = await house.ask(request("POST", "/none/x", body=b"x"))
    assert_ours(answer, 502, "SIDECAR_UPSTREAM_UNREACHABLE")
    assert "its name could not be resolved" in answer.json["message"]
    network.names.names[NAME] = []
    assert "its name could not be resolved" in (await house.ask(request("POST", "/none/x"))).json["message"]
    network.names.names[NAME] = [OURS]
    assert_passed_on(await house.get("/x"), 200)


async def test_many_calls_at_once_share_one_slow_look_up_and_none_fails(network, start):
    network.names.names[NAME] = [OURS]
    network.names.delay, network.names.asked = 1.0, []
    house = await start(Upstream(network, OURS), routes=HASTY.replace("4s", "30s"))
    answers = await asyncio.gather(*(house.ask(request("POST", f"/{number}", body=b"x")) for number in range(60)))
    network.names.delay = 0.0
    assert [answer.status for answer in answers] == [200] * 60
    assert network.names.asked == [NAME] * 2  # its IPv4 and its IPv6 addresses


async def test_a_reload_looks_the_name_up_anew(network, start):
    network.names.names[NAME] = [OURS]
    house = await start(Upstream(network, OURS), routes=HASTY)
    await house.warm_up()
    async with Upstream(network, OURS_TOO) as other:
        network.names.names[NAME] = [OURS_TOO]
        house.sidecar.signal(signal.SIGHUP)
        async with asyncio.timeout(5):  # of the 10 s for which the answer would be kept
            while not other.requests:
                assert_passed_on(await house.get("/x"), 200)


@pytest.mark.thorough
async def test_a_name_that_moved_is_followed_under_steady_traffic(network, start):
    network.names.names[NAME] = [OURS]
    house = await start(Upstream(network, OURS), SIDECAR_UPSTREAM_MAX_AGE="1s", routes=HASTY)
    await house.warm_up()
    other = Upstream(network, OURS_TOO)
    async with other:
        network.names.names[NAME] = [OURS_TOO]
        async with asyncio.timeout(30):  # 10 s for which the look-up's answer is kept, and the connection's age
            while not other.requests:
                assert_passed_on(await house.get("/steady"), 200)
                await asyncio.sleep(0.05)
    metrics = (await house.get("/metrics")).body.decode()
    assert 'upstream_connections_closed_total{reason="age"} 0.0' not in metrics


async def test_when_an_address_dies_its_resting_connections_are_not_tried_one_after_the_other(network, start):
    network.names.names[NAME] = [OURS_TOO, OURS]
    hasty = HASTY.replace("4s", "1s")
    house = await start(Upstream(network, OURS, OURS_TOO), routes=hasty)
    held = house.upstream.hold("/held")
    asking = [asyncio.ensure_future(house.get("/held")) for _ in range(6)]
    for exchange in [await held.next() for _ in asking]:
        await held.answer(exchange, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert [(await one).status for one in asking] == [200] * 6
    with network.namespace.swallowing(OURS_TOO):
        answers = [(await house.ask(request("POST", "/x", body=b"x"))).status for _ in range(3)]
    assert answers == [504, 200, 200]
