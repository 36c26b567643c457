"""The BioT simulator in a thread of this process, for tests of something else: a program costs half a second more."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from biot_sidecar.settings.secret import Secret
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.server import running_simulator
from biot_sidecar.simulator.tokens import Signer

from tests.support.sidecar import SECRET, USER

_PATIENCE = 60.0


@cache
def signer() -> Signer:
    """A key pair for all simulators of this process: it takes a tenth of a second to find one."""
    return Signer()


class ListeningLoop(asyncio.SelectorEventLoop):
    """Knows its server, to let it accept no more before it is closed: what a server has accepted in the turn in which
    it is closed, asyncio forgets without closing it, and the collector of garbage complains in a test that comes later.
    """

    server: asyncio.Server

    async def create_server(self, *args: Any, **kwargs: Any) -> asyncio.Server:
        self.server = await super().create_server(*args, **kwargs)
        return self.server

    async def stop_listening(self) -> None:
        for sock in self.server.sockets:
            self.remove_reader(sock.fileno())
        for _ in range(3):
            await asyncio.sleep(0)


@contextmanager
def simulated_biot(port: int = 0, token_life: float = 1800.0, own_key: bool = False) -> Iterator[str]:
    """A new BioT that knows `USER` with `SECRET`; its base URL. When the block ends, so do its connections.

    Another one of this process takes the tokens of this one for its own, unless that has its `own_key`.
    """
    options = SimulatorOptions(USER, Secret(SECRET), token_life)
    started: queue.Queue[str | BaseException] = queue.Queue()
    loop, over = ListeningLoop(), asyncio.Event()

    async def serve() -> None:
        async with running_simulator(options, port=port, signer=Signer() if own_key else signer()) as base_url:
            started.put(base_url)
            await over.wait()
            await loop.stop_listening()

    def live() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            started.put(error)
            raise
        finally:
            loop.close()

    thread = threading.Thread(target=live, name="simulated BioT", daemon=True)
    thread.start()
    begun = started.get(timeout=_PATIENCE)
    if isinstance(begun, BaseException):
        raise begun
    try:
        yield begun
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_PATIENCE)
        assert not thread.is_alive(), "the simulated BioT did not stop"
