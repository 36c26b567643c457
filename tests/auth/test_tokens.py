"""The token's life: strings of calls, one login at a time, blocks, rotation. No sockets; every clock is set by hand."""

from __future__ import annotations

import asyncio

import pytest
from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.secret_source import ReadableSecret, UnreadableSecret
from biot_sidecar.auth.token import Token
from biot_sidecar.auth.tokens import Tokens
from biot_sidecar.errors import Code, LoginError
from biot_sidecar.process.process_context import LocalRejections
from biot_sidecar.settings.secret import Secret

LIFE = 1800.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_763_549_574.0

    def __call__(self) -> float:
        return self.now


class FakeSecret(ReadableSecret):
    remedy = "write another one"

    def __init__(self) -> None:
        self.text = "one"
        self.was_read = ""
        self.unreadable = ""

    def read(self) -> Secret:
        if self.unreadable:
            raise UnreadableSecret(self.unreadable)
        self.was_read = self.text
        return Secret(self.text)

    def changed(self) -> bool:
        return self.text != self.was_read

    def recovered(self) -> bool:
        return not self.unreadable


class Watch:
    """Remembers what an observer is told."""

    def __init__(self) -> None:
        self.expires: list[float] = []
        self.blocks: list[float] = []
        self.events: list[tuple[str, str, str]] = []
        self.offsets: list[float] = []
        self.finished: list[tuple[str, str, str]] = []

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        assert outcome == "secret", "told by whoever logs in, not by Tokens"
        self.finished.append((outcome, reason, why))

    def event(self, level: str, event: str, message: str) -> None:
        self.events.append((level, event, message))

    def token_obtained(self, expires: float) -> None:
        self.expires.append(expires)

    def clock_compared(self, offset: float) -> None:
        self.offsets.append(offset)

    def blocked_until(self, moment: float) -> None:
        self.blocks.append(moment)


def failed(*, blocks: bool = False, retry_after: float = 0.0) -> LoginFailure:
    code = Code.LOGIN_REJECTED if blocks else Code.LOGIN_UNAVAILABLE
    return LoginFailure(code, "rejected" if blocks else "network", "no", blocks=blocks, retry_after=retry_after)


class House:
    """Tokens with everything around it in hand; `answers` are what the next logins end with, tokens by default."""

    def __init__(self, *, gap: float = 30.0, fresh_for: float = 300.0) -> None:
        self.clock = Clock()
        self.secret = FakeSecret()
        self.watch = Watch()
        self.answers: list[LoginFailure | float] = []
        self.wants: list[str] = []
        self.requests: list[TokenRequest] = []
        self.shared = False
        self.age = 0.0
        self.date: float | None = None
        self.set_by = 0.0  # by how much the wall clock was set
        self.running = 0
        self.hold: asyncio.Event | None = None
        self.tokens = Tokens(
            self,  # the provider
            self.secret,  # type: ignore[arg-type]
            string_gap=gap,
            fresh_for=fresh_for,
            wall=lambda: self.clock.now + self.set_by,
            clock=self.clock,
            jitter=lambda: 0.0,
            observer=self.watch,
            rejections=LocalRejections(self.clock),
        )

    @property
    def logins(self) -> int:
        return len(self.wants)

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        assert self.running == 0, "two logins at a time"
        self.running += 1
        self.wants.append(request.reason)
        self.requests.append(request)
        try:
            if self.hold is not None:
                await self.hold.wait()
            answer = self.answers.pop(0) if self.answers else LIFE
            if isinstance(answer, LoginFailure):
                return answer
            return IssuedToken(
                f"token.{self.logins}", self.clock.now, self.clock.now + answer, self.shared, self.age, self.date
            )
        finally:
            self.running -= 1

    async def take(self) -> Token:
        return self.tokens.current(self.tokens.now()) or await self.tokens.acquire()

    async def call(self) -> str:
        """One whole call; the text of the token it got."""
        self.tokens.call_started()
        try:
            return (await self.take()).authorization.decode().removeprefix("Bearer ")
        finally:
            self.tokens.call_ended()

    async def settle(self) -> None:
        """Let a login in the background end."""
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_string_of_calls_shares_one_token():
    house = House()
    for _ in range(10):
        house.clock.now += 29
        assert await house.call() == "token.1"
    assert house.wants == ["start"]


