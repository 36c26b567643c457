"""Tells a sidecar's inspector of the events that its plugin was sent: a pipe that the sidecar is started with."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from biot_sidecar.platform.children import open_feed
from biot_sidecar.settings.names import EVENTS_FD


class Event(Protocol):
    """What is told of an event."""

    @property
    def about(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def trace_id(self) -> str: ...


class EventFeed:
    """Where a process can be given no pipe, nothing is told. What nobody reads is dropped: no event waits for it."""

    def __init__(self) -> None:
        self._theirs, self._ours = open_feed()

    @property
    def descriptors(self) -> Sequence[int]:
        """What the sidecar is to inherit."""
        return () if self._theirs < 0 else (self._theirs,)

    @property
    def variables(self) -> Mapping[str, str]:
        """What its environment says of it."""
        return {} if self._theirs < 0 else {EVENTS_FD: str(self._theirs)}

    def handed_over(self) -> None:
        """The sidecar has its end: this process keeps the other."""
        if self._theirs >= 0:
            os.close(self._theirs)
            self._theirs = -1

    def tell(self, event: Event) -> None:
        """One line of JSON: names and figures."""
        if self._ours < 0:
            return
        told = {
            "about": event.about, "status": event.status, "at": event.at,
            "seconds": event.seconds, "trace_id": event.trace_id,
        }  # fmt: skip
        with contextlib.suppress(OSError):  # full, or the sidecar is no more
            os.write(self._ours, json.dumps(told).encode() + b"\n")
