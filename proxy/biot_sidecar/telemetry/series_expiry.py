"""Decides when the series of a route that left the file expire: after ten minutes, and one scrape more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

RETENTION: Final = 600.0
"""Seconds for which series outlive their route; the first scrape after them is the last that shows them."""


class SeriesExpiry:
    """Decides which routes' counts are dropped; `clock` tells monotonic seconds.

    With several workers each decides for itself. The first that drops a route says so for RETENTION seconds, and what
    the others have is not shown any more: a sum that lost one worker's part would look like a counter set back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._in_force: set[str] = set()
        self._since: dict[str, float] = {}
        self._shown: set[str] = set()  # for the last time
        self._dropped: dict[str, float] = {}

    def take(self, in_force: Iterable[str], counted: Iterable[str]) -> None:
        """These routes are in force now; those of `counted` that are not begin to go."""
        now = self._clock()
        self._in_force = set(in_force)
        for name in counted:
            if name not in self._in_force:
                self._since.setdefault(name, now)
        for name in self._in_force:
            self._since.pop(name, None)
            self._shown.discard(name)
            self._dropped.pop(name, None)

    def count(self, name: str) -> None:
        """A request has ended whose route has no counts: it may have outlived them."""
        if name not in self._in_force:
            self._since.setdefault(name, self._clock())
            self._dropped.pop(name, None)

    def scrape(self) -> list[str]:
        """A scrape begins; the routes that it shows no more."""
        now = self._clock()
        over = list(self._shown)
        for name in over:
            del self._since[name]
            self._dropped[name] = now
        self._shown = {name for name, since in self._since.items() if now - since >= RETENTION}
        self._dropped = {name: at for name, at in self._dropped.items() if now - at < RETENTION}
        return over

    @property
    def dropped(self) -> tuple[str, ...]:
        """Whose counts, of whatever process, are to be shown no more."""
        return tuple(self._dropped)