async def test_a_new_string_starts_with_a_young_token():
    house = House()
    assert await house.call() == "token.1"
    house.clock.now += 200
    assert await house.call() == "token.1"  # a new string, but the token is young
    house.clock.now += 101
    assert await house.call() == "token.2"
    assert house.wants == ["start", "string"]


async def test_an_old_token_goes_on_within_its_string():
    house = House()
    for _ in range(40):
        assert await house.call() == "token.1"
        house.clock.now += 29
    assert house.logins == 1


async def test_a_long_call_is_no_silence():
    house = House(fresh_for=10)
    house.tokens.call_started()
    await house.take()
    house.clock.now += 100
    assert await house.call() == "token.1"
    house.tokens.call_ended()
    house.clock.now += 29
    assert await house.call() == "token.1"
    house.clock.now += 31
    assert await house.call() == "token.2"


async def test_fresh_for_zero_gives_every_string_its_own_login():
    house = House(fresh_for=0)
    house.tokens.start()
    await house.settle()
    assert house.logins == 0
    for number in range(1, 4):
        assert await house.call() == f"token.{number}"
        house.clock.now += 5
        assert await house.call() == f"token.{number}"
        house.clock.now += 30


async def test_the_first_call_need_not_wait_for_a_login_at_start():
    house = House()
    house.tokens.start()
    await house.settle()
    assert house.tokens.current(house.tokens.now()) is not None
    assert house.wants == ["start"]


async def test_any_number_of_callers_share_one_login():
    house = House()
    assert set(await asyncio.gather(*(house.call() for _ in range(200)))) == {"token.1"}
    assert house.logins == 1


async def test_a_caller_that_goes_away_does_not_take_the_login_along():
    house = House()
    house.hold = asyncio.Event()
    first = asyncio.ensure_future(house.call())
    second = asyncio.ensure_future(house.call())
    await house.settle()
    first.cancel()
    await house.settle()
    house.hold.set()
    assert await second == "token.1"
    assert first.cancelled()
    assert house.logins == 1


async def test_past_three_quarters_of_its_life_a_token_is_renewed_while_calls_go_on():
    house = House()
    house.hold = asyncio.Event()
    house.hold.set()
    await house.call()
    for _ in range(47):
        house.clock.now += 28.7
        assert await house.call() == "token.1"
    assert not house.tokens.renewing
    house.hold.clear()
    house.clock.now += 5
    assert await house.call() == "token.1"
    await house.settle()
    assert house.wants == ["start", "expiring"]
    assert house.tokens.renewing
    assert await house.call() == "token.1"
    house.hold.set()
    await house.settle()
    assert await house.call() == "token.2"
    assert not house.tokens.renewing


async def test_a_token_near_its_end_is_never_sent():
    house = House(gap=10_000)
    await house.call()
    house.clock.now += LIFE - 60
    assert house.tokens.current(house.tokens.now()) is None
    assert await house.call() == "token.2"
    assert house.wants == ["start", "expiring"]


async def test_a_machine_that_slept_wakes_up_with_a_new_token():
    house = House()
    await house.call()
    house.clock.now += 8 * 3600
    assert await house.call() == "token.2"


async def test_a_rejected_token_is_dropped_once():
    house = House()
    await house.call()
    token = house.tokens.current(house.tokens.now())
    assert token is not None
    for _ in range(100):
        house.tokens.invalidate(token)
    assert set(await asyncio.gather(*(house.call() for _ in range(100)))) == {"token.2"}
    house.tokens.invalidate(token)  # too late: another one is current
    assert await house.call() == "token.2"
    assert house.wants == ["start", "token_not_valid"]
    # From others that share it only a younger one will do: an older one would have been refused as well.
    assert house.requests[1] == TokenRequest("token_not_valid", 0.0, b"Bearer token.1")


