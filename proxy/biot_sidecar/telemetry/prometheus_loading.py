"""Imports prometheus_client without holding up the loop: module by module, with a turn for everybody in between.

All at once it is 35 ms of CPU time, most of it for modules of the standard library behind its own HTTP server. Those
who are never scraped pay nothing, neither the time nor the 4 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

MAX_PAUSE: Final = 0.05
"""Seconds between two steps, at most; else they rest as long as they worked."""

_STANDARD: Final = (
    "base64", "compression", "compression._common._streams", "bz2", "lzma", "gzip", "compression.zstd", "http",
    "calendar", "email._parseaddr", "email.errors", "email.encoders", "email.charset", "bisect", "random",
    "email.utils", "html.entities", "html", "email.header", "email._policybase", "email.feedparser", "email.parser",
    "email._encoded_words", "email.iterators", "email.message", "http.client", "mimetypes", "fnmatch", "shutil",
    "socketserver", "http.server", "tempfile", "urllib.response", "urllib.error", "hashlib", "urllib.request",
    "wsgiref.util", "wsgiref.headers", "wsgiref.handlers", "wsgiref.simple_server", "mmap", "timeit", "inspect",
    "ssl",
)  # fmt: skip
"""What the library imports, each behind what it imports itself."""
_PACKAGE: Final = "prometheus_client"
_PARTS: Final = (
    "utils", "validation", "samples", "metrics_core", "registry", "openmetrics.exposition", "decorator",
    "context_managers", "mmap_dict", "values", "exposition", "metrics", "gc_collector", "platform_collector",
    "process_collector", "core",
)  # fmt: skip


def import_steps() -> Iterator[str]:
    """Import the library, a module between two yields. Raises ImportError where it is not installed."""
    for name in _STANDARD:
        with contextlib.suppress(ImportError):  # another version of Python has others
            importlib.import_module(name)
        yield name
    if _PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {_PACKAGE!r}", name=_PACKAGE)
    # The package's own module imports all others: they come first, so that little is left to it.
    package = sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        for part in _PARTS:
            with contextlib.suppress(ImportError):  # another version of the library has others
                importlib.import_module(f"{_PACKAGE}.{part}")
            yield part
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[_PACKAGE]
        raise


class PrometheusLoader:
    """The library, imported once for whoever asks first.

    `clock` tells monotonic seconds; inside `room()` there are descriptors for a file that is read.
    """

    def __init__(
        self, clock: Callable[[], float], descriptors_lent: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._clock = clock
        self._descriptors_lent = descriptors_lent
        self._loading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Return once it is there. Whoever goes away meanwhile takes nothing along. Raises what an import raises."""
        if self._loading is None or (self._loading.done() and not _succeeded(self._loading)):
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        left = import_steps()
        while True:
            began = self._clock()
            with self._descriptors_lent():
                if next(left, None) is None:
                    return
            await asyncio.sleep(min(self._clock() - began, MAX_PAUSE))

    async def close(self) -> None:
        """Give up what is under way."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)


def _succeeded(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None
