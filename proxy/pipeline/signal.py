"""Waiting without losing an event, and every deadline of the process under one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final


class Signal:
    """What one coroutine waits on. `deadline` is in seconds of the sweep's clock; `expired` says that it has passed."""

    __slots__ = ("_future", "_loop", "deadline", "expired")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self.deadline = float("inf")
        self.expired = False

    def next(self) -> asyncio.Future[None]:
        """Await this for the next event, then look at what it was."""
        future = self._future = self._loop.create_future()
        return future

    def wake(self) -> None:
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)


class Sweep:
    """Every deadline of the process under one timer: arming one is an assignment and a comparison."""

    SLACK: Final = 0.02

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._watched: set[Signal] = set()
        self._due = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, signal: Signal) -> None:
        self._watched.add(signal)

    def forget(self, signal: Signal) -> None:
        self._watched.discard(signal)

    def arm(self, signal: Signal, deadline: float) -> None:
        """Let `signal` expire at `deadline`, by the clock, instead of whenever it would have before."""
        signal.expired = False
        signal.deadline = deadline
        if deadline < self._due:
            self._schedule(deadline)

    def _schedule(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(max(0.0, due - self._clock()) + self.SLACK, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self._due = float("inf")
        now = self._clock()
        nearest = float("inf")
        for signal in self._watched:
            if signal.deadline <= now:
                signal.deadline = float("inf")
                signal.expired = True
                signal.wake()
            elif signal.deadline < nearest:
                nearest = signal.deadline
        if nearest < float("inf"):
            self._schedule(nearest)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
