"""Processes under an event loop, each with all that it starts: ended, stopped and continued as one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from biot_sidecar.cli.child_process import own_command
from biot_sidecar.platform import children
from biot_sidecar.process import respawn

_PIECE: Final = 65536
_LONGEST_LINE: Final = 1024 * 1024
"""Bytes of a line that is waited for."""


class PluginProcess:
    """One process that leads a group of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait(self) -> int:
        """Its exit status, 128+n after signal n."""
        status = await self._process.wait()
        return status if status >= 0 else 128 - status

    async def first_line(self) -> str:
        """The first line that it prints; empty if it ends before."""
        return (await self.line()).strip()

    async def line(self) -> str:
        """The next line of its output, with its end; empty at the output's end."""
        stdout = self._process.stdout
        return (await stdout.readline()).decode(errors="replace") if stdout else ""

    async def output(self) -> str:
        """What it prints next, a line or a piece of one; empty at the output's end."""
        stdout = self._process.stdout
        return (await stdout.read(_PIECE)).decode(errors="replace") if stdout else ""

    def kill(self) -> None:
        """End all of it at once, frozen or not."""
        children.kill_group(self._process.pid)

    def terminate(self) -> None:
        """Tell it to end."""
        if self._process.stdin is not None:  # a lifeline
            self._process.stdin.write(b"\n")
        else:
            children.terminate_group(self._process.pid)

    def take_along(self, other: PluginProcess) -> None:
        """Let it end the other one, too, should we be killed; on Linux the kernel does."""
        if self._process.stdin is not None:  # a lifeline
            self._process.stdin.write(b"%d\n" % other._process.pid)

    def freeze(self) -> None:
        """Stop all of it: no timer runs, no socket is read."""
        children.freeze_group(self._process.pid)

    def thaw(self) -> None:
        """Let it go on."""
        children.thaw_group(self._process.pid)


async def start_process(words: Sequence[str], env: Mapping[str, str], *, may_freeze: bool = False) -> PluginProcess:
    """Start the user's command; it has our standard streams. Raises OSError if it cannot be run."""
    keywords = children.group_keywords(may_freeze)
    return PluginProcess(await asyncio.create_subprocess_exec(*words, env=env, **keywords))


async def start_own_process(
    words: Sequence[str], env: Mapping[str, str], *, may_freeze: bool = False, descriptors: Sequence[int] = ()
) -> PluginProcess:
    """Start a command of this program, whose standard output we read; it gets these descriptors of ours."""
    process = await asyncio.create_subprocess_exec(
        *own_command(words),
        env=respawn.environment(env),
        stdin=subprocess.PIPE if children.LIFELINE else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        limit=_LONGEST_LINE,
        pass_fds=descriptors,
        **children.group_keywords(may_freeze),
    )
    return PluginProcess(process)
