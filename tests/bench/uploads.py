"""A proxy's memory over TLS: at rest, and with many uploads in flight to an upstream that does not read on."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from tests.bench.load import connect
from tests.bench.measure import Figures
from tests.bench.program import Program
from tests.bench.upstream import Upstream, login_body
from tests.bench.workshop import PEERS
from tests.support.ports import free_port

COUNT: Final = 256
LENGTH: Final = 8 * 1024 * 1024
"""Bytes of an upload: more than the kernel's buffers hold on its way."""
FULL: Final = 1.0
"""Seconds in which nobody takes any more bytes, so that all buffers are full."""
AFTERWARDS: Final = 30.0
"""Seconds after the uploads in which memory is given back."""
_HEAD: Final = b"PUT /file/v1/up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % LENGTH
_PIECE: Final = bytes(64 * 1024)
_MIB: Final = 1024 * 1024


class StalledUpstream(Upstream):
    """Another Upstream, over TLS only; uploads stall until `read_on`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tls = free_port()
        command = [sys.executable, str(PEERS / "stalled_upstream.py"), str(self.tls), str(self.certificate)]
        command.append(login_body(self.token))
        self.program = Program("the stalled upstream", command, self.tls, folder / "upstream.out")

    def read_on(self) -> None:
        assert self.program.process is not None
        self.program.process.send_signal(signal.SIGUSR1)


class _Uploads:
    """COUNT of them, each on a connection of its own."""

    def __init__(self, port: int, stack: contextlib.ExitStack) -> None:
        self._left = {stack.enter_context(connect(port)): len(_HEAD) + LENGTH for _ in range(COUNT)}
        self._selector = stack.enter_context(selectors.DefaultSelector())
        for sock in self._left:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)  # else the kernel takes whole uploads
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_WRITE)

    def send(self, patience: float) -> bool:
        """Send what is taken, until all is sent (True) or for so many seconds nobody takes anything (False)."""
        while self._selector.get_map():
            ready = self._selector.select(patience)
            if not ready:
                return False
            for key, _ in ready:
                self._send_to(key.fileobj)
        return True

    def _send_to(self, sock: object) -> None:
        left = self._left[sock]  # type: ignore[index]
        piece = _HEAD if left > LENGTH else _PIECE[:left]
        self._left[sock] -= sock.send(piece)  # type: ignore[attr-defined,index]
        if not self._left[sock]:  # type: ignore[index]
            self._selector.unregister(sock)  # type: ignore[arg-type]

    def await_answers(self) -> None:
        for sock in self._left:
            sock.setblocking(True)
            head = sock.recv(65536)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"not a good answer: {head!r}")


def measure(figures: Figures, upstream: StalledUpstream, program: Program) -> None:
    """In MiB: at rest, after its first scrape; with the uploads in flight; what of that is still there afterwards.

    Starts and stops both.
    """
    upstream.program.start()
    program.start()
    try:
        program.wait_until_up()
        with connect(program.port) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            while sock.recv(65536):
                pass
        before = program.memory()
        figures.add(program.name, "rss_scraped", before / _MIB)
        figures.add(program.name, "private_scraped", program.private_memory() / _MIB)
        with contextlib.ExitStack() as stack:
            uploads = _Uploads(program.port, stack)
            if uploads.send(FULL):
                raise RuntimeError("the uploads did not stall")
            figures.add(program.name, "rss_uploads", program.memory() / _MIB)
            upstream.read_on()
            if not uploads.send(patience=60):
                raise RuntimeError("the uploads do not go on")
            uploads.await_answers()
        time.sleep(AFTERWARDS)
        figures.add(program.name, "rss_uploads_left", (program.memory() - before) / _MIB)
    finally:
        program.stop()
        upstream.program.stop()
