"""Fixtures of the tests that run the real program over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.support.authority import Authority
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.sidecar import ROUTES, House, running

Start = Callable[..., Awaitable[House]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One program with default settings for all tests of a module, warmed up."""
    async with running(tmp_path_factory.mktemp("house")) as house:
        await house.warm_up()
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared_house: House) -> AsyncIterator[House]:
    """The module's program, on a blank page: whatever the test before left behind, a token is in hand."""
    shared_house.upstream.forget()
    await shared_house.warm_up()
    shared_house.upstream.forget()
    yield shared_house
    failures = list(shared_house.upstream.failures)
    await shared_house.tidy()
    assert not failures, failures


@pytest_asyncio.fixture(loop_scope="module")
async def start(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Start]:
    """Starts programs of the test's own: `await start(routes=..., SIDECAR_MAX_IN_FLIGHT="2")`."""
    async with AsyncExitStack() as stack:

        async def begin(*, routes: str = ROUTES, upstream: ScriptedUpstream | None = None, **settings: str) -> House:
            folder = tmp_path_factory.mktemp("own")
            return await stack.enter_async_context(running(folder, upstream=upstream, routes=routes, **settings))

        yield begin


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority made for this run."""
    return Authority(tmp_path_factory.mktemp("authority"))
