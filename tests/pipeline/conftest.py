"""A sidecar of fakes for each test, and proof at its end that nothing was left behind."""

from __future__ import annotations

import pytest_asyncio

from tests.support.fakes import RULE, FakeSidecar


@pytest_asyncio.fixture
async def start():
    """`start(rule, limits=..., plugin_login=...)` makes a sidecar."""
    started = []

    def begin(rule=RULE, **options):
        started.append(FakeSidecar(rule, **options))
        return started[-1]

    yield begin
    for sidecar in started:
        await sidecar.close()


@pytest_asyncio.fixture
async def sidecar(start):
    return start()
