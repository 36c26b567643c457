"""The real sidecar before the real simulator: faults, revoked tokens and hours of shifted clock, by seed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.deploy.programs import call, program, seen
from tests.support.rawclient import RawClient
from tests.support.shifted import FILE, ShiftedClock
from tests.support.sidecar import SECRET, USER, Sidecar, start_sidecar
from tests.support.wire import request

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

STEPS = 80
AT_ONCE = 15
PATIENTS = "/organization/v1/users/patients"
LOGIN = "/ums/v2/services/accessToken"
REJECTIONS = {"login_failed", "service_locked"}
FAULTS: list[dict[str, Any]] = [
    {"fault": "login_failed"},
    {"fault": "service_locked"},
    {"fault": "slow", "delay": 0.3},
    {"fault": "reset"},
    {"fault": "half_answer"},
    {"fault": "bad_json"},
    {"fault": "status", "status": 500},
    {"fault": "status", "status": 503, "retry_after": 30},
]


class Stage:
    """The sidecar, the simulator, the clock that both go by, and how many tokens were revoked in use."""

    def __init__(self, sidecar: Sidecar, biot: str, clock: ShiftedClock, random: Random) -> None:
        self.sidecar = sidecar
        self.biot = biot
        self.clock = clock
        self.random = random
        self.revocations = 0

    async def step(self) -> None:
        pick = self.random.choice(["calls", "calls", "time", "time", "faults", "revoke"])
        if pick == "calls":
            await self.calls(self.random.choice([1, 2, AT_ONCE]))
        elif pick == "time":
            self.clock.go(self.random.choice([3, 29, 31, 70, 130, 301, 1400, 4000]))
        elif pick == "revoke":
            self.revocations += 1
            await asyncio.to_thread(call, "DELETE", f"{self.biot}/_simulator/tokens")
        else:
            faults = self.random.sample(FAULTS, self.random.randrange(3))
            await self.set_faults([{"match": f"POST {LOGIN}", "count": 1, **fault} for fault in faults])

    async def set_faults(self, faults: list[dict[str, Any]]) -> None:
        await asyncio.to_thread(call, "PUT", f"{self.biot}/_simulator/faults", {"faults": faults})

    async def calls(self, count: int) -> set[int]:
        """Some at once; every one of them is answered."""
        statuses = set(await asyncio.gather(*(self._call() for _ in range(count))))
        assert statuses <= {200, 502, 503, 504}, statuses
        return statuses

    async def _call(self) -> int:
        client = await RawClient.open(self.sidecar.port)
        try:
            return (await client.ask(request("GET", PATIENTS), "GET")).status
        finally:
            client.close()


@asynccontextmanager
async def stage(folder: Path, seed: int) -> AsyncIterator[Stage]:
    clock = ShiftedClock(folder)
    module = clock.settings["module"]
    env = {"BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET, FILE: clock.settings[FILE]}
    command = [sys.executable, "-m", module, "simulate", "--listen", "127.0.0.1:0"]
    with program(folder, "simulator", command, env) as simulator:
        biot = simulator.first_line.split()[3]
        sidecar = await start_sidecar(folder, biot, **clock.settings)
        try:
            yield Stage(sidecar, biot, clock, Random(seed))
        finally:
            await sidecar.stop()


def moment(one: dict[str, Any]) -> float:
    return datetime.fromisoformat(one["at"]).timestamp()


def check_blocks(logins: list[dict[str, Any]]) -> None:
    """After each rejection the next login comes a minute later, doubling from one to the next."""
    rejections = 0
    for one, following in zip(logins, [*logins[1:], None], strict=True):
        rejections = rejections + 1 if one["fault"] in REJECTIONS else 0 if one["status"] == 200 else rejections
        if one["fault"] in REJECTIONS and following is not None:
            assert moment(following) - moment(one) > min(900, 60 * 2 ** (rejections - 1)) - 0.5, (one, following)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_goes_wrong_no_call_leaves_without_a_token_that_was_good_when_it_left(tmp_path, seed):
    async with stage(tmp_path, seed) as here:
        for _ in range(STEPS):
            await here.step()
        await here.set_faults([])
        here.clock.go(1000)
        assert await here.calls(3) == {200}
        history = await asyncio.to_thread(seen, here.biot)
        calls = [one for one in history if one["path"] == PATIENTS]
        logins = [one for one in history if one["path"] == LOGIN]
        assert {one["token"] for one in calls} <= {"valid", "invalid"}
        # A revoked token is refused to those who call at once, and to nobody after them.
        assert sum(one["token"] == "invalid" for one in calls) <= here.revocations * AT_ONCE
        assert len([one for one in calls if one["token"] == "valid"]) > 30
        assert len(logins) > 5
        check_blocks(logins)
