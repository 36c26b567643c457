"""Where the service user's secret comes from: the environment, or a file that may change under us."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from proxy.message import Secret
from proxy.settings import Settings

SIZE_LIMIT: Final = 64 * 1024


class UnreadableSecret(Exception):
    """The secret's file cannot be read now; the text says why, and nothing of its content."""


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
        self._last = self._content()
        return self._last

    def changed(self) -> bool:
        """True when the secret is another one than the last that was read; cheap enough for every call."""
        if self._secret is not None:
            return False
        if (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(UnreadableSecret):
                self._changed = self._content() != self._last
        return self._changed

    def _look(self) -> tuple[int, ...]:
        try:
            state = os.stat(self._file or "")
        except OSError:
            return ()
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns

    def _content(self) -> Secret:
        reason = ""
        try:
            with open(self._file or "", "rb") as file:
                text = file.read(SIZE_LIMIT + 1).decode("utf-8")
        except OSError as error:
            reason = error.strerror or "no such file"
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
        if reason:  # raised here, so that no traceback holds what was read
            raise UnreadableSecret(reason)
        text = text.removesuffix("\n").removesuffix("\r")
        if not text or len(text) > SIZE_LIMIT:
            raise UnreadableSecret("it is empty" if not text else "it is larger than 64 KiB")
        return Secret(text)
