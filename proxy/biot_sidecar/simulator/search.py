"""BioT's `searchRequest`: filter, freeTextSearch, sort, page and limit as pure functions of plain dicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from biot_sidecar.simulator.values import BiotError, Json, instant

ALIASES = {"_templateId": "_template.id"}
"""Filter names that BioT accepts and that stand elsewhere in its answers."""

_DEFAULT_SORT = ({"prop": "_creationTime", "order": "DESC"},)


@dataclass(frozen=True)
class SearchRequest:
    """A checked search request; the defaults are BioT's."""

    filter: Json = field(default_factory=dict)
    sort: Sequence[Json] = ()
    free_text: str | None = None
    limit: int = 100
    page: int = 0


def parse(text: str | None) -> SearchRequest:
    """The `searchRequest` parameter's JSON, checked; without one everything is asked for. Raises BiotError 400."""
    if not text:
        return SearchRequest()
    try:
        document = json.loads(text)
    except ValueError:
        raise _bad("it is not JSON") from None
    if not isinstance(document, dict):
        raise _bad("it must be a JSON object")
    return SearchRequest(
        filter=_checked_filter(document.get("filter") or {}),
        sort=_checked_sort(document.get("sort") or []),
        free_text=_checked_text(document.get("freeTextSearch")),
        limit=_checked_number(document, "limit", default=100, least=1),
        page=_checked_number(document, "page", default=0, least=0),
    )


def search(entities: Iterable[Json], request: SearchRequest) -> Json:
    """BioT's answer to a search: the page's `data`, and `metadata` that repeats the request with `totalResults`."""
    found = [entity for entity in entities if matches(entity, request.filter) and _has_text(entity, request.free_text)]
    found = ordered(found, request.sort or _DEFAULT_SORT)
    first = request.page * request.limit
    metadata: Json = {"page": {"totalResults": len(found), "page": request.page, "limit": request.limit}}
    asked = {"filter": request.filter, "sort": list(request.sort), "freeTextSearch": request.free_text}
    metadata |= {name: value for name, value in asked.items() if value}
    return {"data": found[first : first + request.limit], "metadata": metadata}


def matches(entity: Json, filters: Json) -> bool:
    """Whether the entity meets every condition of every field."""
    return all(_meets(entity, name, conditions) for name, conditions in filters.items())


def ordered(entities: Iterable[Json], sort: Sequence[Json]) -> list[Json]:
    """Sorted by every `prop` in turn, the first one leading; entities without a value come last either way."""
    result = list(entities)
    for order in reversed(sort):
        path, descending = order["prop"], order.get("order", "DESC") == "DESC"
        having = [entity for entity in result if next(values(entity, path), None) is not None]
        lacking = [entity for entity in result if next(values(entity, path), None) is None]
        having.sort(key=lambda entity, path=path: _rank(next(values(entity, path))), reverse=descending)  # type: ignore[misc]
        result = having + lacking
    return result


def values(entity: Any, path: str) -> Iterator[Any]:
    """What stands at a dotted path; each element of a list on the way counts."""
    name, _, rest = ALIASES.get(path, path).partition(".")
    value = entity.get(name) if isinstance(entity, dict) else None
    for item in value if isinstance(value, list) else [value]:
        if rest:
            yield from values(item, rest)
        elif item is not None:
            yield item


def _meets(entity: Json, name: str, conditions: Any) -> bool:
    if name == "$AND":
        return all(matches(entity, part) for part in _parts(conditions))
    if name == "$OR":
        return any(matches(entity, part) for part in _parts(conditions))
    if name == "$NOT":
        return not any(matches(entity, part) for part in _parts(conditions))
    present = list(values(entity, name))
    return all(_CONDITIONS[key](present, wanted) for key, wanted in conditions.items() if wanted is not None)


def _parts(conditions: Any) -> list[Json]:
    return conditions if isinstance(conditions, list) else [conditions]


