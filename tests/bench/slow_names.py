"""A name server that takes its time, for programs that alone see it: a burst of new connections waits for it first."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.program import Program
from tests.bench.workshop import Missing, debian
from tests.network.name_server import NameServer

NAME: Final = "biot.bench"
DELAY: Final = 0.03
"""Seconds before each answer."""
_ADDRESS: Final = "127.0.0.153"
_SCRIPT: Final = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class SlowNames(ExitStack):
    """NAME is 127.0.0.1, and that takes DELAY to find out. Raises Missing where that cannot be arranged."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        if os.getuid():
            raise Missing("a name server of its own needs root")
        self._unshare = debian("unshare", "util-linux")
        self._resolv = folder / "resolv.conf"
        self._resolv.write_text(f"nameserver {_ADDRESS}\n")
        sock = self.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            sock.bind((_ADDRESS, 53))
        except OSError as error:
            raise Missing(f"a name server cannot listen at {_ADDRESS}: {error}") from None
        sock.setblocking(False)
        loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, args=(loop, sock), daemon=True).start()
        self.callback(loop.call_soon_threadsafe, loop.stop)

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        asyncio.set_event_loop(loop)
        names = loop.run_until_complete(NameServer.listening(sock))
        names.names[NAME], names.delay = ["127.0.0.1"], DELAY
        loop.run_forever()
        loop.close()

    def seen_by(self, program: Program) -> Program:
        """The program, asking this name server from its next start on."""
        private = [self._unshare, "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, str(self._resolv)]
        program.command = [*private, *program.command]
        return program
