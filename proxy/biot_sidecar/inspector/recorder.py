"""The last requests, kept in a ring and handed to whoever watches; a slow watcher loses the oldest, and is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from biot_sidecar.http.exchange import Exchange
from biot_sidecar.inspector.record import Record, record_of

KEPT: Final = 500


class News(msgspec.Struct, frozen=True):
    """Records since the last look; `missed` more came and went unseen."""

    records: tuple[Record, ...]
    missed: int = 0


class Watcher:
    """One who watches. Its queue is bounded: it never holds up a request, nor fills the memory."""

    def __init__(self, most: int) -> None:
        self._queue: deque[Record] = deque(maxlen=most)
        self._missed = 0
        self._wake = asyncio.Event()
        self._closed = False

    def tell(self, record: Record) -> None:
        self._missed += len(self._queue) == self._queue.maxlen
        self._queue.append(record)
        self._wake.set()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._wake.set()

    async def news(self) -> News | None:
        """Wait for new records; None when there will be none."""
        await self._wake.wait()
        if self._closed:
            return None
        self._wake.clear()
        news = News(tuple(self._queue), self._missed)
        self._queue.clear()
        self._missed = 0
        return news


class Recorder:
    """An Observer of requests; everything happens on one event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._ring: deque[Record] = deque(maxlen=kept)
        self._watchers: set[Watcher] = set()
        self._number = 0
        self._closed = False

    def finished(self, exchange: Exchange) -> None:
        """Keep what may be shown of it."""
        self.keep(record_of(exchange, 0))

    def keep(self, record: Record) -> None:
        """Keep a record, numbered anew; it may come from another process."""
        self._number += 1
        record = msgspec.structs.replace(record, number=self._number)
        self._ring.append(record)
        for watcher in self._watchers:
            watcher.tell(record)

    def records(self) -> tuple[Record, ...]:
        """The last ones, oldest first."""
        return tuple(self._ring)

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """A watcher of what comes while the block runs."""
        watcher = Watcher(self._kept)
        if self._closed:
            watcher.close()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End every live stream, so that none holds up a sidecar that stops."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()

    @property
    def watchers(self) -> int:
        return len(self._watchers)
