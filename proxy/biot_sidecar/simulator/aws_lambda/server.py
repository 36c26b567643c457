"""The function with its URL and its Runtime APIs, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from biot_sidecar.settings import ListenAddress
from biot_sidecar.simulator.aws_lambda.environment import Environment, PluginProcess
from biot_sidecar.simulator.aws_lambda.front import Front, ServedEvent
from biot_sidecar.simulator.aws_lambda.function import Function, FunctionOptions, Neighbour
from biot_sidecar.simulator.aws_lambda.runtime_api import RuntimeApi
from biot_sidecar.simulator.listening import listen

Spawn = Callable[[str], Awaitable[PluginProcess]]
"""Starts the plugin with AWS_LAMBDA_RUNTIME_API. Raises OSError."""


@dataclass(frozen=True, kw_only=True)
class FunctionSetup:
    """What a function needs from around it. `clock` is the wall clock; `say` hears what a user should know, `told`
    gets each event when it has ended.
    """

    spawn: Spawn
    neighbour: Neighbour
    clock: Callable[[], float]
    say: Callable[[str], None]
    told: Callable[[ServedEvent], None]
    region: str
    name: str
    options: FunctionOptions = field(default_factory=FunctionOptions)
    allowed_origins: Collection[str] = ()


@asynccontextmanager
async def running_function(setup: FunctionSetup, address: ListenAddress) -> AsyncIterator[tuple[Function, str]]:
    """The function and its URL while the block runs; no environment is started yet. Raises AddressInUse."""

    async def start(environment: Environment) -> PluginProcess:
        return await setup.spawn(await api.serve(environment))

    function = Function(setup.options, start, setup.neighbour, setup.clock, setup.say)
    runner = Front(function, setup.clock, setup.told, setup.region, setup.allowed_origins).runner()
    async with RuntimeApi(function.asked, function.replace, setup.say, setup.region, setup.name) as api:
        await runner.setup()
        try:
            yield function, await listen(runner, address.host, address.port)
        finally:
            await function.close()
            await runner.cleanup()
