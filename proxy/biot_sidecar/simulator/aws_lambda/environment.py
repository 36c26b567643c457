"""One execution environment: a process of the plugin, and at most one event that it works on.

    starting --asks for its first event--> idle --an event is given--> busy --replies and asks again--> idle
        any of them --the process ends--> ended

Lambda gives an environment one event at a time. It is done with one when it has replied and asks for the
next: until then it counts as busy, and the event's deadline goes on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from biot_sidecar.simulator.aws_lambda.function_url import LARGEST, BadReply, FrontResponse, response_of
from biot_sidecar.simulator.values import Json

EXIT_ERROR: Final = "Runtime.ExitError"
TIMED_OUT: Final = "Sandbox.Timedout"
BAD_REPLY: Final = "Runtime.InvalidResponse"
TOO_LARGE: Final = "Function.ResponseSizeTooLarge"


class PluginProcess(Protocol):
    """The plugin's process and whatever it started."""

    async def wait(self) -> int:
        """Its exit status, 128+n after signal n."""

    def kill(self) -> None:
        """End it at once, frozen or not."""

    def terminate(self) -> None:
        """Tell it to end."""

    def freeze(self) -> None:
        """Stop it: no timer runs, no socket is read."""

    def thaw(self) -> None:
        """Let it go on."""


@dataclass(frozen=True)
class Outcome:
    """How an event ended: the response for its caller, and the type of the error if there was one."""

    response: FrontResponse
    error_type: str = ""


@dataclass
class Event:
    """One event under way. `deadline` is in milliseconds since the epoch, as Lambda tells the runtime; `read` makes the
    reply what the caller gets, and raises BadReply.
    """

    request_id: str
    body: bytes
    trace_root: str
    outcome: asyncio.Future[Outcome]
    read: Callable[[bytes], FrontResponse] = response_of
    deadline: int = 0

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class NotExpected(Exception):
    """The runtime said something that does not fit what it is at; the text is Lambda's error type."""


@dataclass(eq=False)
class Environment:
    """See the table above. `ready` is True when it asks for an event, False when it ended before it ever did."""

    ready: asyncio.Future[bool]
    is_taken: bool = False  # promised to an event, which may still wait for `ready`
    event: Event | None = None
    process: PluginProcess | None = None
    has_asked: bool = False
    served: int = 0
    is_doomed: bool = False  # killed, and not yet ended
    is_ended: bool = False
    status: int = 0  # of the process, once it is ended
    _asking: asyncio.Future[Event] | None = field(default=None, repr=False)

    @property
    def is_resting(self) -> bool:
        """Whether nothing of it would run."""
        return self.has_asked and self.event is None

    @property
    def has_replied(self) -> bool:
        """Whether it will ask again any moment."""
        return self.event is not None and self.event.outcome.done() and not self.is_doomed

    def ask(self) -> asyncio.Future[Event]:
        """What the runtime waits for that asks for an event. Raises NotExpected amid an event."""
        if self.event is not None and not self.event.outcome.done():
            raise NotExpected("InvalidStateTransition")
        self.event = None
        self.has_asked = True
        self._asking = asyncio.get_running_loop().create_future()
        return self._asking

    def give(self) -> None:
        """Hand `event` to the runtime that asks."""
        self.served += 1
        if self._asking is not None and not self._asking.done() and self.event is not None:
            self._asking.set_result(self.event)

    def replied(self, request_id: str, body: bytes) -> bool:
        """Take a reply; False if it is too large, which ends the event as well. Raises NotExpected, BadReply."""
        event = self._current(request_id)
        if len(body) > LARGEST:
            message = f"Response payload size exceeded maximum allowed payload size ({LARGEST} bytes)."
            event.end(lambda_error(502, TOO_LARGE, message))
            return False
        try:
            event.end(Outcome(event.read(body)))
        except BadReply as error:
            event.end(lambda_error(502, BAD_REPLY, f"RequestId: {request_id} Error: {error}"))
            raise
        return True

    def failed(self, request_id: str, body: bytes, error_type: str) -> None:
        """Take the error that the handler ended with, in the runtime's own words. Raises NotExpected."""
        self._current(request_id).end(Outcome(_json_response(502, body), error_type or "Unhandled"))

    def _current(self, request_id: str) -> Event:
        if self.event is None or self.event.request_id != request_id or self.event.outcome.done():
            raise NotExpected("InvalidRequestID")
        return self.event


def lambda_error(status: int, error_type: str, message: str) -> Outcome:
    """Lambda's own error about an event."""
    body: Json = {"errorType": error_type, "errorMessage": message}
    return Outcome(_json_response(status, json.dumps(body).encode()), error_type)


def _json_response(status: int, body: bytes) -> FrontResponse:
    return FrontResponse(status, (("Content-Type", "application/json"),), body)


def exit_error(request_id: str, status: int) -> Outcome:
    """The process ended amid an event."""
    if status == 0:
        how = "Runtime exited without providing a reason"
    elif status > 128:
        how = f"Runtime exited with error: signal {status - 128}"
    else:
        how = f"Runtime exited with error: exit status {status}"
    return lambda_error(502, EXIT_ERROR, f"RequestId: {request_id} Error: {how}")


def timed_out(request_id: str, seconds: float) -> Outcome:
    """The event's time is over."""
    return lambda_error(504, TIMED_OUT, f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds")
