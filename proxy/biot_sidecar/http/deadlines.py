"""Waiting without losing an event, and deadlines that look at the sockets before they pass.

Wake-ups. One coroutine serves one client connection, and waits on one Wakeup, whatever it waits for: both connections
and the timer wake it. A wake-up says only that something may have changed; so who waits looks at the state first, and
awaits `next()` only when there is nothing to do. Between that look and the await nothing else runs (one thread, no
await), so no event falls between them; two events before the coroutine runs are one wake-up, and it sees both.

Deadlines. A Wakeup has one deadline; arming another replaces it. One timer serves them all: it runs at the nearest
deadline, marks the Wakeups that are due as `expired` and wakes them, and is set to the next. A deadline that is
postponed costs an assignment: the timer finds at its time that nothing is due. Who arms clears `expired`.

The sockets first. A process that stood still (SIGSTOP, a freezer, a starved core) finds its timers due and its sockets
full, and event loops run timers first: a response that lies in a socket would be given up. So no deadline passes with
its timer. The timer lets the loop turn POLLS times, each turn with a poll of the sockets; what they held is read,
whoever waited for it goes on, and only what is still due then has passed. A DeadlineTimer does so for Wakeups,
`timeout` for anything awaited; asyncio's own are banned (ruff, banned-api).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

POLLS: Final = 10
"""Turns of the loop between a timer and the deadline's end: one reads the sockets, the others let those who waited
for that go on, one after the other (a login's answer, the login, who shares it)."""


class Wakeup:
    """What one coroutine waits on. `deadline` is in seconds of the timer's clock; `expired`: it has passed."""

    __slots__ = ("_future", "deadline", "expired")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self.deadline = float("inf")
        self.expired = False

    def next(self) -> asyncio.Future[None]:
        """Await this for the next event, then look at what it was."""
        # The loop's create_future takes as long again to tell the future its loop, which is the running one.
        future = self._future = asyncio.Future()
        return future

    def wake(self) -> None:
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)


class After:
    """Calls `call` in `delay` seconds and POLLS turns of the loop, unless it is cancelled before."""

    __slots__ = ("_call", "_handle", "_loop", "_polls")

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: float, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._polls = POLLS
        self._handle: asyncio.Handle = loop.call_later(delay, self._turn)

    def _turn(self) -> None:
        if self._polls:
            self._polls -= 1
            self._handle = self._loop.call_soon(self._turn)
        else:
            self._call()

    def cancel(self) -> None:
        self._handle.cancel()
        self._call = _nothing  # it knows whoever holds this: neither would go without a collection of garbage


def _nothing() -> None:  # pragma: no cover - it stands for what was cancelled, and nobody calls that
    pass


class timeout:  # noqa: N801 - named and used as asyncio's
    """`with timeout(seconds):` cancels what is awaited in it when the time is over, and raises TimeoutError then.

    As asyncio.timeout, but for the polls before the end. It costs a timer, which a Wakeup's deadline does not.
    """

    __slots__ = ("_after", "_cancelling", "_delay", "_expired", "_task")

    _task: asyncio.Task[object]
    _after: After

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._expired = False
        self._cancelling = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only coroutines that a task runs wait
        self._task = task
        self._cancelling = task.cancelling()
        self._after = After(task.get_loop(), max(0.0, self._delay), self._expire)

    def reschedule(self, delay: float) -> None:
        """Let the time be over in so many seconds from now, unless it is already."""
        if not self._expired:
            self._after.cancel()
            self._after = After(self._task.get_loop(), max(0.0, delay), self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._after.cancel()
        # Someone else may have cancelled the task as well: that goes on as it is.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class DeadlineTimer:
    """Every deadline of the process under one timer: arming one is an assignment and a comparison."""

    SLACK: Final = 0.02
    """Seconds by which the timer runs late, so that deadlines close to each other pass together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._watched: set[Wakeup] = set()
        self._due = float("inf")
        self._timer: After | None = None

    def register(self, wakeup: Wakeup) -> None:
        self._watched.add(wakeup)

    def unregister(self, wakeup: Wakeup) -> None:
        self._watched.discard(wakeup)

    def arm(self, wakeup: Wakeup, deadline: float) -> None:
        """Let `signal` expire at `deadline`, by the clock, instead of whenever it would have before."""
        wakeup.expired = False
        wakeup.deadline = deadline
        if deadline < self._due:
            self._schedule(deadline)

    def _schedule(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = After(self._loop, max(0.0, due - self._clock()) + self.SLACK, self._expire_due)

    def _expire_due(self) -> None:
        self._timer = None
        self._due = float("inf")
        now = self._clock()
        nearest = float("inf")
        for wakeup in self._watched:
            if wakeup.deadline <= now:
                wakeup.deadline = float("inf")
                wakeup.expired = True
                wakeup.wake()
            elif wakeup.deadline < nearest:
                nearest = wakeup.deadline
        if nearest < float("inf"):
            self._schedule(nearest)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


NOBODY: Final = Wakeup()
"""The wake-up of connections at rest."""
