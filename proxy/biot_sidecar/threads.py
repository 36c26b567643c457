"""Work in a thread of its own, so that it holds up nobody, where the system allows threads.

Not in the loop's executor: ending that needs one more thread, which a limit may deny.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def start_thread(work: Callable[[], Result], name: str) -> asyncio.Future[Result]:
    """What will come of the work. Raises RuntimeError where no thread can be started (pthread_create(3), EAGAIN)."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(error: BaseException | None, result: Result | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        error, result = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(settle, error, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def in_thread(work: Callable[[], Result], name: str) -> Result:
    """Do it in a thread; at once, where none can be started."""
    try:
        future = start_thread(work, name)
    except RuntimeError:
        pass
    else:
        return await future
    return work()
