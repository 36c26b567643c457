"""File descriptors held back, so that operators can still ask what is wrong when no other one is left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from biot_sidecar.platform import file_limit

RESERVE: Final = 8
KEPT_MOST: Final = 320
"""Descriptors that clients' connections leave free: one to BioT for each request that may be in flight, and more."""
KEPT_SHARE: Final = 2
"""Where there are few, they leave this part of them: a request needs two."""
LENT: Final = 3
"""Descriptors that reading a module, or a folder of /proc, takes at once, at most."""


class Reserve:
    """Descriptors that are open for nothing but to be closed when one is needed."""

    def __init__(self, size: int = RESERVE) -> None:
        self._size = size
        self._held: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Hold as many again as there should be, or as there are."""
        with contextlib.suppress(OSError):
            while len(self._held) < self._size:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def give(self) -> bool:
        """Let go of one, for good; False when there is none."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """A few are free inside the block, which must not wait: others would take them."""
        for _ in range(LENT):
            self.give()
        try:
            yield
        finally:
            self.refill()

    def close(self) -> None:
        self._size = 0
        while self.give():
            pass


def number_for_clients() -> float:
    """The first descriptor that is not for clients, but for connections to BioT and for ourselves."""
    most = file_limit()
    return most - min(KEPT_MOST, most / KEPT_SHARE)


def next_number() -> float:
    """The lowest descriptor that is free; the kernel gives them out in that order. Infinity when there is none."""
    try:
        number = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return float("inf")
    os.close(number)
    return number
