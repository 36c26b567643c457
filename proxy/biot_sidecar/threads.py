"""Work in a thread of its own, so that it holds up nobody, where the system allows threads.

Not in the loop's executor: ending that needs one more thread, which a limit may deny.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")
EXIT_WAIT: Final = 2.0
"""Seconds for which the end of the process waits for work that it must not overtake."""
_not_overtaken: list[threading.Thread] = []


@atexit.register
def _wait_for_threads() -> None:
    for thread in _not_overtaken:
        thread.join(EXIT_WAIT)


def start_thread(work: Callable[[], Result], name: str, *, overtaken: bool = True) -> asyncio.Future[Result]:
    """What will come of the work. Raises RuntimeError where no thread can be started (pthread_create(3), EAGAIN).

    Work that the process's end may not overtake uses OpenSSL, which frees at exit(3) what it works with.
    """
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

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    if not overtaken:
        _not_overtaken[:] = [thread, *(one for one in _not_overtaken if one.is_alive())]
    return future


async def in_thread(work: Callable[[], Result], name: str, *, overtaken: bool = True) -> Result:
    """Do it in a thread; at once, where none can be started."""
    try:
        future = start_thread(work, name, overtaken=overtaken)
    except RuntimeError:
        pass
    else:
        return await future
    return work()