def _any(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    return lambda present, wanted: any(test(value, wanted) for value in present)


def _none(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    return lambda present, wanted: not any(test(value, wanted) for value in present)


def _compare(verdict: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    """Numbers compare as numbers, dates as moments, other texts as texts, and different kinds never."""

    def test(value: Any, wanted: Any) -> bool:
        (kind, left), (other, right) = _rank(value), _rank(wanted)
        return kind == other and verdict(left, right)

    return _any(test)


def _rank(value: Any) -> tuple[int, Any]:
    """A key under which values of any JSON types can be put in order."""
    if isinstance(value, bool | int | float):
        return (0, value)
    moment = instant(value)
    if moment is not None:
        return (1, moment)
    return (2, value) if isinstance(value, str) else (3, json.dumps(value, sort_keys=True, default=str))


def _equal(value: Any, wanted: Any) -> bool:
    same_kind = isinstance(value, bool) == isinstance(wanted, bool)  # True == 1 in Python, not in JSON
    return same_kind and bool(value == wanted)


def _among(value: Any, wanted: list[Any]) -> bool:
    # The typed SDKs send `in` lists as texts, whatever the attribute's type.
    return any(_equal(value, item) or str(value) == item for item in wanted)


def _like(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and wanted.casefold() in value.casefold()


_CONDITIONS: dict[str, Callable[[list[Any], Any], bool]] = {
    "eq": _any(_equal),
    "not": _none(_equal),
    "in": _any(_among),
    "notIn": _none(_among),
    "like": _any(_like),
    "lt": _compare(lambda value, wanted: value < wanted),
    "lte": _compare(lambda value, wanted: value <= wanted),
    "gt": _compare(lambda value, wanted: value > wanted),
    "gte": _compare(lambda value, wanted: value >= wanted),
    "from": _compare(lambda value, wanted: value >= wanted),
    "to": _compare(lambda value, wanted: value <= wanted),
    "isNull": lambda present, wanted: (not present) is wanted,
    "isNotNull": lambda present, wanted: bool(present) is wanted,
    "filter": _any(lambda value, wanted: isinstance(value, dict) and matches(value, wanted)),
}
_SHAPES: dict[str, type] = {"in": list, "notIn": list, "like": str, "isNull": bool, "isNotNull": bool, "filter": dict}


def _has_text(entity: Any, text: str | None) -> bool:
    if not text:
        return True
    if entity is None:
        return False
    if isinstance(entity, dict):
        return any(_has_text(value, text) for value in entity.values())
    if isinstance(entity, list):
        return any(_has_text(value, text) for value in entity)
    # BioT searches every field but those of type date.
    shown = json.dumps(entity) if not isinstance(entity, str) else entity
    return instant(entity) is None and text.casefold() in shown.casefold()


def _checked_filter(filters: Any) -> Json:
    if not isinstance(filters, dict):
        raise _bad("filter must be an object")
    for name, conditions in filters.items():
        if name in ("$AND", "$OR", "$NOT"):
            for part in _parts(conditions):
                _checked_filter(part)
        else:
            _check_conditions(name, conditions)
    return filters


def _check_conditions(name: str, conditions: Any) -> None:
    if not isinstance(conditions, dict):
        raise _bad(f'filter [{name}] must be an object such as {{"eq": ...}}')
    for key, wanted in conditions.items():
        if key not in _CONDITIONS:
            raise _bad(f"filter [{name}] has no condition [{key}]; there are {', '.join(_CONDITIONS)}")
        shape = _SHAPES.get(key)
        if wanted is not None and shape and not isinstance(wanted, shape):
            raise _bad(f"filter [{name}.{key}] must be a {_SHAPE_NAMES[shape]}")
        if key == "filter" and wanted is not None:
            _checked_filter(wanted)


_SHAPE_NAMES = {list: "list", str: "text", bool: "boolean", dict: "filter object"}


def _checked_sort(sort: Any) -> list[Json]:
    if not isinstance(sort, list):
        raise _bad("sort must be a list")
    for order in sort:
        if not isinstance(order, dict) or not isinstance(order.get("prop"), str):
            raise _bad("each sort needs a prop")
        if order.get("order", "DESC") not in ("ASC", "DESC"):
            raise _bad("sort.order must be ASC or DESC")
    return sort


def _checked_text(text: Any) -> str | None:
    if text is not None and not isinstance(text, str):
        raise _bad("freeTextSearch must be a text")
    return text


def _checked_number(document: Json, name: str, *, default: int, least: int) -> int:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _bad(f"{name} must be a whole number of at least {least}")
    return value


def _bad(reason: str) -> BiotError:
    return BiotError(400, "BAD_REQUEST", f"The searchRequest cannot be read: {reason}")


def token_page(text: str | None) -> tuple[int, int]:
    """`limitPerPage` and the place that `nextToken` names, of a token-paged search request already parsed."""
    document = json.loads(text) if text else {}
    limit = _checked_number(document, "limitPerPage", default=100, least=1)
    token = document.get("nextToken") or "0"
    if not isinstance(token, str) or not token.isdecimal():
        raise _bad("nextToken is not one that was given")
    return limit, int(token)
