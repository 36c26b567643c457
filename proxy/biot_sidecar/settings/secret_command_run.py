"""One run of SIDECAR_SECRET_COMMAND, without a shell: its output is the secret, within 5 s and 4 KiB, or it failed."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from biot_sidecar.platform import GROUP_OF_ITS_OWN, end_group, read_output
from biot_sidecar.settings.names import SECRET_COMMAND
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_file import UnreadableSecret, without_line_ending
from biot_sidecar.settings.table import SECRETS

LIMIT_SECONDS: Final = 5.0
LIMIT_BYTES: Final = 4096
_MOST_BYTES: Final = LIMIT_BYTES + 2  # with a line ending


class SecretCommandFailed(UnreadableSecret):
    """The command gave no secret; the text says why, and nothing of its output."""

    setting = SECRET_COMMAND


def without_secrets(env: Mapping[str, str]) -> dict[str, str]:
    """The environment that a command gets."""
    return {name: value for name, value in env.items() if name not in SECRETS}


class CommandRun:
    """One run of the command, in a process group of its own; `env` is its whole environment, `clock` tells seconds."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._words = words
        self._env = env
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._starting = threading.Lock()

    def secret(self, seconds: float = LIMIT_SECONDS) -> Secret:
        """Run it to its end; its output without one final line ending. Raises SecretCommandFailed."""
        deadline = self._clock() + seconds
        process = self._start()
        try:
            output = _output(process, lambda: max(0.0, deadline - self._clock()))
        finally:
            self.kill()
            process.stdout.close()  # type: ignore[union-attr]
            process.wait()
        if output is None:
            left_open = process.returncode == 0  # else it was killed
            why = " (it has ended, but what it started holds its output open)" if left_open else ""
            raise SecretCommandFailed(f"its command took more than {seconds:g} s{why}")
        if len(output) <= _MOST_BYTES and (status := process.returncode):
            how = f"status {status}" if status > 0 else f"signal {-status}"
            raise SecretCommandFailed(f"its command ended with {how}")
        return _secret_of(output)

    def kill(self) -> None:
        """End the whole group, from any thread, unless the command has ended; it is not started any more."""
        with self._starting:
            self._cancelled = True
            process = self._process
        if process is not None and process.returncode is None:
            end_group(process)

    def _start(self) -> subprocess.Popen[bytes]:
        reason = "no reason given"
        with self._starting:
            try:
                if not self._cancelled:
                    self._process = subprocess.Popen(  # noqa: S603
                        self._words,
                        env=self._env,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        **GROUP_OF_ITS_OWN,
                    )
            except (OSError, subprocess.SubprocessError) as error:
                reason = (isinstance(error, OSError) and error.strerror) or reason
        if self._process is None:  # raised here, so that no traceback holds the words
            raise SecretCommandFailed(f"its command cannot be started ({reason})")
        return self._process


def _output(process: subprocess.Popen[bytes], left: Callable[[], float]) -> bytes | None:
    """All that it prints, as far as it may be a secret; None if it does not end while seconds are `left`."""
    output = read_output(process, _MOST_BYTES, left)
    if output is None or len(output) > _MOST_BYTES or _has_ended(process, left):
        return output
    return None


def _has_ended(process: subprocess.Popen[bytes], left: Callable[[], float]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(left())
        return True
    return False


def _secret_of(output: bytes) -> Secret:
    reason = ""
    try:
        text = without_line_ending(output.decode("utf-8"))
    except UnicodeDecodeError:
        reason = "its command printed more than 4 KiB, or what is not UTF-8 text"
    else:
        if not text:
            reason = "its command printed nothing"
        elif len(text.encode()) > LIMIT_BYTES:
            reason = "its command printed more than 4 KiB"
    if reason:  # raised here, so that no traceback holds the output
        raise SecretCommandFailed(reason)
    return Secret(text)
