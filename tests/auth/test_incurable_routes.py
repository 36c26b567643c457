"""Routes whose 401 no token cures: how many logins they cost, and whose token."""

from __future__ import annotations

import pytest
from biot_sidecar.auth.incurable_routes import (
    MANY_MARKS,
    ROUTES_LIMIT,
    SAME_TOKEN_SECONDS,
    YOUNG_SECONDS,
    IncurableRoutes,
    route_key,
)
from biot_sidecar.http.framing import request_head
from biot_sidecar.routing.route import Verdict

from tests.support.fakes import ROUTE as A_ROUTE
from tests.support.fakes import Clock

ROUTE = (b"GET", "/a/{id}")
OTHER = (b"GET", "/b")


class BioT:
    """Refuses every token on a route; counts the logins that its calls cost."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.routes = IncurableRoutes(self.clock)
        self.obtained = 1000.0  # the token in hand
        self.dropped = False
        self.logins = 1

    def judge(
        self, route=ROUTE, *, token: bytes | None = None, age: float | None = None, replayed=False, replayable=True
    ):
        age = self.clock.now - self.obtained if age is None else age
        token = b"%d" % self.logins if token is None else token
        return self.routes.judge(route, token, age, replayed=replayed, replayable=replayable)

    def log_in(self) -> None:
        self.logins += 1
        self.obtained = self.clock.now
        self.dropped = False

    def call(self, route=ROUTE, *, replayable=True) -> str:
        """A call that gets nothing but 401s; its judgements."""
        if self.dropped:
            self.log_in()
        first = self.judge(route, replayable=replayable)
        self.dropped = first != "pass"
        if first != "replay":
            return first
        self.log_in()
        second = self.judge(route, replayed=True, replayable=replayable)
        self.dropped = second != "pass"
        return f"{first} {second}"


def test_an_old_token_is_replaced_and_if_that_does_not_help_the_route_is_marked():
    biot = BioT()
    biot.clock.now += 100
    assert biot.call() == "replay pass"
    biot.clock.now += 0.5
    assert biot.call() == "pass"
    biot.clock.now += 0.6
    assert biot.call() == "replay pass"


def test_the_pauses_double_up_to_a_minute():
    biot = BioT()
    biot.clock.now += 100
    for pause in (1, 2, 4, 8, 16, 32):
        assert biot.call() == "replay pass"
        biot.clock.now += pause - 0.1
        assert biot.call() == "pass"
        biot.clock.now += 0.2


@pytest.mark.parametrize("seconds", [0.1, 1, 3, 11])
@pytest.mark.parametrize("replayable", [True, False])
def test_sixty_calls_cost_at_most_eight_logins_and_no_token_between_them(seconds, replayable):
    biot = BioT()
    dropped = 0
    for _ in range(60):
        dropped += biot.call(replayable=replayable) != "pass"
        biot.clock.now += seconds
    assert biot.logins <= 8
    assert dropped <= 7


def test_after_many_marks_another_token_is_tried_and_the_same_one_once_in_ten_minutes():
    biot = BioT()
    for _ in range(MANY_MARKS):
        biot.call()
        biot.clock.now += 61
    assert biot.call() == "pass"
    biot.log_in()  # for another route
    biot.clock.now += YOUNG_SECONDS
    assert biot.call() == "replay pass"
    biot.clock.now += SAME_TOKEN_SECONDS - 1
    assert biot.call() == "pass"
    biot.clock.now += 2
    assert biot.call() == "replay pass"


def test_a_young_token_is_replaced_once_in_a_pause():
    biot = BioT()
    assert biot.judge(age=2) == "replay"
    biot.log_in()
    biot.clock.now += 0.5
    assert biot.judge() == "pass"
    biot.clock.now += 1.1
    assert biot.judge() == "replay"


def test_calls_whose_token_has_been_replaced_meanwhile_are_sent_again_with_the_new_one():
    biot = BioT()
    biot.clock.now += 2
    assert [biot.judge() for _ in range(5)] == ["replay"] * 5
    biot.log_in()
    assert [biot.judge(replayed=True) for _ in range(5)] == ["pass"] * 5
    assert biot.routes.cases[ROUTE].marks == 1


def test_a_young_token_where_nothing_can_be_sent_again_is_dropped_once_or_twice():
    biot = BioT()
    told = []
    for _ in range(4):
        told.append(biot.call(replayable=False))
        biot.clock.now += 0.1
    assert told == ["drop", "drop", "pass", "pass"]
    biot.clock.now += 1
    assert [biot.call(replayable=False) for _ in range(2)] == ["drop", "pass"]


def test_an_old_token_where_nothing_can_be_sent_again_is_dropped_and_the_next_one_kept():
    biot = BioT()
    biot.clock.now += 100
    assert biot.call(replayable=False) == "drop"
    biot.clock.now += 11
    assert biot.call(replayable=False) == "pass"  # its login came before this call
    biot.clock.now += 30
    assert biot.call(replayable=False) == "drop"
    biot.log_in()  # for another route
    biot.clock.now += 100
    assert biot.call(replayable=False) == "drop"  # so long ago that this is another matter


def test_a_replay_with_an_old_token_of_others_is_no_mark():
    biot = BioT()
    assert biot.judge(age=100) == "replay"
    assert biot.judge(token=b"shared", age=60, replayed=True) == "drop"
    assert biot.routes.cases[ROUTE].marks == 0


def test_a_replay_with_the_token_that_the_route_had_been_marked_for_is_nothing_new():
    biot = BioT()
    biot.clock.now += 100
    biot.call()
    biot.clock.now += 11
    assert biot.judge(token=b"1", age=111) == "replay"  # another worker's, which has not heard of the new one
    assert biot.judge(age=11, replayed=True) == "pass"


def test_an_answer_that_is_no_401_clears_the_mark():
    biot = BioT()
    biot.clock.now += 100
    biot.call()
    biot.routes.accepted(ROUTE)
    biot.clock.now += 100
    assert biot.call() == "replay pass"
    assert biot.routes.cases[ROUTE].marks == 1
    biot.routes.accepted(ROUTE)
    assert not biot.routes.cases


@pytest.mark.parametrize("seconds", [0.1, 1, 3, 11])
def test_sixty_calls_of_which_every_other_one_is_refused_cost_at_most_eight_logins(seconds):
    biot = BioT()
    for number in range(60):
        if number % 2:
            biot.routes.accepted(ROUTE)
        else:
            biot.call()
        biot.clock.now += seconds
    assert biot.logins <= 8


def test_a_token_that_is_revoked_on_a_route_whose_mark_was_cleared_is_replaced():
    biot = BioT()
    biot.clock.now += 100
    assert biot.call() == "replay pass"
    biot.routes.accepted(ROUTE)
    assert biot.judge() == "replay"  # the one that the route had been marked for
    biot.log_in()
    for _ in range(9):
        assert biot.judge(replayed=True) == "pass"
        biot.routes.accepted(ROUTE)
        biot.log_in()  # for another route
        biot.clock.now += 1.1
        assert biot.judge() == "replay"
        biot.log_in()


def test_tokens_that_are_revoked_one_after_the_other_are_all_replaced():
    biot = BioT()
    for _ in range(5):
        biot.clock.now += 0.1
        assert biot.judge() == "replay"
        biot.log_in()
        biot.routes.accepted(ROUTE)


def test_one_routes_mark_is_no_other_routes():
    biot = BioT()
    biot.clock.now += 100
    biot.call()
    biot.routes.accepted(OTHER)
    biot.clock.now += 0.5
    assert biot.judge(OTHER, age=100) == "replay"
    assert biot.call() == "pass"


@pytest.mark.parametrize(
    ("template", "target", "route"),
    [
        ("/ums/v1/users/{id}", b"/ums/v1/users/7", "/ums/v1/users/{id}"),
        ("", b"/x?a=7", "/x"),
        ("/ums/**", b"/ums/v2/things/7f1c/parts/2?a", "/ums/v2/things/{id}/parts/{id}"),
        ("/ums/**", b"/ums/v2", "/ums/v2"),
        ("", b"/v2x/" + b"a" * 50, "/{id}/{id}"),
        ("", b"/a/\xff", "/a/\xff"),
        ("", b"*", "*"),
    ],
)
def test_a_route_is_a_template_and_where_that_stands_for_many_a_path_without_its_ids(template, target, route):
    head = request_head(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert route_key(head.method, head.target, Verdict(A_ROUTE, template)) == (b"GET", route)


def test_memory_is_bounded():
    biot = BioT()
    for number in range(2 * ROUTES_LIMIT):
        biot.judge((b"GET", f"/{number}"), age=100)
    assert len(biot.routes.cases) == ROUTES_LIMIT
    for number in range(2 * ROUTES_LIMIT):
        biot.judge((b"GET", f"/{number}"), age=1, replayed=True)
        biot.routes.accepted((b"GET", f"/{number}"))
    assert len(biot.routes._vain) == ROUTES_LIMIT
