"""One token for several workers: the parent logs in once, for whichever of them asks. No sockets."""

from __future__ import annotations

import asyncio
import math

import pytest
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.secret_source import ReadableSecret, UnreadableSecret
from biot_sidecar.auth.single_flight_login import LoginRecord
from biot_sidecar.errors import Code
from biot_sidecar.process.token_broker import TokenBroker, TokenBrokerClient, WorkerSecret
from biot_sidecar.process.worker_channel import ChannelClosed
from biot_sidecar.settings.secret import Secret

from tests.support.fakes import Clock

NOW = 1_763_549_574.0
LIFE = 1800.0
START = TokenRequest("start")


class Supervisor(ReadableSecret):
    """A broker over a login that the test decides about."""

    def __init__(self) -> None:
        self.wall = Clock(NOW)
        self.clock = Clock(1000.0)
        self.logins: list[TokenRequest] = []
        self.fault: LoginFailure | None = None
        self.secret = "one"
        self.was_read = ""
        self.told: list[str] = []
        self.rejections: list[bool] = []
        self.closed = False
        self.unreadable = ""
        self.going = asyncio.Event()
        self.going.set()
        self.age = 0.0  # of a token that another sidecar's login gave
        self.broker = TokenBroker(self, self, wall=self.wall, clock=self.clock, jitter=lambda: 0.0, observer=self)

    def read(self) -> Secret:
        if self.unreadable:
            raise UnreadableSecret(self.unreadable)
        self.was_read = self.secret
        return Secret(self.secret)

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        self.told.append(outcome)

    def login_ended(self, *, rejected: bool) -> None:
        self.rejections.append(rejected)

    async def close(self) -> None:
        self.closed = True

    def changed(self) -> bool:
        return self.secret != self.was_read

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        self.logins.append(request)
        await self.going.wait()
        return self.fault or IssuedToken(f"token-{len(self.logins)}", self.wall(), self.wall() + LIFE, age=self.age)


class Straight:
    """A channel that is a function call; `open` says whether the parent is there."""

    def __init__(self, parent: Supervisor) -> None:
        self._parent = parent
        self.open = True

    async def request(self, name: str, content=None):
        if not self.open:
            raise ChannelClosed
        assert name == "token"
        return await self._parent.broker.answer(content)


@pytest.fixture
def parent() -> Supervisor:
    return Supervisor()


def rejected() -> LoginFailure:
    return LoginFailure(Code.LOGIN_REJECTED, "rejected", "BioT rejected it.", "Check it.", blocks=True)


async def test_every_worker_gets_the_token_of_one_login(parent):
    parent.going.clear()
    asking = [asyncio.ensure_future(parent.broker.obtain(START)) for _ in range(10)]
    await asyncio.sleep(0)
    parent.going.set()
    assert {issued.jwt for issued in await asyncio.gather(*asking)} == {"token-1"}
    assert len(parent.logins) == 1


async def test_a_worker_that_goes_away_does_not_take_the_login_along(parent):
    parent.going.clear()
    leader, other = (asyncio.ensure_future(parent.broker.obtain(START)) for _ in range(2))
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.sleep(0)
    parent.going.set()
    assert (await other).jwt == "token-1"
    assert len(parent.logins) == 1


@pytest.mark.parametrize(
    ("passed", "wanted"),
    [
        (10.0, TokenRequest("string", 5.0)),
        (10.0, TokenRequest("token_not_valid", math.inf, b"Bearer token-1")),
        (0.8 * LIFE, TokenRequest("expiring")),
    ],
    ids=["too old for a new string", "refused by BioT", "near its end"],
)
async def test_a_token_that_will_not_do_is_replaced(parent, passed, wanted):
    await parent.broker.obtain(START)
    parent.clock.now += passed
    assert (await parent.broker.obtain(wanted)).jwt == "token-2"


async def test_a_worker_is_told_how_old_its_token_is_and_when_the_pause_ends_whatever_the_wall_clock_says(parent):
    worker = TokenBrokerClient(Straight(parent))
    await worker.obtain(Secret("unused"), START)
    parent.clock.now += 100
    parent.wall.now -= 3600
    issued = await worker.obtain(Secret("unused"), START)
    assert (issued.jwt, issued.age, issued.life) == ("token-1", 100, LIFE)
    parent.fault = rejected()
    refused = TokenRequest("token_not_valid", 100, b"Bearer token-1")
    await worker.obtain(Secret("unused"), refused)
    parent.wall.now -= 3600
    parent.clock.now += 45
    assert (await worker.obtain(Secret("unused"), refused)).pause == 15


async def test_a_login_that_began_for_another_worker_may_not_do(parent):
    parent.going.clear()
    first = asyncio.ensure_future(parent.broker.obtain(START))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(parent.broker.obtain(TokenRequest("token_not_valid", math.inf, b"Bearer token-1")))
    await asyncio.sleep(0)
    parent.going.set()
    assert ((await first).jwt, (await second).jwt) == ("token-1", "token-2")


