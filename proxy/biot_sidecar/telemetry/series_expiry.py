"""Decides when the series of a route that left the file expire: after ten minutes, and one scrape more."""

from __future__ import annotations

from collections.abc import Callable, KeysView
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

    def take(self, in_force: set[str], counted: KeysView[str]) -> None:
        """These routes are in force now; those of `counted`, which has them all, that are not begin to go."""
        self._in_force = in_force
        self._shown -= in_force
        for names in (self._since, self._dropped):
            for name in names.keys() & in_force if names else ():
                del names[name]
        if len(counted) > len(in_force):  # else they are the same
            going = dict.fromkeys(counted - in_force, self._clock())
            self._since = {**going, **self._since}

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
