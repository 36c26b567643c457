"""The BioT simulator in a thread of this process, for tests of something else: a program costs half a second more."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

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


@contextmanager
def simulated_biot(port: int = 0, token_life: float = 1800.0, own_key: bool = False) -> Iterator[str]:
    """A new BioT that knows `USER` with `SECRET`; its base URL. When the block ends, so do its connections.

    Another one of this process takes the tokens of this one for its own, unless that has its `own_key`.
    """
    options = SimulatorOptions(USER, Secret(SECRET), token_life)
    started: queue.Queue[str | BaseException] = queue.Queue()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with running_simulator(options, port=port, signer=Signer() if own_key else signer()) as base_url:
            started.put(base_url)
            await over.wait()

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
