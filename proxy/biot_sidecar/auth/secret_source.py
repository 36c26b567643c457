"""Where the service user's secret comes from, the environment or a file that may change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from biot_sidecar.settings import Settings
from biot_sidecar.settings.names import SECRET, SECRET_FILE
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_file import UnreadableSecret, odd_about_secret, read_secret

__all__ = ["ReadableSecret", "SecretSource", "UnreadableSecret"]


class ReadableSecret(Protocol):
    """A source of the secret. By default it does not care how logins end, and has nothing to close."""

    @property
    def remedy(self) -> str:
        """What makes another secret count."""

    def read(self) -> Secret | Awaitable[Secret]:
        """The secret as it is now, or what will come of asking for it. Raises UnreadableSecret, at once or there."""

    def changed(self) -> bool:
        """True when the secret is another one than the last that was read."""

    def recovered(self) -> bool:
        """True when the secret could not be read, and perhaps can be now; told once."""
        return False

    def login_ended(self, *, rejected: bool) -> None:
        """A login with the last secret has ended; `rejected`: BioT rejects the user or the secret."""
        return

    def notice(self) -> None:
        """Somebody else has found that the secret is another one."""
        return

    async def close(self) -> None:
        """End what runs."""
        return


class SecretSource(ReadableSecret):
    """Reads the secret before each login; a final line ending is no part of it.

    `warn` is told, once, what seldom belongs to a secret and stands around a file's; `told` was said at the start.
    """

    def __init__(
        self, settings: Settings, warn: Callable[[str], None] = lambda warning: None, told: Iterable[str] = ()
    ) -> None:
        self._warn = warn
        self._told = set(told)
        self._secret = settings.secret
        self._file = settings.secret_file
        self._stamp: tuple[int, ...] = ()
        self._last: Secret | None = None
        self._changed = False
        self._unreadable: tuple[int, ...] | None = None  # the file when it could not be read; None: it could

    @property
    def remedy(self) -> str:
        """What makes another secret count."""
        if self._secret is None:
            return f"another secret in the file that {SECRET_FILE} names is taken at once"
        return f"another {SECRET} needs a restart"

    def read(self) -> Secret:
        """The secret as it is now. Raises UnreadableSecret."""
        if self._secret is not None:
            return self._secret
        self._stamp = self._look()
        self._changed = False
        self._unreadable = self._stamp
        self._last = read_secret(self._file or "")
        self._unreadable = None
        self._warn_once(odd_about_secret(self._last))
        return self._last

    def _warn_once(self, odd: str) -> None:
        warning = odd and f"{SECRET_FILE}: {odd}"
        if warning and warning not in self._told:
            self._warn(warning)
        self._told = {warning}

    def changed(self) -> bool:
        """True when the secret is another one than the last that was read; cheap enough for every call."""
        if self._secret is not None:
            return False
        if (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(UnreadableSecret):
                self._changed = read_secret(self._file or "") != self._last
        return self._changed

    def recovered(self) -> bool:
        """True when the file could not be read and is another one now that can be; cheap enough for every call."""
        if self._unreadable is None or (stamp := self._look()) == self._unreadable:
            return False
        self._unreadable = stamp
        with contextlib.suppress(UnreadableSecret):
            return bool(read_secret(self._file or "").reveal())
        return False

    def _look(self) -> tuple[int, ...]:
        try:
            state = os.stat(self._file or "")
        except OSError:
            return ()
        # A change of mode, and a copy that keeps the time of what it copies, change st_ctime.
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
