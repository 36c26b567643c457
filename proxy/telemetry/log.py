"""One line per request and per event, JSON or text, without a body, a path, a query value, a token or a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from proxy.errors import Code
from proxy.exchange import Exchange
from proxy.policy.fields import Kind, kind_of
from proxy.policy.headers import looks_false
from proxy.telemetry.redact import printable, query_keys
from proxy.telemetry.state import CLIENT_GONE, METHODS, OTHER

LEVELS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}
BATCH: Final = 64 * 1024
"""Bytes of lines that are written at once, if not sooner."""
_INFO, _WARNING = LEVELS["info"], LEVELS["warning"]
_WIRE: Final = {code: code.wire for code in Code}
_BARE: Final = re.compile(r"[A-Za-z0-9_./{}*:@$?+-]+")
_ENCODER: Final = msgspec.json.Encoder()
_NOTHING: Final[list[str]] = []


class Line(msgspec.Struct):
    """What is told of a request. Sizes in bytes of body, `token_age` in seconds, None where there was nothing."""

    ts: str
    level: str
    event: str
    id: int
    trace_id: str
    method: str
    path: str  # a template, never the path itself
    query: list[str]  # names only
    rule: str | None
    interception: str
    status: int
    upstream_status: int | None
    error: str | None
    tries: int
    retries: tuple[str, ...]
    request_bytes: int
    response_bytes: int
    duration_ms: float
    upstream_ms: float
    token_wait_ms: float
    connect_ms: float
    first_byte_ms: float
    token_age: float | None
    connection_reused: bool
    client_gone: bool
    cut: bool


class Log:
    """Implements pipeline.ports.Observer and LoginObserver.

    `write` takes whole lines, must not block, and tells how many lines it has dropped before. `later`, once set, calls
    its argument a moment from now; lines are then collected until it does. Without it every line is written at once.
    """

    def __init__(self, *, level: str, form: str, write: Callable[[bytes], int], wall: Callable[[], float]) -> None:
        self._least = LEVELS[level]
        self._encode: Callable[[Any], bytes] = _text if form == "text" else _ENCODER.encode
        self._write = write
        self._wall = wall
        self._lines: list[bytes] = []
        self._size = 0
        self._second = -1
        self._date = ""
        self._warned: set[str] = set()  # routes under which plugins mean "off" and say "on"
        self.later: Callable[[Callable[[], None]], object] | None = None

    # ---- requests

    def finished(self, exchange: Exchange) -> None:
        """Tell of one request: info, or a warning when the sidecar failed it or its answer broke off."""
        if exchange.interception == "passed":
            self._warn_of_false_values(exchange)
        if exchange.cut or (exchange.code is not None and exchange.status >= 500):
            if self._least <= _WARNING:
                self._add(self._encode(self._line(exchange, "warning")))
        elif self._least <= _INFO:
            self._add(self._encode(self._line(exchange, "info")))

    def _warn_of_false_values(self, exchange: Exchange) -> None:
        """Once for each route: BioT takes the header's mere existence for a yes."""
        rule = "" if exchange.verdict is None else exchange.verdict.rule.name
        if rule in self._warned:
            return
        values = [value.strip() for name, value in exchange.request_headers if kind_of(name) == Kind.INTERCEPTION]
        if looks_false(values):
            self._warned.add(rule)
            self.event(
                "warning",
                "interception",
                "a plugin sends allow-interception with a value that looks like no, but BioT runs interceptors "
                "whatever it is; no header means no",
                rule=rule,
            )

    def _line(self, exchange: Exchange, level: str) -> Line:
        verdict = exchange.verdict
        seconds = exchange.finished - exchange.started
        query = exchange.query
        age = exchange.token_age
        return Line(
            self._stamp(exchange.at + seconds),
            level,
            "request",
            exchange.number,
            exchange.trace_id,
            METHODS.get(exchange.method, OTHER),
            "" if verdict is None else printable(verdict.template),
            query_keys(query) if query else _NOTHING,
            None if verdict is None else printable(verdict.rule.name),
            "none" if exchange.refused else exchange.interception,
            exchange.status or CLIENT_GONE,
            exchange.upstream_status or None,
            None if exchange.code is None else _WIRE[exchange.code],
            exchange.tries,
            exchange.retries,
            exchange.request_bytes,
            exchange.response_bytes,
            # Milliseconds with three digits; a call for each would cost as much as everything else here.
            int(seconds * 1e6) / 1000,
            int(exchange.upstream_seconds * 1e6) / 1000,
            int(exchange.token_wait * 1e6) / 1000,
            int(exchange.connect * 1e6) / 1000,
            int(exchange.first_byte * 1e6) / 1000,
            int(age * 1000) / 1000 if age >= 0 else _no_age(exchange),
            exchange.reused,
            exchange.client_gone or not (exchange.status or exchange.cut),
            exchange.cut,
        )

    # ---- everything else

    def event(self, level: str, event: str, message: str, **fields: str | float | None) -> None:
        """Tell of something: `event` names its kind for machines, `message` says it to people."""
        if LEVELS[level] < self._least:
            return
        line: dict[str, Any] = {"ts": self._stamp(self._wall()), "level": level, "event": event, "message": message}
        for name, value in {**line, **fields}.items():
            line[name] = printable(value) if isinstance(value, str) else value
        self._add(self._encode(line))
        if LEVELS[level] > _WARNING:
            self.flush()  # what comes after an error may be the end

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        """BioT was asked for a token; `why` it gave none, in words for the operator."""
        good = outcome == "success"
        self.event(
            "info" if good else "warning",
            "login",
            "logged in" if good else f"the login failed: {why or outcome}",
            outcome=outcome,
            reason=reason,
            duration_ms=_ms(seconds),
        )

    def token_obtained(self, expires: float) -> None:
        """`expires` in wall-clock seconds."""
        self.event("debug", "token", "a token is in hand", expires=iso(expires))

    def blocked_until(self, moment: float) -> None:
        """Logins are blocked until then, in wall-clock seconds; 0.0: they are not."""
        if moment:
            self.event(
                "error", "login_blocked", "BioT rejects the service user; no login until then", until=iso(moment)
            )

    # ---- on its way out

    def flush(self) -> None:
        """Hand over every line so far."""
        while self._lines:
            batch = b"\n".join(self._lines) + b"\n"
            self._lines = []
            self._size = 0
            dropped = self._write(batch)
            if dropped:
                line = {
                    "ts": self._stamp(self._wall()),
                    "level": "warning",
                    "event": "log_lines_dropped",
                    "message": "nobody read the log in time",
                    "lines": dropped,
                }
                self._lines.append(self._encode(line))

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self.later is None or self._size >= BATCH:
            self.flush()
        elif len(self._lines) == 1:
            self.later(self.flush)

    def _stamp(self, wall: float) -> str:
        """ISO 8601 in UTC with milliseconds; the date is made anew once a second."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._date}.{int((wall - second) * 1000):03d}Z"


def iso(wall: float) -> str:
    """Wall-clock seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _no_age(exchange: Exchange) -> float | None:
    """A token that the request had to wait for is younger than the request: 0."""
    return 0.0 if exchange.token_result == "wait" else None


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1000


def _text(line: Line | dict[str, Any]) -> bytes:
    """For people: time, level and event, then `name=value` for all that says something. ASCII throughout."""
    values: dict[str, Any] = msgspec.to_builtins(line)
    start = [values.pop("ts"), values.pop("level").upper(), values.pop("event")]
    message = values.pop("message", None)
    if message is not None:
        start.append(json.dumps(message)[1:-1].replace('\\"', '"'))
    rest = [f"{name}={_word(value)}" for name, value in values.items() if value not in (None, "", False, [], ())]
    return " ".join(start + rest).encode("ascii")


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ",".join(value)
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)
