"""The function and its environments: which gets an event, what ends one, what is started anew, what is frozen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from biot_sidecar.simulator.aws_lambda.environment import Environment, Event, NotExpected, Outcome
from biot_sidecar.simulator.aws_lambda.function import GRACE, IDLE_LIMIT, SETTLING, Function, FunctionOptions
from biot_sidecar.simulator.aws_lambda.function_url import LARGEST, BadReply

from tests.support.simulated_loop import simulate


class FakeProcess:
    """A plugin's process in memory; keeps what was done to it."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.done: list[str] = []
        self.ignores_sigterm = False

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def end(self, status: int) -> None:
        if not self.ended.done():
            self.ended.set_result(status)

    def kill(self) -> None:
        self.done.append("kill")
        self.end(137)

    def terminate(self) -> None:
        self.done.append("terminate")
        if not self.ignores_sigterm:
            self.end(143)

    def freeze(self) -> None:
        self.done.append("freeze")

    def thaw(self) -> None:
        self.done.append("thaw")


@dataclass
class Desk:
    """A function whose plugins are the test's: it asks and replies in their place."""

    options: FunctionOptions = field(default_factory=FunctionOptions)
    asks_at_once: bool = True

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.environments: list[Environment] = []
        self.processes: list[FakeProcess] = []
        self.said: list[str] = []
        self.sidecar = FakeProcess()
        self.broken: OSError | None = None
        self.function = Function(self.options, self._start, self.sidecar, self.loop.time, self.said.append)

    async def _start(self, environment: Environment) -> FakeProcess:
        if self.broken:
            raise self.broken
        self.environments.append(environment)
        self.processes.append(FakeProcess())
        if self.asks_at_once:
            self.loop.call_soon(self.ask, len(self.environments) - 1)
        return self.processes[-1]

    def ask(self, number: int = 0) -> asyncio.Future[Event]:
        asking = self.environments[number].ask()
        self.function.asked(self.environments[number])
        return asking

    def send(self, name: str = "e1") -> asyncio.Task[Outcome]:
        event = Event(name, b"{}", "Root=1-a", self.loop.create_future())
        return self.loop.create_task(self.function.invoke(event))

    def reply(self, name: str, number: int = 0, body: bytes = b'"done"') -> None:
        self.environments[number].replied(name, body)
        self.ask(number)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def error(outcome: Outcome) -> tuple[int, str, str]:
    told = json.loads(outcome.response.body)
    return outcome.response.status, told["errorType"], told["errorMessage"]


def test_an_event_waits_for_the_plugin_that_starts_and_gets_its_reply():
    async def main() -> None:
        desk = Desk(asks_at_once=False)
        await desk.function.start()
        sent = desk.send()
        await settled()
        asking = desk.ask()
        await settled()
        assert asking.result().request_id == "e1"
        assert asking.result().deadline == 3000
        desk.reply("e1")
        assert (await sent).response.body == b"done"
        assert len(desk.environments) == 1

    simulate(main())


def test_two_at_once_get_an_environment_each_and_the_next_one_either():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        first, second = desk.send("e1"), desk.send("e2")
        await settled()
        assert len(desk.environments) == 2
        desk.reply("e2", 1, b'"two"')
        desk.reply("e1", 0, b'"one"')
        assert [(await first).response.body, (await second).response.body] == [b"one", b"two"]
        third = desk.send("e3")
        await settled()
        assert len(desk.environments) == 2
        desk.reply("e3")
        await third

    simulate(main())


def test_an_event_right_after_a_reply_waits_a_moment_for_the_same_environment():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        first = desk.send("e1")
        await settled()
        desk.environments[0].replied("e1", b'"done"')
        second = desk.send("e2")
        await settled()
        desk.ask()
        await settled()
        desk.reply("e2")
        await asyncio.gather(first, second)
        assert len(desk.environments) == 1
        slow, third = desk.send("e3"), None
        await settled()
        desk.environments[0].replied("e3", b'"done"')
        third = desk.send("e4")
        await asyncio.sleep(2 * SETTLING)
        desk.reply("e4", 1)  # the first one took too long to ask again
        await asyncio.gather(slow, third)

    simulate(main())


