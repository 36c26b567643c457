"""Where the service user's secret comes from, the environment or a file that may change; and where it must not go."""

from __future__ import annotations

import contextlib
import os
import resource

from proxy.message import Secret
from proxy.settings import Settings
from proxy.settings.files import UnreadableSecret, read_secret

__all__ = ["SecretSource", "UnreadableSecret"]


class SecretSource:
    """Reads the secret before each login; a final newline is no part of it."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._file = settings.secret_file
        self._stamp: tuple[int, ...] = ()
        self._last: Secret | None = None
        self._changed = False

    def read(self) -> Secret:
        """The secret as it is now. Raises UnreadableSecret."""
        if self._secret is not None:
            return self._secret
        self._stamp = self._look()
        self._changed = False
        self._last = read_secret(self._file or "")
        return self._last

    def changed(self) -> bool:
        """True when the secret is another one than the last that was read; cheap enough for every call."""
        if self._secret is not None:
            return False
        if (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(UnreadableSecret):
                self._changed = read_secret(self._file or "") != self._last
        return self._changed

    def _look(self) -> tuple[int, ...]:
        try:
            state = os.stat(self._file or "")
        except OSError:
            return ()
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def forbid_core_dumps() -> None:
    """Keep the secret and the tokens out of core files, this process's and its workers'."""
    # 1 stops dumps to a program as well, which 0 does not (core(5)).
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it, and then has its own view of dumps
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
