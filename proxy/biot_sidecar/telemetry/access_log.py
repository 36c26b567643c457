"""One line per request and per event, JSON or text, without a body, a path, a query value, a token or a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from biot_sidecar.bounded_cache import BoundedCache
from biot_sidecar.http.exchange import Exchange
from biot_sidecar.http.header_fields import Kind, kind_of
from biot_sidecar.http.header_rules import looks_false
from biot_sidecar.telemetry.redact import printable, query_keys
from biot_sidecar.telemetry.snapshot import CLIENT_GONE, METHODS, OTHER
from biot_sidecar.timestamps import iso

LEVELS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}
BATCH: Final = 64 * 1024
"""Bytes of lines that are written at once, if not sooner."""
_INFO: Final = LEVELS["info"]
_WARNING: Final = LEVELS["warning"]
_BARE: Final = re.compile(r"[A-Za-z0-9_./{}*:@$?+-]+")
MAX_CACHED_PARTS: Final = 512
"""Pairs of parts that are kept for further lines."""

_THREE_DIGITS: Final = tuple([b"%03d" % number for number in range(1000)])
"""Three decimals, ready: to format a float costs four times as much, compiled."""


_Parts = tuple[bytes, bytes]
"""The first and the last part of a line, which depend on a request's labels alone, as JSON."""


