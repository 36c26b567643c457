"""Tests of sockets run on both loops, since their transports differ in what they promise."""

from __future__ import annotations

import asyncio

import uvloop

ON_BOTH = {"test_connection.py", "test_listener.py", "test_upstream.py", "test_tls.py", "test_stop.py"}


def pytest_asyncio_loop_factories(config, item):
    factories = {"uvloop": uvloop.new_event_loop}
    if item.path.name in ON_BOTH:
        factories["asyncio"] = asyncio.new_event_loop
    return factories
