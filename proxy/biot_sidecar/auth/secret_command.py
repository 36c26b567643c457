"""The secret that a command prints: run before each login, and once a minute while BioT rejects the secret.

A run takes up to 5 s, so it has a thread of its own. After a rejected login the same output means the same rejection:
the command is asked again each minute, and another output, and only that, is a changed secret.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from biot_sidecar.auth.secret_source import ReadableSecret, UnreadableSecret
from biot_sidecar.settings.names import SECRET_COMMAND
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_command_run import CommandRun, SecretCommandFailed
from biot_sidecar.settings.secret_file import odd_about_secret
from biot_sidecar.threads import start_thread

POLL_SECONDS: Final = 60.0
REMEDY: Final = f"another secret that {SECRET_COMMAND} prints is taken within a minute"


class SecretCommand(ReadableSecret):
    """Runs the command. `warn` is told once what seldom belongs to a secret and stands around it; `told` was said.

    `env` is the command's environment, without our secrets; `noticed` hears that another secret is printed now.
    """

    remedy = REMEDY

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        clock: Callable[[], float],
        warn: Callable[[str], None] = lambda warning: None,
        told: Iterable[str] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        noticed: Callable[[], None] = lambda: None,
    ) -> None:
        self._words = words
        self._env = env
        self._clock = clock
        self._warn = warn
        self._told = set(told)
        self._sleep = sleep
        self._noticed = noticed
        self._last: Secret | None = None
        self._changed = False
        self._polling: asyncio.Task[None] | None = None

    async def read(self) -> Secret:
        """What the command prints now. Raises UnreadableSecret."""
        self._last = secret = await self._run()
        self._changed = False
        warning = (odd := odd_about_secret(secret)) and f"{SECRET_COMMAND}: {odd}"
        if warning and warning not in self._told:
            self._warn(warning)
        self._told = {warning}
        return secret

    def changed(self) -> bool:
        """True when the command has printed another secret since the last that was read."""
        return self._changed

    def login_ended(self, *, rejected: bool) -> None:
        """From a rejected login on ask once a minute, until another secret is printed or a login succeeds."""
        if not rejected:
            self._stop_polling()
        elif self._polling is None or self._polling.done():
            self._polling = asyncio.ensure_future(self._poll())

    async def close(self) -> None:
        """End what runs."""
        polling = self._polling
        self._stop_polling()
        if polling is not None:
            await asyncio.gather(polling, return_exceptions=True)

    def _stop_polling(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        while not self._changed:
            await self._sleep(POLL_SECONDS)
            with contextlib.suppress(UnreadableSecret):
                secret = await self._run()
                self._changed = secret != self._last
        self._noticed()

    async def _run(self) -> Secret:
        run = CommandRun(self._words, self._env, self._clock)
        try:
            return await start_thread(run.secret, "secret-command")
        except RuntimeError:  # no thread can be started; the loop must not wait for the command
            reason = "no thread can be started for its command"
        finally:
            run.kill()
        raise SecretCommandFailed(reason)


class SupervisedSecretCommand(ReadableSecret):
    """The command as a worker sees it: its supervisor runs it for all workers and tells them of another secret."""

    remedy = REMEDY

    def __init__(self) -> None:
        self._changed = False

    def read(self) -> Secret:
        """Nothing: the supervisor logs in."""
        self._changed = False
        return Secret("")

    def changed(self) -> bool:
        return self._changed

    def notice(self) -> None:
        """The supervisor's command prints another secret now."""
        self._changed = True
