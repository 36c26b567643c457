"""The function: an environment for each event under way, started and ended as Lambda does.

An event takes an idle environment, else one that is starting, else a new one, up to `most`; beyond that it waits as
long as an event may take. An environment whose event timed out, whose reply is none or whose process ended is ended and
another is started. A plugin that ends before it ever asked for an event will not do so the next time either: then the
function is `over`, with the process's exit status.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from biot_sidecar.http.deadlines import After, timeout
from biot_sidecar.simulator.aws_lambda.environment import (
    Environment,
    Event,
    Outcome,
    PluginProcess,
    exit_error,
    lambda_error,
    timed_out,
)

INIT_LIMIT: Final = 10.0
"""Seconds that an event waits for an environment that is starting, before its own time counts."""
IDLE_LIMIT: Final = 60.0
"""Seconds after which an idle environment ends, if it is not the last one."""
RESTART_PAUSE: Final = 1.0
"""Seconds before a plugin is started anew that ended without an event."""
SETTLING: Final = 0.3
"""Seconds in which a runtime that has replied is expected to ask again."""
GRACE: Final = 2.0
"""Seconds that Lambda gives an environment to end."""

Start = Callable[[Environment], Awaitable[PluginProcess]]
"""Gives an environment its Runtime API and starts the plugin's process in it. Raises OSError."""


@dataclass(frozen=True)
class FunctionOptions:
    """`timeout` is seconds for an event; `most` environments at a time; `freeze` stops what has nothing to do."""

    timeout: float = 3.0
    most: int = 10
    freeze: bool = False


class Neighbour(Protocol):
    """What is frozen and thawed with the function, and runs while any environment does: the sidecar."""

    def freeze(self) -> None:
        """Nothing runs any more."""

    def thaw(self) -> None:
        """Something is about to run."""


