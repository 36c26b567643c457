"""Which routes run which interceptors, by what BioT says of itself (BioT API, settings and dispatcher services)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from biot_sidecar.routing.pattern import BadPattern, Pattern, parse_pattern
from biot_sidecar.routing.route import Interception, Route
from biot_sidecar.routing.shadowing import Coverage, intersection
from biot_sidecar.routing.table import RouteTable, patterns_of

INTERCEPTABLE_PATH: Final = "/settings/v1/interceptions"
INTERCEPTORS_PATH: Final = "/dispatcher/v1/hooks/interceptions"
PERMISSIONS: Final = {
    INTERCEPTABLE_PATH: "SETTINGS_SEARCH_INTERCEPTION_SUBSCRIPTION_CONFIGURATIONS",
    INTERCEPTORS_PATH: "HOOKS_INTERCEPTION_SEARCH",
}
_ADAPT: Final = "ADAPT_ENTITY"
_PAGE: Final = 100
_SHOWN_MOST: Final = 20


class BadAnswer(Exception):
    """BioT's answer is not what its specification says; the text names no content of it."""


class Interceptable(msgspec.Struct, frozen=True):
    """An operation that BioT can intercept: `api_id` is METHOD/path as BioT writes it, `entity` what it is about."""

    api_id: str
    entity: str
    pattern: Pattern


class Interceptor(msgspec.Struct, frozen=True):
    """Who listens: to an operation (`api_id`), or, of type ADAPT_ENTITY, to an entity type; `host` may be empty."""

    type: str
    api_id: str
    entity: str
    host: str

    def hears(self, operation: Interceptable) -> bool:
        """True if a call of this operation runs it."""
        if self.type == _ADAPT:
            return self.entity == operation.entity
        return self.api_id == operation.api_id

    def __str__(self) -> str:
        return f"{self.type} at {self.host}" if self.host else self.type


# ---- reading BioT's answers


def search_path(path: str, page: int) -> str:
    """The request for one page, counted from 0."""
    return f"{path}?searchRequest={quote(json.dumps({'limit': _PAGE, 'page': page}))}"


def read_page(body: bytes) -> tuple[list[dict[str, Any]], bool]:
    """The items of a search's answer, and whether more pages follow. Raises BadAnswer."""
    try:
        answer = json.loads(body)
        page = answer["metadata"]["page"]
        items = [item for item in answer["data"] if isinstance(item, dict)]
        more = (int(page["page"]) + 1) * int(page["limit"]) < int(page["totalResults"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadAnswer("it is no search result") from None
    return items, more and bool(items)


def read_interceptable(items: Iterable[dict[str, Any]]) -> list[Interceptable]:
    """The operations in the answer; those whose apiId is no METHOD/path are left out."""
    found = []
    for item in items:
        api_id = _text(item, "apiId")
        method, slash, path = api_id.partition("/")
        try:
            found.append(Interceptable(api_id, _text(item, "entityTypeName"), parse_pattern(f"{method} {slash}{path}")))
        except BadPattern:
            continue
    return found


def read_interceptors(items: Iterable[dict[str, Any]]) -> list[Interceptor]:
    """Who listens now."""
    return [
        Interceptor(_text(item, "type"), _text(item, "apiId"), _text(item, "entityName"), _host(item.get("endpoint")))
        for item in items
    ]


def _text(item: dict[str, Any], key: str) -> str:
    return str(item.get(key) or "")


def _host(endpoint: Any) -> str:
    """Of an address only its host is shown: the rest may hold a key."""
    try:
        return urlsplit(str(endpoint or "")).hostname or ""
    except ValueError:
        return ""


# ---- what it means for the routes


def report(
    table: RouteTable, operations: Sequence[Interceptable], interceptors: Sequence[Interceptor]
) -> Iterator[str]:
    """A line for each operation that a route with interception asks to intercept, a warning for a route without any."""
    earlier = Coverage()
    deciding = [route for route in table.routes if route.observe is None]
    for number, route in enumerate((*deciding, table.unmatched)):
        patterns = patterns_of(route) if number < len(deciding) else [parse_pattern("* /**")]
        if route.interception is not Interception.OFF and route.deny is None:
            reached = [one for one in operations if _reaches(patterns, one.pattern, earlier)]
            yield from _lines(route, reached, interceptors)
        for pattern in patterns:
            earlier.add(number, pattern)


def _reaches(patterns: Iterable[Pattern], operation: Pattern, earlier: Coverage) -> bool:
    """True if some call of the operation falls under one of the patterns, and under no earlier one."""
    meetings = (intersection(pattern, operation) for pattern in patterns)
    return any(one is not None and earlier.covering(one) is None for one in meetings)


def _lines(route: Route, reached: list[Interceptable], interceptors: Sequence[Interceptor]) -> Iterator[str]:
    heard = {one.api_id: [str(other) for other in interceptors if other.hears(one)] for one in reached}
    if not reached:
        never = f"{route.name!r} can never run an interceptor: BioT intercepts nothing that it matches"
        yield f"{route.source}:1: warning: {never}"
    elif not any(heard.values()):
        yield f"{route.source}: {route.name!r} runs no interceptor now: nobody listens to {_operations(len(reached))}"
    busy = [(api_id, who) for api_id, who in heard.items() if who]
    for api_id, who in busy[:_SHOWN_MOST]:
        method, slash, path = api_id.partition("/")
        yield f"{route.source}: {route.name!r} runs, for {method} {slash}{path}: {', '.join(who)}"
    if len(busy) > _SHOWN_MOST:
        yield f"{route.source}: {route.name!r} runs interceptors for {len(busy) - _SHOWN_MOST} operations more"


def _operations(number: int) -> str:
    return "the operation it matches" if number == 1 else f"any of the {number} operations it matches"