async def test_a_route_is_known_for_its_401s_until_it_has_another_answer():
    house, route = House(), (b"GET", "/organization/v1/users")
    await house.call()
    house.clock.now += 100
    assert await house.tokens.rejected(house.tokens._token, route, replayed=False, replayable=True)
    await house.call()
    assert not await house.tokens.rejected(house.tokens._token, route, replayed=True, replayable=True)
    assert list(house.tokens.marked) == [route]
    house.tokens.accepted(route)
    assert not house.tokens.marked


async def test_a_waiter_is_not_given_a_token_that_was_rejected_meanwhile():
    house = House()
    house.hold = asyncio.Event()
    waiter = asyncio.ensure_future(house.call())
    await house.settle()
    login = house.tokens._login.under_way
    assert login is not None
    login.add_done_callback(lambda done: house.tokens.invalidate(house.tokens._token))
    house.hold.set()
    assert await waiter == "token.2"


async def test_a_failed_login_fails_those_who_waited_for_it():
    house = House()
    house.answers = [failed()]
    house.hold = asyncio.Event()
    calls = [asyncio.ensure_future(house.call()) for _ in range(50)]
    await house.settle()
    house.hold.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(one, LoginError) for one in results)
    assert len({id(one) for one in results}) == 50
    assert house.logins == 1


async def test_after_a_failure_the_next_login_waits_its_pause():
    house = House()
    house.answers = [failed(), failed(retry_after=7)]
    for wait in (1.0, 7.0):
        with pytest.raises(LoginError):
            await house.call()
        house.clock.now += wait - 0.1
        before = house.logins
        with pytest.raises(LoginError):
            await house.call()
        assert house.logins == before
        house.clock.now += 0.2
    assert await house.call() == "token.3"


async def test_a_wrong_secret_costs_one_login_per_block():
    house = House()
    house.answers = [failed(blocks=True)] * 3
    for seconds in range(400):
        with pytest.raises(LoginError) as caught:
            await house.call()
        assert caught.value.code is Code.LOGIN_REJECTED
        house.clock.now += 1
        expected = 1 + (seconds >= 60) + (seconds >= 180)
        assert house.logins == expected
    assert "blocked" in (house.tokens.unready() or "")
    assert house.tokens.status()["state"] == "blocked"


async def test_callers_hear_until_when_logins_are_paused_and_how_to_go_on():
    house = House()
    house.answers = [failed(blocks=True), failed()]
    with pytest.raises(LoginError) as caught:
        await house.call()
    assert caught.value.hint.endswith(
        "Logins are paused until 2025-11-19T10:53:54Z, so that BioT does not lock the user; write another one."
    )
    house.clock.now += 61
    with pytest.raises(LoginError) as caught:
        await house.call()
    assert "paused" not in caught.value.hint


async def test_a_changed_secret_lifts_a_block():
    house = House()
    house.answers = [failed(blocks=True)]
    with pytest.raises(LoginError):
        await house.call()
    assert house.tokens.unready() is not None
    house.secret.text = "two"
    assert house.tokens.unready() is None
    assert await house.call() == "token.2"
    assert house.watch.blocks == [house.clock.now + 60, 0.0]


async def test_a_secret_that_changes_while_biot_rejects_the_old_one_costs_no_caller_an_error():
    """A rotation: the login went out with the key that was deleted a moment later."""
    house = House()
    house.answers = [failed(blocks=True)]
    house.hold = asyncio.Event()
    calls = [asyncio.ensure_future(house.call()) for _ in range(3)]
    await house.settle()
    house.secret.text = "two"
    house.hold.set()
    assert set(await asyncio.gather(*calls)) == {"token.2"}
    assert house.secret.was_read == "two"
    assert (house.logins, house.watch.blocks) == (2, [])


