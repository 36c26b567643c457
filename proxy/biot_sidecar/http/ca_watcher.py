"""When the files of trusted CAs are read again: when their content has changed, and when somebody asks for it.

What counts is the content, since Kubernetes swaps a mounted file by a link. Files without a single good certificate
change nothing: the CAs in force stay, and the log says so once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

from biot_sidecar.errors import BadSettings
from biot_sidecar.http.deadlines import timeout
from biot_sidecar.http.tls import tls_context
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings import UpstreamUrl
from biot_sidecar.settings.ca_file import MOST, ca_file_problem
from biot_sidecar.settings.names import CA_FILE, EXTRA_CA_FILE
from biot_sidecar.threads import in_thread

POLL_INTERVAL: Final = 2.0
"""Seconds between two looks at the files."""
Log = Callable[[str, str, str], None]
"""Level, event and message."""


class CaWatcher:
    """Keeps the CAs of `upstream` as its files have them; `replaced` gets each new context that trusts them.

    `used`: something is spoken to by TLS.
    """

    def __init__(self, upstream: UpstreamUrl, *, used: bool = True) -> None:
        self._used = used
        named = ((CA_FILE, upstream.ca_file), (EXTRA_CA_FILE, upstream.extra_ca_file))
        self._files = [(name, path) for name, path in named if path]
        self._upstream = upstream
        self.log: Log | None = None
        self._seen = self._digests()
        self._asked = asyncio.Event()
        self.replaced: Callable[[ssl.SSLContext], None] = lambda context: None

    def request_reload(self) -> None:
        """Read the files again, and the system's CAs, even if nothing seems to have changed."""
        self._asked.set()

    async def watch(self, replaced: Callable[[ssl.SSLContext], None], log: Log | None) -> None:
        """Look at the files for ever, give new contexts to `replaced`, and tell the log, if this process is to."""
        self.replaced, self.log = replaced, log
        while self._used:
            if self._files:
                with contextlib.suppress(TimeoutError), timeout(POLL_INTERVAL):
                    await self._asked.wait()
            else:
                await self._asked.wait()
            await self.poll()

    async def poll(self) -> None:
        """Read them again if they have changed, or somebody asked."""
        asked = self._asked.is_set()
        self._asked.clear()
        digests = await in_thread(self._digests, "trusted CAs", overtaken=False)
        if digests == self._seen and not asked:
            return
        self._seen = digests
        context, told = await in_thread(self._read, "trusted CAs", overtaken=False)
        if self.log is not None:
            for level, message in told:
                self.log(level, "trust", message)
        if context is not None:
            self.replaced(context)

    def _digests(self) -> list[bytes]:
        return [_digest(path) for _, path in self._files]

    def _read(self) -> tuple[ssl.SSLContext | None, list[tuple[str, str]]]:
        """The new context, if the files are good for one, and what is to be told of them."""
        found = [(name, *ca_file_problem(path)) for name, path in self._files]
        told = [("warning", f"{name}: {odd}") for name, _, odd in found if odd]
        wrong = [f"{name}: {reason}; the CAs in force stay" for name, reason, _ in found if reason]
        if wrong:
            return None, [*told, *(("error", one) for one in wrong)]
        try:
            context = tls_context(self._upstream.ca_file, self._upstream.extra_ca_file)
        except BadSettings as error:  # changed since
            return None, [*told, *(("error", f"{one}; the CAs in force stay") for one in error.problems)]
        return context, [*told, ("info", "the trusted CAs were read again")]


def _digest(path: str) -> bytes:
    """Of the file's content; empty if it cannot be read."""
    import hashlib  # only where a CA file is set

    with contextlib.suppress(OSError, ValueError):
        return hashlib.sha256(read_file(path, MOST)).digest()
    return b""