async def test_a_token_that_was_issued_while_a_worker_waited_is_young_enough_for_it(parent):
    await parent.broker.obtain(START)
    parent.clock.now += 0.5
    parent.age = 0.6
    parent.going.clear()
    refused = TokenRequest("token_not_valid", 0.5, b"Bearer token-1")
    asking = [asyncio.ensure_future(parent.broker.obtain(refused)) for _ in range(3)]
    await asyncio.sleep(0)
    parent.clock.now += 0.7
    parent.going.set()
    assert {issued.jwt for issued in await asyncio.gather(*asking)} == {"token-2"}


async def test_a_request_that_waited_for_another_ones_login_asks_for_no_younger_token_than_it_did(parent):
    parent.going.clear()
    first = asyncio.ensure_future(parent.broker.obtain(START))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(parent.broker.obtain(TokenRequest("token_not_valid", 5, b"Bearer token-1")))
    await asyncio.sleep(0)
    parent.clock.now += 2
    parent.going.set()
    await asyncio.gather(first, second)
    assert [login.younger_than for login in parent.logins] == [math.inf, 7]


async def test_a_rejected_secret_costs_one_login_whoever_asks(parent):
    parent.fault = rejected()
    assert [(await parent.broker.obtain(START)).blocks for _ in range(5)] == [True] * 5
    assert len(parent.logins) == 1
    parent.secret = "two"
    parent.fault = None
    assert (await parent.broker.obtain(START)).jwt == "token-2"


async def test_an_unreadable_secret_is_told_without_a_login(parent):
    parent.unreadable, parent.was_read = "no such file", parent.secret
    for _ in range(3):
        failure = await parent.broker.obtain(START)
        assert "no such file" in failure.message
    assert (failure.code, parent.told) == (Code.SECRET_UNAVAILABLE, ["secret"])
    assert not parent.logins


async def test_a_worker_leaves_it_to_its_parent_to_say_that_the_secret_cannot_be_read(parent):
    secret = WorkerSecret(parent)
    assert secret.read().reveal() == "one"
    parent.secret = "two"
    assert secret.changed()
    parent.unreadable = "no such file"
    assert secret.read().reveal() == ""


async def test_a_worker_hears_the_token_or_the_failure_in_full(parent):
    worker = TokenBrokerClient(Straight(parent))
    issued = await worker.obtain(Secret("unused"), TokenRequest("start", math.inf, b"Bearer old"))
    assert issued == IssuedToken("token-1", NOW, NOW + LIFE)
    assert parent.logins == [TokenRequest("start", math.inf, b"Bearer old")]
    parent.fault = rejected()
    failure = await worker.obtain(Secret("unused"), TokenRequest("token_not_valid", math.inf, b"Bearer token-1"))
    assert (failure.code, failure.message, failure.outcome, failure.hint) == (
        Code.LOGIN_REJECTED, "BioT rejected it.", "rejected", "Check it.",
    )  # fmt: skip
    assert (failure.blocks, failure.pause) == (True, 60.0)


async def test_without_its_parent_a_worker_says_that_it_cannot_log_in(parent):
    channel = Straight(parent)
    channel.open = False
    failure = await TokenBrokerClient(channel).obtain(Secret("unused"), START)
    assert (failure.code, failure.blocks) == (Code.LOGIN_UNAVAILABLE, False)


async def test_the_history_tells_what_all_workers_did_with_each_token(parent):
    await parent.broker.obtain(START)
    parent.clock.now += 1
    parent.fault = rejected()
    await parent.broker.obtain(TokenRequest("token_not_valid", math.inf, b"Bearer token-1"))
    counted = [LoginRecord(NOW, "start", "success", 0.1, NOW, calls) for calls in (3, 4)]
    told = [(one.reason, one.outcome, one.calls) for one in parent.broker.logins(counted)]
    assert told == [("start", "success", 7), ("token_not_valid", "rejected", 0)]


async def test_closing_gives_up_a_login(parent):
    parent.going.clear()
    asking = asyncio.ensure_future(parent.broker.obtain(START))
    await asyncio.sleep(0)
    await parent.broker.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_secrets_source_hears_whether_biot_rejects_it_and_is_closed_with_the_broker(parent):
    await parent.broker.obtain(START)
    for fault in (LoginFailure(Code.LOGIN_UNAVAILABLE, "network", "no"), rejected()):
        parent.fault = fault
        parent.clock.now += LIFE
        await parent.broker.obtain(TokenRequest("expiring"))
    assert parent.rejections == [False, False, True]
    await parent.broker.close()
    assert parent.closed


async def test_the_token_in_hand_may_be_sent_for_what_is_no_call(parent):
    assert (parent.broker.in_hand(), parent.broker.logged_in.is_set()) == (None, False)
    await parent.broker.obtain(START)
    assert (parent.broker.in_hand(), parent.broker.logged_in.is_set()) == (b"Bearer token-1", True)
    parent.clock.now += LIFE - 61
    assert parent.broker.in_hand() == b"Bearer token-1"
    parent.clock.now += 2
    assert parent.broker.in_hand() is None