class Log:
    """An Observer and LoginObserver that writes lines.

    `write` takes whole lines, must not block, and tells how many lines it has dropped before. `later`, once set, calls
    its argument a moment from now; lines are then collected until it does. Without it every line is written at once.
    """

    def __init__(self, *, level: str, form: str, write: Callable[[bytes], int], wall: Callable[[], float]) -> None:
        self._least = LEVELS[level]
        self._as_text = form == "text"
        self._write = write
        self._wall = wall
        self._lines: list[bytes] = []
        self._size = 0
        self._second = -1
        self._date = b""
        self._parts_cache: BoundedCache[tuple[object, ...], _Parts] = BoundedCache(MAX_CACHED_PARTS)
        self._warned: set[str] = set()  # routes under which plugins mean "off" and say "on"
        self.later: Callable[[Callable[[], None]], object] | None = None
        self.before_event: Callable[[], None] = lambda: None  # tells of the requests that ended before it
        self.lines_dropped: Callable[[], int] = lambda: 0  # so far; set by whoever knows the writer

    # ---- requests

    def finished(self, exchange: Exchange) -> None:
        """Tell of one request: info, or a warning when the sidecar failed it or its answer broke off."""
        if exchange.interception == "passed":
            self._warn_of_false_values(exchange)
        if exchange.cut or (exchange.code is not None and exchange.status >= 500):
            if self._least <= _WARNING:
                self._add_request(exchange, b"warning")
        elif self._least <= _INFO:
            self._add_request(exchange, b"info")

    def _warn_of_false_values(self, exchange: Exchange) -> None:
        """Once for each route: BioT takes the header's mere existence for a yes."""
        name = "" if exchange.verdict is None else exchange.verdict.route.name
        if name in self._warned:
            return
        values = [value.strip() for name, value in exchange.request_headers if kind_of(name) == Kind.INTERCEPTION]
        if looks_false(values):
            self._warned.add(name)
            self.event(
                "warning",
                "interception",
                "a plugin sends allow-interception with a value that looks like no, but BioT runs interceptors "
                "whatever it is; no header means no",
                rule=name,
            )

    def _add_request(self, exchange: Exchange, level: bytes) -> None:
        line = self._line(exchange, level)
        self._add(_request_text(msgspec.json.decode(line)) if self._as_text else line)

    def _line(self, exchange: Exchange, level: bytes) -> bytes:
        """Sizes in bytes of body, `token_age` in seconds; `first_part` and `last_part` are shared by many lines.

        One formatting costs half of what an encoder takes for the same fields. Compiled it costs a fifth of that, if
        the format stands right before its values and has nothing but %b and %d.
        """
        seconds = exchange.finished - exchange.started
        date, milliseconds = self._timestamp(exchange.at + seconds)
        first_part, last_part = self._parts(exchange)
        age = exchange.token_age
        return (
            b'{"ts":"%b.%bZ","level":"%b","event":"request","id":%d,"trace_id":"%b",%b,'
            b'"request_bytes":%d,"response_bytes":%d,"duration_ms":%b,"upstream_ms":%b,"token_wait_ms":%b,'
            b'"connect_ms":%b,"first_byte_ms":%b,"token_age":%b,%b}'
        ) % (
            date,
            _THREE_DIGITS[milliseconds],
            level,
            exchange.number,
            exchange.trace_id.encode(),
            first_part,
            exchange.request_bytes,
            exchange.response_bytes,
            _number(seconds * 1000),
            _number(exchange.upstream_seconds * 1000),
            _number(exchange.token_wait * 1000),
            _number(exchange.connect * 1000),
            _number(exchange.first_byte * 1000),
            _number(age) if age >= 0 else _age_of_awaited(exchange),
            last_part,
        )

    def _parts(self, exchange: Exchange) -> _Parts:
        if exchange.query:
            return _make_parts(exchange)  # names of parameters are the client's: no end of them
        verdict = exchange.verdict
        key = (
            METHODS.get(exchange.method, OTHER),
            verdict and verdict.template,
            verdict and verdict.route.name,
            verdict and verdict.observed and verdict.observed.observe,
            exchange.interception,
            exchange.refused,
            exchange.reason,
            exchange.status,
            exchange.upstream_status,
            exchange.code,
            exchange.tries,
            exchange.retries,
            exchange.reused,
            exchange.client_gone,
            exchange.cut,
        )
        parts = self._parts_cache.get(key)
        if parts is None:
            parts = _make_parts(exchange)
            self._parts_cache.keep(key, parts)
        return parts

    # ---- everything else

    def event(self, level: str, event: str, message: str, **fields: str | float | None) -> None:
        """Tell of something: `event` names its kind for machines, `message` says it to people."""
        if LEVELS[level] < self._least:
            return
        self.before_event()
        line: dict[str, Any] = {"ts": iso(self._wall()), "level": level, "event": event, "message": printable(message)}
        for name, value in fields.items():
            line[name] = printable(value) if isinstance(value, str) else value
        try:
            encoded = self._encode(line)
        except Exception as error:  # whoever tells of something goes on, whatever the values are
            told = {"ts": iso(self._wall()), "level": level, "event": event}
            encoded = self._encode({**told, "message": f"cannot be written down ({type(error).__name__})"})
        self._add(encoded)
        if LEVELS[level] > _WARNING:
            self.flush()  # what comes after an error may be the end

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        """A login has ended; `why` it gave no token, in words for the operator."""
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

    def clock_compared(self, offset: float) -> None:
        """`offset` in seconds."""
        self.event("debug", "clock", "BioT's clock less this machine's", offset_seconds=round(offset, 1))

    def blocked_until(self, moment: float) -> None:
        """Logins are blocked until then, in wall-clock seconds; 0.0: they are not."""
        if moment:
            self.event(
                "error", "login_blocked", "BioT rejects the service user; no login until then", until=iso(moment)
            )

    # ---- on its way out

    def _encode(self, line: dict[str, Any]) -> bytes:
        return _text(line) if self._as_text else msgspec.json.encode(line)

    def flush(self) -> None:
        """Hand over every line so far."""
        while self._lines:
            batch = b"\n".join(self._lines) + b"\n"
            self._lines = []
            self._size = 0
            dropped = self._write(batch)
            if dropped:
                line = {
                    "ts": iso(self._wall()),
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

    def _timestamp(self, wall: float) -> tuple[bytes, int]:
        """ISO 8601 in UTC up to the seconds, and milliseconds; the date is made anew once a second."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return self._date, int((wall - second) * 1000)


def _make_parts(exchange: Exchange) -> _Parts:
    verdict, code = exchange.verdict, exchange.code
    first_part = {
        "method": METHODS.get(exchange.method, OTHER),
        "path": "" if verdict is None else printable(verdict.template),  # a template, never the path itself
        "query": query_keys(exchange.query),  # names only
        "rule": None if verdict is None else printable(verdict.route.name),
        "interception": "none" if exchange.refused else exchange.interception,
        "status": exchange.status or CLIENT_GONE,
        "upstream_status": exchange.upstream_status or None,
        "error": None if code is None else code.value,
        "reason": exchange.reason or None,
        "tries": exchange.tries,
        "retries": exchange.retries,
    }
    if verdict is not None and verdict.observed is not None and verdict.observed.observe is not None:
        first_part["would_deny"] = printable(verdict.observed.observe)
    last_part = {
        "connection_reused": exchange.reused,
        "client_gone": exchange.client_gone or not (exchange.status or exchange.cut),
        "cut": exchange.cut,
    }
    return msgspec.json.encode(first_part)[1:-1], msgspec.json.encode(last_part)[1:-1]


def _number(value: float) -> bytes:
    """`value`, which is not negative, with three decimals; 0.0 shorter."""
    thousandths = int(value * 1000 + 0.5)
    return b"%d.%b" % (thousandths // 1000, _THREE_DIGITS[thousandths % 1000]) if thousandths else b"0.0"


def _age_of_awaited(exchange: Exchange) -> bytes:
    """A token that the request had to wait for is younger than the request: 0."""
    return b"0.0" if exchange.token_result == "wait" else b"null"


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1000


def _text(values: dict[str, Any]) -> bytes:
    """For people: time, level and event, then `name=value` for all that says something. ASCII throughout."""
    start = [values.pop("ts"), values.pop("level").upper(), values.pop("event")]
    start.append(json.dumps(values.pop("message"))[1:-1].replace('\\"', '"'))
    rest = [f"{name}={_word(value)}" for name, value in values.items() if value not in (None, "", False, [], ())]
    return " ".join(start + rest).encode("ascii")


_TEXT_FIELDS: Final = (
    "query", "rule", "would_deny", "interception", "upstream_status", "error", "reason", "retries", "upstream_ms",
    "token_wait_ms", "connect_ms", "client_gone", "cut", "trace_id",
)  # fmt: skip
"""What the text form says of a request behind its status and duration, if there is anything to say."""


def _request_text(values: dict[str, Any]) -> bytes:
    """For people: what was asked, what came of it and how long it took, then what is out of the ordinary."""
    start = [values["ts"], values["level"].upper(), values["event"], values["method"], _word(values["path"] or "-")]
    start += [str(values["status"]), f"{values['duration_ms']:.1f}ms"]
    if values["interception"] == "none":
        values["interception"] = None
    if values["upstream_status"] == values["status"]:
        values["upstream_status"] = None
    rest = [
        f"{name}={_word(round(value, 1) if isinstance(value, float) else value)}"
        for name in _TEXT_FIELDS
        if (value := values.get(name))
    ]
    return " ".join(start + rest).encode("ascii")


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ",".join(value)
    text = "yes" if value is True else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)