def test_beyond_the_most_environments_an_event_waits_and_is_throttled_in_the_end():
    async def main() -> None:
        desk = Desk(FunctionOptions(most=1, timeout=900))
        await desk.function.start()
        await settled()
        first, second = desk.send("e1"), desk.send("e2")
        await settled()
        desk.reply("e1")
        await settled()
        assert (await first).response.body == b"done"
        third = desk.send("e3")
        desk.environments[0].replied("e2", b'"late"')
        assert (await second).response.body == b"late"
        # The runtime never asks again, so its environment is ended when the event's time is over, and replaced.
        await settled()
        await asyncio.sleep(905)
        desk.reply("e3", 1)
        assert (await third).response.body == b"done"

    simulate(main())


def test_an_event_that_no_environment_takes_in_time_is_throttled():
    async def main() -> None:
        desk = Desk(FunctionOptions(most=1, timeout=900), asks_at_once=False)
        await desk.function.start()
        first, second = desk.send("e1"), desk.send("e2")
        assert error(await second)[:2] == (429, "TooManyRequestsException")
        assert error(await first)[:2] == (504, "Sandbox.Timedout")

    simulate(main())


def test_an_event_that_takes_too_long_is_a_504_and_the_plugin_starts_anew():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        assert error(await desk.send()) == (
            504, "Sandbox.Timedout", "RequestId: e1 Error: Task timed out after 3.00 seconds"
        )  # fmt: skip
        await settled()
        assert "kill" in desk.processes[0].done
        again = desk.send("e2")
        await settled()
        desk.reply("e2", 1)
        assert (await again).response.status == 200
        assert not desk.function.over.done()

    simulate(main())


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (3, "Runtime exited with error: exit status 3"),
        (139, "Runtime exited with error: signal 11"),
        (0, "Runtime exited without providing a reason"),
    ],
)
def test_a_plugin_that_ends_amid_an_event_is_a_502_and_starts_anew(status, how):
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = desk.send()
        await settled()
        desk.processes[0].end(status)
        assert error(await sent) == (502, "Runtime.ExitError", f"RequestId: e1 Error: {how}")
        await settled()
        assert len(desk.environments) == 2
        assert desk.environments[1].has_asked

    simulate(main())


def test_a_reply_that_is_none_is_a_502_and_the_plugin_starts_anew():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = desk.send()
        await settled()
        with pytest.raises(BadReply):
            desk.environments[0].replied("e1", b"no json")
        desk.function.replace(desk.environments[0], "the reply is no JSON")
        desk.ask()  # the runtime knows nothing of it, and asks: it gets no event any more
        after = desk.send("e2")
        await settled()
        assert error(await sent)[:2] == (502, "Runtime.InvalidResponse")
        desk.reply("e2", 1)
        assert (await after).response.status == 200

    simulate(main())


def test_a_handlers_error_is_a_502_with_its_own_words_and_the_plugin_goes_on():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = desk.send()
        await settled()
        desk.environments[0].failed("e1", b'{"errorType": "KeyError", "errorMessage": "x"}', "Function.KeyError")
        desk.ask()
        outcome = await sent
        assert (error(outcome), outcome.error_type) == ((502, "KeyError", "x"), "Function.KeyError")
        await settled()
        assert len(desk.environments) == 1

    simulate(main())


def test_a_reply_larger_than_lambda_takes_is_refused():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = desk.send()
        await settled()
        assert not desk.environments[0].replied("e1", bytes(LARGEST + 1))
        assert error(await sent)[:2] == (502, "Function.ResponseSizeTooLarge")

    simulate(main())


