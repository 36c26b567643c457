"""Buffers small bodies that must be read here: a 401, a login's response, a plugin's login; and drops others."""

from __future__ import annotations

from biot_sidecar.http.interfaces import Sink, Source
from biot_sidecar.http.messages import Headers


class BodyBuffer(Sink):
    """A sink that keeps a body; beyond `limit` bytes it stops its source, which can be relayed on from there."""

    def __init__(self, limit: int) -> None:
        self.pieces: list[bytes] = []
        self.trailers: Headers = []
        self.overflowed = False
        self.write_paused = False
        self._limit = limit
        self._size = 0
        self._source: Source | None = None

    def write_body(self, pieces: list[bytes]) -> None:
        self.pieces += pieces
        self._size += sum(map(len, pieces))
        source = self._source
        if self._size > self._limit and source is not None:
            self.overflowed = True
            source.detach()
            source.pause_reading()
            source.wakeup.wake()

    def end_body(self, trailers: Headers) -> None:
        self.trailers = trailers

    def attach(self, source: Source | None) -> None:
        self._source = source


class DiscardSink(Sink):
    """A sink for what nobody wants."""

    def __init__(self) -> None:
        self.write_paused = False

    def write_body(self, pieces: list[bytes]) -> None:
        pass

    def end_body(self, trailers: Headers) -> None:
        pass

    def attach(self, source: Source | None) -> None:
        pass