async def test_after_that_the_new_secret_is_not_tried_a_third_time():
    house = House()
    house.answers = [failed(blocks=True), failed(blocks=True)]
    house.hold = asyncio.Event()
    call = asyncio.ensure_future(house.call())
    await house.settle()
    house.secret.text = "two"
    house.hold.set()
    with pytest.raises(LoginError):
        await call
    assert (house.logins, house.watch.blocks) == (2, [house.clock.now + 60])


async def test_a_good_token_goes_on_being_used_while_no_other_can_be_had():
    house = House(gap=10_000)
    await house.call()
    house.answers = [failed(blocks=True)]
    house.clock.now += LIFE * 0.76
    assert await house.call() == "token.1"
    await house.settle()
    assert await house.call() == "token.1"
    assert house.tokens.renewing
    assert house.logins == 2
    assert house.tokens.unready() is None


async def test_a_new_string_starts_with_the_old_token_if_no_other_can_be_had():
    house = House()
    await house.call()
    house.answers = [failed()]
    house.clock.now += 400
    assert await house.call() == "token.1"
    assert await house.call() == "token.1"
    assert house.wants == ["start", "string"]
    assert house.tokens.renewing is False  # the second call found it young enough for its string
    house.clock.now += 31
    assert await house.call() == "token.3"


async def test_a_changed_secret_lifts_a_block_while_the_old_token_goes_on():
    house = House(gap=10_000)
    await house.call()
    house.clock.now += LIFE * 0.76
    house.answers = [failed(blocks=True)]
    for _ in range(2):
        assert await house.call() == "token.1"
        await house.settle()
    assert house.logins == 2
    house.secret.text = "two"
    assert await house.call() == "token.1"
    await house.settle()
    assert await house.call() == "token.3"


async def test_a_changed_secret_does_not_hurry_a_biot_that_asked_for_time():
    house = House()
    house.answers = [failed(retry_after=100)]
    with pytest.raises(LoginError):
        await house.call()
    house.secret.text = "two"
    house.clock.now += 99
    with pytest.raises(LoginError):
        await house.call()
    assert house.logins == 1
    house.clock.now += 2
    assert await house.call() == "token.2"


async def test_what_others_share_must_be_young_enough_for_the_call():
    house = House(fresh_for=300)
    await house.call()
    house.clock.now += 301
    await house.call()
    house.clock.now += LIFE
    house.tokens._login_reason = ""
    await house.tokens.acquire()
    assert house.requests == [
        TokenRequest("start", 300),
        TokenRequest("string", 300, b"Bearer token.1"),
        TokenRequest("expiring", LIFE, b"Bearer token.2"),
    ]


async def test_with_fresh_for_zero_nothing_that_others_share_will_do():
    house = House(fresh_for=0)
    await house.call()
    assert not house.requests[0].shareable
    house.tokens.invalidate(house.tokens._token)
    await house.call()
    assert house.requests[1].shareable


async def test_an_unreadable_secret_is_told_and_tried_again():
    house = House()
    house.secret.unreadable = "no such file"
    with pytest.raises(LoginError, match="SECRET_UNAVAILABLE") as caught:
        await house.call()
    assert "no such file" in caught.value.message
    assert house.watch.finished == [("secret", "start", f"{caught.value.message} {caught.value.hint}")]
    assert house.logins == 0
    house.secret.unreadable = ""
    house.clock.now += 2
    assert await house.call() == "token.1"


async def test_the_history_tells_what_each_login_served():
    house = House()
    house.answers = [failed(), LIFE]
    with pytest.raises(LoginError):
        await house.call()
    house.clock.now += 2
    for _ in range(3):
        await house.call()
    assert [(one.reason, one.outcome, one.calls) for one in house.tokens.history] == [
        ("start", "network", 0),
        ("start", "success", 3),
    ]