def test_a_plugin_that_ends_before_it_asked_is_the_end_with_its_status():
    async def main() -> None:
        desk = Desk(asks_at_once=False)
        await desk.function.start()
        sent = desk.send()
        await settled()
        desk.processes[0].end(5)
        assert await desk.function.over == 5
        assert error(await sent)[:2] == (502, "Runtime.ExitError")

    simulate(main())


def test_a_second_plugin_that_cannot_start_is_not_the_end_of_the_first():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        first = desk.send("e1")
        await settled()
        desk.asks_at_once = False
        second = desk.send("e2")
        await settled()
        desk.processes[1].end(1)
        assert error(await second)[:2] == (502, "Runtime.ExitError")
        assert not desk.function.over.done()
        desk.reply("e1")
        assert (await first).response.status == 200

    simulate(main())


def test_a_plugin_that_ends_while_it_is_idle_starts_anew_after_a_pause():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        desk.processes[0].end(0)
        await settled()
        assert len(desk.environments) == 1
        await asyncio.sleep(1)
        await settled()
        assert len(desk.environments) == 2
        assert "by itself" in desk.said[0]

    simulate(main())


def test_an_environment_that_nobody_needs_ends_but_not_the_last():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = [desk.send("e1"), desk.send("e2")]
        await settled()
        desk.reply("e1", 0)
        desk.reply("e2", 1)
        await asyncio.gather(*sent)
        await asyncio.sleep(IDLE_LIMIT + 1)
        await settled()
        assert sorted("kill" in process.done for process in desk.processes) == [False, True]

    simulate(main())


def test_what_has_nothing_to_do_is_frozen_and_the_sidecar_with_the_last():
    async def main() -> None:
        desk = Desk(FunctionOptions(freeze=True))
        await desk.function.start()
        assert desk.sidecar.done == []  # the plugin starts, and may call BioT
        await settled()
        assert (desk.processes[0].done, desk.sidecar.done) == (["freeze"], ["freeze"])
        sent = [desk.send("e1"), desk.send("e2")]
        await settled()
        assert desk.sidecar.done == ["freeze", "thaw"]
        desk.reply("e1", 0)
        assert desk.processes[0].done == ["freeze", "thaw", "freeze"]
        assert desk.sidecar.done == ["freeze", "thaw"]
        desk.environments[1].replied("e2", b'"done"')
        await asyncio.gather(*sent)
        assert desk.sidecar.done == ["freeze", "thaw"]  # replied, but its runtime has not asked again
        desk.ask(1)
        assert desk.sidecar.done == ["freeze", "thaw", "freeze"]

    simulate(main())


def test_at_the_end_plugins_are_thawed_told_and_killed_after_a_grace():
    async def main() -> None:
        desk = Desk(FunctionOptions(freeze=True))
        await desk.function.start()
        await settled()
        desk.processes[0].ignores_sigterm = True
        began = desk.loop.time()
        await desk.function.close()
        assert desk.loop.time() - began == GRACE
        assert desk.processes[0].done[:4] == ["freeze", "thaw", "terminate", "kill"]
        assert len(desk.environments) == 1

    simulate(main())


def test_a_runtime_that_says_what_does_not_fit_is_refused():
    async def main() -> None:
        desk = Desk()
        await desk.function.start()
        await settled()
        sent = desk.send()
        await settled()
        with pytest.raises(NotExpected, match="InvalidStateTransition"):
            desk.environments[0].ask()
        with pytest.raises(NotExpected, match="InvalidRequestID"):
            desk.environments[0].replied("another", b"1")
        desk.environments[0].replied("e1", b"1")
        with pytest.raises(NotExpected, match="InvalidRequestID"):
            desk.environments[0].replied("e1", b"2")
        assert (await sent).response.body == b"1"

    simulate(main())


def test_a_command_that_cannot_be_started_any_more_is_a_502():
    async def main() -> None:
        desk = Desk()
        desk.broken = FileNotFoundError(2, "No such file or directory")
        with pytest.raises(FileNotFoundError):
            await desk.function.start()
        assert error(await desk.send())[:2] == (502, "Runtime.InvalidEntrypoint")

    simulate(main())
