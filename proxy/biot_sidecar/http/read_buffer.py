"""One buffer that connections read into, 64 KiB at a time.

Left to itself uvloop hands over up to 250 KB at once. A reader that must wait for a slow upstream holds what it read
last, so that many uploads in flight would hold four times as much.
"""

from __future__ import annotations

import asyncio
from typing import Final

READ: Final = memoryview(bytearray(64 * 1024))
"""What every connection reads into: it is emptied before another one reads."""


class BufferedReader:
    """An asyncio.BufferedProtocol in front of a protocol that is none. (Loops without uvloop see a plain one.)"""

    __slots__ = ("connection_lost", "data_received", "eof_received", "pause_writing", "resume_writing")

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.data_received = protocol.data_received
        self.eof_received = protocol.eof_received
        self.connection_lost = protocol.connection_lost
        self.pause_writing = protocol.pause_writing
        self.resume_writing = protocol.resume_writing

    def get_buffer(self, hint: int) -> memoryview:
        return READ

    def buffer_updated(self, count: int) -> None:
        self.data_received(bytes(READ[:count]))
