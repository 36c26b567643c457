"""What the simulator saw: the last requests, counters, and one log line per request. Never a token, body or query."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from biot_sidecar.simulator.values import Json, timestamp
from biot_sidecar.telemetry.redact import printable

GONE = 499
"""The status, of no specification but widely used, of a request whose sender went away."""

log = logging.getLogger("biot_sidecar.simulator")


@dataclass
class Seen:
    """One request as the simulator saw it; filled while it is served."""

    number: int
    at: float
    method: str
    path: str
    header_names: list[str]
    trace_id: str
    token: str = "none"  # none | valid | invalid
    interception: bool = False  # asked for by the header
    interceptors: list[str] = field(default_factory=list)  # that ran
    fault: str = ""
    status: int = 0  # 0: no answer (yet)
    body_bytes: int = 0
    seconds: float = 0.0  # until the answer was there

    def shown(self) -> Json:
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "began": self.at,
            "method": self.method,
            "path": self.path,
            "headerNames": self.header_names,
            "traceId": self.trace_id,
            "token": self.token,
            "interception": self.interception,
            "interceptors": self.interceptors,
            "fault": self.fault,
            "status": self.status,
            "bodyBytes": self.body_bytes,
            "milliseconds": round(self.seconds * 1000, 1),
        }

    def line(self) -> str:
        """The log line: method, path without query, status, and what was special."""
        notes = [f"token {self.token}"] if self.token == "invalid" else []
        if self.interceptors:
            notes.append(f"interceptors ran: {', '.join(self.interceptors)}")
        elif self.interception:
            notes.append("interception asked for, no interceptor is registered for this")
        if self.fault:
            notes.append(f"fault: {self.fault}")
        return f"{self.method} {printable(self.path)} {self.status or 'no answer'}" + (
            f" ({'; '.join(notes)})" if notes else ""
        )


class History:
    """The last requests, oldest first, and how many there were."""

    def __init__(self, kept: int) -> None:
        self._seen: deque[Seen] = deque(maxlen=kept)
        self.requests = 0

    def add(self, at: float, method: str, path: str, header_names: list[str], trace_id: str) -> Seen:
        self.requests += 1
        seen = Seen(self.requests, at, method, path, header_names, trace_id)
        self._seen.append(seen)
        return seen

    def shown(self) -> list[Json]:
        return [seen.shown() for seen in self._seen]

    def intercepted(self) -> list[Json]:
        """The requests for which interceptors ran, and which."""
        return [
            {
                "number": seen.number,
                "method": seen.method,
                "path": seen.path,
                "traceId": seen.trace_id,
                "ran": seen.interceptors,
            }
            for seen in self._seen
            if seen.interceptors
        ]