async def test_the_history_tells_tokens_of_others_and_unreadable_secrets_apart():
    house = House()
    house.secret.unreadable = "no such file"
    with pytest.raises(LoginError):
        await house.call()
    house.secret.unreadable = ""
    house.shared = True
    house.clock.now += 2
    await house.call()
    assert [one.outcome for one in house.tokens.history] == ["secret", "shared"]


@pytest.mark.parametrize("back", [-3600, -10.0 * 365 * 86_400])
async def test_a_clock_set_back_prolongs_nothing(back):
    house = House()
    house.answers = [failed()]
    with pytest.raises(LoginError):
        await house.call()
    house.set_by = back
    house.clock.now += 1.1
    assert await house.call() == "token.2"  # the pause is over
    house.clock.now += 301
    assert await house.call() == "token.3"  # it was a silence, and the token old
    house.clock.now += LIFE
    house.answers = [failed(blocks=True)]
    with pytest.raises(LoginError):
        await house.call()
    assert house.tokens.status()["blocked_until"] == house.clock.now + back + 60
    house.clock.now += 61
    assert house.tokens.unready() is None
    assert await house.call() == "token.5"


async def test_a_token_of_others_is_as_old_as_it_is_whatever_the_wall_clock_says():
    house = House()
    house.age = 250.0
    assert await house.call() == "token.1"
    token = house.tokens.current(house.tokens.now())
    assert token is not None
    assert house.tokens.age(token) == 250
    house.clock.now += 51
    house.age = 0.0
    assert await house.call() == "token.2"


async def test_the_status_shows_times_and_no_token():
    house = House()
    assert house.tokens.status() == {
        "state": "none", "obtained": None, "expires": None, "clock_offset": None, "blocked_until": None,
    }  # fmt: skip
    await house.call()
    now = house.clock.now
    assert house.tokens.status() == {
        "state": "valid", "obtained": now, "expires": now + LIFE, "clock_offset": None, "blocked_until": None,
    }  # fmt: skip
    assert house.watch.expires == [now + LIFE]


async def test_closing_gives_up_a_login():
    house = House()
    house.hold = asyncio.Event()
    house.tokens.start()
    await house.settle()
    assert house.tokens.status()["state"] == "waiting"
    await house.tokens.close()
    assert house.running == 0


async def test_a_clock_that_is_wrong_is_told_and_warned_about_once():
    house = House(fresh_for=0)
    offsets = [20.0, 1860.0, 1860.0, 0.0, -93_600.0]
    for offset in offsets:
        house.date = house.clock.now + offset
        await house.call()
        assert house.tokens.status()["clock_offset"] == offset
        house.clock.now += 31
    assert house.watch.offsets == offsets
    first, second = (told for _, event, told in house.watch.events if event == "clock")
    assert "1860s behind BioT's" in first
    assert "93600s ahead of BioT's" in second


async def test_a_shared_token_tells_biots_clock_by_its_age():
    house = House()
    house.age, house.date = 200.0, house.clock.now - 200 + 60
    await house.call()
    assert house.tokens.clock_offset == 60


async def test_without_a_date_the_offset_stays_as_it_was_known():
    house = House(fresh_for=0)
    house.date = house.clock.now + 5
    await house.call()
    house.date = None
    house.clock.now += 31
    await house.call()
    assert house.tokens.clock_offset == 5
    assert house.watch.offsets == [5]


async def test_the_token_in_hand_may_be_sent_for_what_is_no_call_and_causes_no_login():
    house = House()
    assert (house.tokens.in_hand(), house.tokens.logged_in.is_set()) == (None, False)
    token = await house.tokens.acquire()
    assert (house.tokens.in_hand(), house.tokens.logged_in.is_set()) == (token.authorization, True)
    house.clock.now += LIFE - 61
    assert house.tokens.in_hand() == token.authorization
    house.clock.now += 2
    assert house.tokens.in_hand() is None
    await asyncio.sleep(0)
    assert house.logins == 1
