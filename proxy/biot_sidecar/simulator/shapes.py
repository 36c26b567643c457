"""Whether a value has a shape of the table of facts, and what is wrong where: pure functions of plain JSON values."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final

from biot_sidecar.simulator.facts import Shape, resolved
from biot_sidecar.simulator.values import instant

MISSING: Final = "missing"
TYPE: Final = "type"
FORMAT: Final = "format"
ENUM: Final = "enum"
LEAST: Final = "least"
MOST: Final = "most"
LENGTH: Final = "length"
PATTERN: Final = "pattern"
REPEATED: Final = "repeated"

EMAIL_PATTERN: Final = r"[^@\s]+@[^@\s]+"
PHONE_PATTERN: Final = r"\+[1-9]\d{1,14}"
_LOCALE: Final = re.compile(r"[a-z]{2,3}([-_][a-z]{2})?", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (a dotted path), what kind of thing, the value, and the shape it should have."""

    path: str
    kind: str
    value: Any = None
    shape: Shape = None

    def __str__(self) -> str:
        return f"[{self.path}]: {self.kind}"


def problems(value: Any, shape: Shape, path: str = "") -> Iterator[Problem]:
    """Everything that is wrong with a value.

    Null is right wherever the field may be missing; an empty text in a field that must be there counts as missing.
    """
    shape = resolved(shape)
    if isinstance(shape, str):
        shape = {"is": shape}
    if "fields" in shape:
        yield from _object(value, shape, path)
    elif "list" in shape:
        yield from _list(value, shape, path)
    elif "map" in shape:
        yield from _map(value, shape, path)
    else:
        yield from _plain(value, shape, path)


def _object(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, TYPE, value, shape)
        return
    for name in shape["must"]:
        if value.get(name) in (None, ""):
            yield Problem(_join(path, name), MISSING, value.get(name), shape["fields"].get(name))
    for name, inner in shape["fields"].items():
        if value.get(name) is not None and not (name in shape["must"] and value[name] == ""):
            yield from problems(value[name], inner, _join(path, name))


def _list(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(path, TYPE, value, shape)
        return
    if len(value) < shape.get("least", 0):
        yield Problem(path, LEAST, value, shape)
    if shape.get("unique") and any(item in value[:number] for number, item in enumerate(value)):
        yield Problem(path, REPEATED, value, shape)
    for number, item in enumerate(value):
        yield from problems(item, shape["list"], f"{path}[{number}]")


def _map(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, TYPE, value, shape)
        return
    for name, item in value.items():
        if item is not None:
            yield from problems(item, shape["map"], _join(path, name))


def _plain(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    word = shape["is"]
    if value == "" and word in _EMPTY_IS_NULL:
        return
    kind = _WORDS.get(word, str)
    if kind is not None and not _is(value, kind):
        yield Problem(path, TYPE, value, shape)
    elif "enum" in shape and value not in shape["enum"]:
        yield Problem(path, ENUM, value, shape)
    elif word in _FORMATS and not _FORMATS[word](value):
        yield Problem(path, FORMAT, value, shape)
    elif "pattern" in shape and not _compiled(shape["pattern"]).fullmatch(value):
        yield Problem(path, PATTERN, value, shape)
    else:
        yield from _bounds(value, shape, path)


def _bounds(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    size = len(value) if isinstance(value, str) else value
    if "least" in shape and size < shape["least"]:
        yield Problem(path, LENGTH if isinstance(value, str) else LEAST, value, shape)
    if "most" in shape and size > shape["most"]:
        yield Problem(path, LENGTH if isinstance(value, str) else MOST, value, shape)


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


_EMPTY_IS_NULL: Final = frozenset({"uuid", "date", "date-time"})
"""What Java reads an empty text as nothing for; BioT's own tools send such."""

_WORDS: Final[dict[str, Any]] = {"any": None, "integer": int, "number": (int, float), "boolean": bool}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(uuid.UUID(text))
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_locale(text: str) -> bool:
    return bool(_LOCALE.fullmatch(text))  # BioT's own entities hold `en_US` beside the `en-us` that it documents


@cache
def _timezones() -> frozenset[str]:
    import zoneinfo  # which nobody has asked about yet

    return frozenset(zoneinfo.available_timezones())


def _is_timezone(text: str) -> bool:
    return (
        text in ("UTC", "GMT", "Z")
        or bool(re.fullmatch(r"(UTC|GMT)?[+-]\d{1,2}(:?\d{2})?", text))
        or text in _timezones()
    )


_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "uuid": _is_uuid,
    "date": _is_date,
    "date-time": lambda text: len(text) > 10 and instant(text) is not None,
    "email": lambda text: bool(_compiled(EMAIL_PATTERN).fullmatch(text)),
    "phone": lambda text: bool(_compiled(PHONE_PATTERN).fullmatch(text)),
    "locale": _is_locale,
    "timezone": _is_timezone,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
