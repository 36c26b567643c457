"""An event loop whose time is simulated: when nothing is left to do, the next timer's moment is now."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[asyncio.Transport, asyncio.Protocol]]]


class _Selector(selectors.DefaultSelector):
    """Waits for nobody: it lets the time pass for which it would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            assert timeout is not None, "everything waits, and no timer will ever end it"
            self.now += timeout
        return events


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`dial` stands in for the network: it makes a connection of a protocol factory, or raises what dialling raises."""

    def __init__(self) -> None:
        self._time = _Selector()
        super().__init__(self._time)
        self.dial: Dial | None = None

    def time(self) -> float:
        return self._time.now

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:
        assert self.dial is not None
        return await self.dial(factory)


def simulate(main: Awaitable[Any]) -> None:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(main)
