"""A sidecar of fakes for each test; tests of sockets run on both loops, whose transports differ."""

from __future__ import annotations

import asyncio

import pytest_asyncio
import uvloop

from tests.support.fakes import ROUTE, FakeSidecar


@pytest_asyncio.fixture
async def start():
    """`start(route, limits=..., plugin_login=..., ...)` makes a sidecar."""
    started = []

    def begin(route=ROUTE, **options):
        started.append(FakeSidecar(route, **options))
        return started[-1]

    yield begin
    for sidecar in started:
        await sidecar.close()


@pytest_asyncio.fixture
async def sidecar(start):
    return start()


ON_BOTH = {"test_connection.py", "test_listener.py", "test_upstream_pool.py", "test_tls.py"}


def pytest_asyncio_loop_factories(config, item):
    factories = {"uvloop": uvloop.new_event_loop}
    if item.path.name in ON_BOTH:
        factories["asyncio"] = asyncio.new_event_loop
    return factories