class Function:
    """`clock` is the wall clock in seconds; `say` hears what a user should know; `over` is the last exit status."""

    def __init__(
        self,
        options: FunctionOptions,
        start: Start,
        neighbour: Neighbour,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._start = start
        self._neighbour = neighbour
        self._clock = clock
        self._say = say
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[int] = self._loop.create_future()
        self._environments: list[Environment] = []
        self._queue: deque[asyncio.Future[None]] = deque()
        self._watches: set[asyncio.Task[None]] = set()
        self._is_running = True
        self._is_closing = False

    async def start(self, *, is_taken: bool = False) -> Environment:
        """A new environment, free or for an event. Raises OSError if the plugin cannot be started."""
        environment = Environment(self._loop.create_future(), is_taken)
        self._environments.append(environment)
        self._freeze_or_thaw()
        try:
            environment.process = await self._start(environment)
        except OSError:
            self._environments.remove(environment)
            raise
        watch = self._loop.create_task(self._watch(environment, environment.process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return environment

    async def invoke(self, event: Event) -> Outcome:
        """The event's outcome, whatever becomes of the plugin."""
        environment = None
        try:
            with timeout(INIT_LIMIT + self._options.timeout):
                environment = await self._take()
                is_ready = await asyncio.shield(environment.ready)
        except TimeoutError:
            if environment is None:
                return lambda_error(429, "TooManyRequestsException", "Rate Exceeded.")
            environment.is_taken = False
            return timed_out(event.request_id, self._options.timeout)
        except OSError as error:
            message = f"RequestId: {event.request_id} Error: {error.strerror or 'the plugin cannot be started'}"
            return lambda_error(502, "Runtime.InvalidEntrypoint", message)
        return await self._run(environment, event) if is_ready else exit_error(event.request_id, environment.status)

    def asked(self, environment: Environment) -> None:
        """Its runtime asks for an event: whoever waits for an environment gets it."""
        if not environment.ready.done():
            environment.ready.set_result(True)
            if environment.is_taken:
                return
        if environment.is_doomed:
            return
        environment.is_taken = False
        self._freeze_or_thaw(environment)
        self._wake_one()
        self._loop.call_later(IDLE_LIMIT, self._retire, environment, environment.served)

    def replace(self, environment: Environment, reason: str) -> None:
        """End an environment that is of no more use; another is started when its process has ended."""
        self._say(f"{reason}; the plugin is started anew")
        environment.is_taken = environment.is_doomed = True
        if environment.process is not None:
            environment.process.kill()

    async def close(self) -> None:
        """End every environment, as Lambda does: told first, killed after GRACE."""
        self._is_closing = True
        running = [one.process for one in self._environments if one.process is not None]
        for process in running:
            process.thaw()
            process.terminate()
        if self._watches:
            await asyncio.wait(self._watches, timeout=GRACE)
        for process in running:  # what a plugin leaves behind goes, too
            process.kill()
        if self._watches:
            await asyncio.wait(self._watches)

    # ---- an event

    async def _take(self) -> Environment:
        """An environment for one event."""
        while True:
            free = [one for one in self._environments if not one.is_taken]
            environment = next((one for one in free if one.has_asked), next(iter(free), None))
            if environment is not None:
                environment.is_taken = True
                return environment
            if not await self._wait_in_line() and len(self._environments) < self._options.most:
                return await self.start(is_taken=True)

    async def _wait_in_line(self) -> bool:
        """True once an environment may be free; False when another may be started instead of waiting on.

        A runtime that has replied asks again within a moment, so an event right after another needs no second process.
        """
        is_full = len(self._environments) >= self._options.most
        if not is_full and not any(one.has_replied for one in self._environments):
            return False
        place = self._loop.create_future()
        self._queue.append(place)
        try:
            with timeout(self._options.timeout + INIT_LIMIT if is_full else SETTLING):
                await place
        except TimeoutError:
            return False
        return True

    async def _run(self, environment: Environment, event: Event) -> Outcome:
        event.deadline = int((self._clock() + self._options.timeout) * 1000)
        environment.event = event
        self._freeze_or_thaw(environment)
        environment.give()
        After(self._loop, self._options.timeout, lambda: self._overdue(environment, event))
        return await event.outcome

    def _overdue(self, environment: Environment, event: Event) -> None:
        """The event's time is over: without a reply, or with one but its runtime has not asked for another event."""
        if environment.event is event and not environment.is_ended:
            event.end(timed_out(event.request_id, self._options.timeout))
            self.replace(environment, f"the plugin took more than {self._options.timeout:g} s for an event")

    # ---- environments

    def _freeze_or_thaw(self, environment: Environment | None = None) -> None:
        """Let run what has something to do, and nothing else."""
        if not self._options.freeze:
            return
        is_running = any(not one.is_resting for one in self._environments)
        if is_running and not self._is_running:
            self._neighbour.thaw()
        if environment is not None and environment.process is not None:
            environment.process.freeze() if environment.is_resting else environment.process.thaw()
        if self._is_running and not is_running:
            self._neighbour.freeze()
        self._is_running = is_running

    def _wake_one(self) -> None:
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                return place.set_result(None)
        return None

    def _retire(self, environment: Environment, served: int) -> None:
        """End an environment that nobody needed, unless it is the last one."""
        is_idle = not environment.is_taken and not environment.is_ended and environment.served == served
        is_last = not any(one is not environment and not one.is_doomed for one in self._environments)
        if is_idle and not is_last and environment.process is not None:
            environment.is_taken = environment.is_doomed = True
            environment.process.kill()

    async def _watch(self, environment: Environment, process: PluginProcess) -> None:
        environment.status = await process.wait()
        process.kill()  # what it started goes with it
        environment.is_ended = True
        self._environments.remove(environment)
        if environment.event is not None:
            environment.event.end(exit_error(environment.event.request_id, environment.status))
        if not environment.ready.done():
            environment.ready.set_result(False)
        self._freeze_or_thaw()
        if not self._is_closing:
            await self._start_again(environment)
        self._wake_one()

    async def _start_again(self, ended: Environment) -> None:
        if not ended.has_asked and not any(one.has_asked for one in self._environments):
            self._end(ended.status)
        elif not self._environments:
            if not ended.served:
                self._say(f"the plugin ended by itself (status {ended.status}); it is started anew")
                await asyncio.sleep(RESTART_PAUSE)
            try:
                await self.start()
            except OSError:
                self._end(126)

    def _end(self, status: int) -> None:
        if not self.over.done():
            self.over.set_result(status)
