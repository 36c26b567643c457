"""No call outlasts the limit of all calls; an event that comes changes it for those under way."""

from __future__ import annotations

import asyncio

import pytest
from biot_sidecar.http.time_limit import GRACE, MARGIN, CallTime, TimeLimit

from tests.support.simulated_loop import simulate

NEVER = float("inf")


async def ended_after(limit: TimeLimit, began: float) -> float:
    """When, in seconds from its beginning, a call that would last for ever is ended."""
    with pytest.raises(TimeoutError):
        await limit.within(CallTime(began), asyncio.sleep(1e9))
    return round(asyncio.get_running_loop().time() - began, 3)


def test_a_call_ends_when_the_most_is_over_that_any_may_take():
    async def main() -> None:
        limit = TimeLimit(3.0, asyncio.get_running_loop().time)
        assert await limit.within(CallTime(0.0), asyncio.sleep(2.9, "whole")) == "whole"
        began = asyncio.get_running_loop().time()
        assert await ended_after(limit, began) == 3.0

    simulate(main())


@pytest.mark.parametrize(("most", "seconds"), [(NEVER, 3.0 - MARGIN), (2.0, 2.0)])
def test_a_call_ends_shortly_before_its_events_deadline(most, seconds):
    async def main() -> None:
        limit = TimeLimit(most, asyncio.get_running_loop().time)
        limit.event_came(3.0)
        assert await ended_after(limit, 0.0) == seconds

    simulate(main())


def test_a_call_that_began_before_its_event_was_known_is_held_to_it_too():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limit = TimeLimit(NEVER, loop.time)
        loop.call_later(0.2, limit.event_came, 1.0)
        assert await ended_after(limit, 0.0) == round(1.2 - MARGIN, 3)

    simulate(main())


def test_what_an_earlier_event_left_over_does_not_end_the_calls_of_the_next():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limit = TimeLimit(NEVER, loop.time)
        limit.event_came(1.0)
        await asyncio.sleep(0.9)  # within the margin of the last event; the next one's deadline is under way
        loop.call_later(GRACE / 2, limit.event_came, 3.0)
        assert await ended_after(limit, 0.9) == round(GRACE / 2 + 3.0 - MARGIN, 3)
        await asyncio.sleep(1.0)  # that event is over, and no other is known
        assert limit.left(loop.time()) == NEVER

    simulate(main())


def test_within_the_margin_a_call_has_a_moment_for_the_next_events_deadline_to_come():
    async def main() -> None:
        limit = TimeLimit(NEVER, asyncio.get_running_loop().time)
        limit.event_came(MARGIN)
        assert await ended_after(limit, 0.0) == GRACE

    simulate(main())


def test_what_a_call_had_is_told_however_late_its_end_comes():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        late = [0.0]  # seconds for which a busy machine lets the program wait
        limit = TimeLimit(3.0, lambda: loop.time() + late[0])
        time = CallTime(0.0)
        loop.call_later(2.0, limit.event_came, 1.2)  # so that it ends at 2.7
        loop.call_later(2.5, lambda: late.append(late.pop() + 5.0))
        with pytest.raises(TimeoutError):
            await limit.within(time, asyncio.sleep(1e9))
        assert round(time.seconds, 3) == 2.7

    simulate(main())
