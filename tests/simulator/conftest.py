"""Fixtures of the simulator's tests: one key pair for all, a simulator without sockets, one on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from biot_sidecar.simulator.server import running_simulator
from biot_sidecar.simulator.tokens import Signer

from tests.simulator.helpers import CREDENTIALS, Desk


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def desk(signer: Signer) -> Desk:
    return Desk(signer)


@pytest.fixture
async def base_url(signer: Signer) -> AsyncIterator[str]:
    async with running_simulator(signer=signer) as url:
        yield url


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the running simulator, without a token."""
    async with aiohttp.ClientSession(base_url) as session:
        yield session


@pytest.fixture
async def token(http: aiohttp.ClientSession) -> str:
    async with http.post("/ums/v2/services/accessToken", json=CREDENTIALS) as response:
        return str((await response.json())["accessToken"])
