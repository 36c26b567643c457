"""BioT's `searchRequest`: filter, freeTextSearch, sort, page and limit as pure functions of plain dicts.

A filter has a condition object for each field; `$AND`, `$OR` and `$NOT` in a field's place hold `{"filter": {...}}`,
whose fields they join. Conditions of null, `"filter": {}` and `"notIn": []` restrict nothing. A filter is compiled
once for a search: a search looks at each entity, and there may be a hundred thousand.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from biot_sidecar.simulator.values import BiotError, Json, instant

ALIASES = {"_templateId": "_template.id", "_templateName": "_template.name", "parentTemplateId": "parentTemplate.id"}
"""Filter names that BioT accepts and that stand elsewhere in its answers."""

_DEFAULT_SORT = ({"prop": "_creationTime", "order": "DESC"},)

Predicate = Callable[[Json], bool]

Rank = tuple[int, Any]
"""A value's kind and what it is compared by; of one kind they can be put in order."""


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
    document = document_of(text)
    return SearchRequest(
        filter=_checked_filter(document.get("filter") or {}),
        sort=_checked_sort(document.get("sort") or []),
        free_text=_checked_text(document.get("freeTextSearch")),
        limit=_checked_number(document, "limit", default=100, least=1),
        page=_checked_number(document, "page", default=0, least=0),
    )


def document_of(text: str | None) -> Json:
    """A search request's JSON object; an empty one without any. Raises BiotError 400."""
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        raise _bad("it is not JSON") from None
    if not isinstance(document, dict):
        raise _bad("it must be a JSON object")
    return document


def search(entities: Iterable[Json], request: SearchRequest) -> Json:
    """BioT's answer to a search; without a sort the newest come first."""
    found = matching(entities, request)
    return page_of(found if request.sort else ordered(found, _DEFAULT_SORT), request)


def matching(entities: Iterable[Json], request: SearchRequest) -> list[Json]:
    """The entities that meet the filter and hold a word of the free text, in their order."""
    if request.filter:
        wanted = predicate(request.filter)
        entities = [entity for entity in entities if wanted(entity)]
    if words := words_of(request):
        return [entity for entity in entities if _has_word(text_in(entity), words)]
    return list(entities)


def words_of(request: SearchRequest) -> list[str]:
    """The words of the free text, of which one is enough."""
    return (request.free_text or "").casefold().replace("\0", " ").split()


def text_in(entity: Any, known: dict[int, str] | None = None) -> str:
    """All that free text is looked for in: every value but dates, one a line.

    `known` are the texts of objects that several entities share, such as their owner, by their identity.
    """
    known = {} if known is None else known
    return "\n".join(_texts_in(entity, known))


def _texts_in(value: Any, known: dict[int, str]) -> Iterator[str]:
    if isinstance(value, str):
        if not value[:1].isdecimal() or instant(value) is None:  # BioT searches every field but those of type date
            yield value.casefold()
    elif isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, dict):
                if id(inner) not in known:
                    known[id(inner)] = "\n".join(_texts_in(inner, known))
                yield known[id(inner)]
            elif inner is not None:
                yield from _texts_in(inner, known)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner, known)
    elif value is not None:
        yield _WORDS.get(value, "") if isinstance(value, bool) else str(value)


_WORDS: Mapping[bool, str] = {True: "true", False: "false"}


def _has_word(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)


def page_of(found: Sequence[Json], request: SearchRequest) -> Json:
    """The page's part of what was found, and `metadata`."""
    found = ordered(found, request.sort) if request.sort else found
    first = request.page * request.limit
    return answer(list(found[first : first + request.limit]), len(found), request)


def answer(data: list[Json], total: int, request: SearchRequest) -> Json:
    """A page's data, and `metadata` that repeats the request with `totalResults`."""
    metadata: Json = {"page": {"totalResults": total, "page": request.page, "limit": request.limit}}
    asked = {"filter": request.filter, "sort": list(request.sort), "freeTextSearch": request.free_text}
    metadata |= {name: value for name, value in asked.items() if value}
    return {"data": data, "metadata": metadata}


def predicate(filters: Json) -> Predicate:
    """Whether an entity meets every condition of every field, as a function."""
    return _all_of([_field_predicate(name, conditions) for name, conditions in filters.items()])


def paths_of(request: SearchRequest) -> Iterator[tuple[str, str]]:
    """The paths by which a search compares or sorts, each with the condition (`sort` for that)."""
    yield from _compared(request.filter)
    yield from ((path_of(one["prop"]), "sort") for one in request.sort)


def _compared(filters: Json) -> Iterator[tuple[str, str]]:
    for name, conditions in filters.items():
        if name in LOGIC:
            yield from _compared(conditions.get("filter") or {})
        else:
            yield from ((path_of(name), key) for key, _ in restrictions(conditions) if key in _OF_COLUMNS)


def restrictions(conditions: Json) -> Iterator[tuple[str, Any]]:
    """The conditions of a field that restrict anything."""
    return ((key, wanted) for key, wanted in conditions.items() if _restricts(key, wanted))


def test_of(key: str, wanted: Any) -> Test:
    """A condition as a function of the values that stand at its field."""
    return _CONDITIONS[key](wanted)


def path_of(name: str) -> str:
    """The dotted path in an entity of what a filter or sort names."""
    return ALIASES.get(name, name)


def ordered(entities: Iterable[Json], sort: Sequence[Json]) -> list[Json]:
    """Sorted by every `prop` in turn, the first one leading; entities without a value come last either way."""
    result = list(entities)
    for order in reversed(sort):
        names, descending = path_of(order["prop"]).split("."), order.get("order", "DESC") == "DESC"
        ranked = [(rank(found[0]) if (found := values(entity, names)) else None, entity) for entity in result]
        having = [pair for pair in ranked if pair[0] is not None]
        having.sort(key=lambda pair: pair[0], reverse=descending)  # type: ignore[arg-type, return-value]
        result = [entity for _, entity in having] + [entity for rank, entity in ranked if rank is None]
    return result


def values(entity: Any, names: Sequence[str]) -> list[Any]:
    """What stands at a path; each element of a list on the way counts, null does not."""
    found = [entity]
    for name in names:
        inner: list[Any] = []
        for item in found:
            value = item.get(name) if isinstance(item, dict) else None
            if isinstance(value, list):
                inner += [element for element in value if element is not None]
            elif value is not None:
                inner.append(value)
        found = inner
    return found


def _all_of(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda entity: all(test(entity) for test in predicates)


def _field_predicate(name: str, conditions: Json) -> Predicate:
    if name in LOGIC:
        inner = conditions.get("filter") or {}
        return LOGIC[name]([_field_predicate(*part) for part in inner.items()]) if inner else _everything
    names = path_of(name).split(".")
    tests = [test_of(key, wanted) for key, wanted in restrictions(conditions)]

    def meets(entity: Json) -> bool:
        present = values(entity, names)
        return all(test(present) for test in tests)

    return meets if tests else _everything


def _restricts(key: str, wanted: Any) -> bool:
    return wanted is not None and not (key == "filter" and not wanted)


def _everything(entity: Json) -> bool:
    return True


def _any_of(predicates: Sequence[Predicate]) -> Predicate:
    return lambda entity: any(test(entity) for test in predicates)


def _none_of(predicates: Sequence[Predicate]) -> Predicate:
    together = _all_of(predicates)
    return lambda entity: not together(entity)


LOGIC = {"$AND": _all_of, "$OR": _any_of, "$NOT": _none_of}


Test = Callable[[list[Any]], bool]
"""What a condition asks of the values that stand at its field."""


def _any(test: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    return lambda wanted: lambda present: any(test(value, wanted) for value in present)


def _none(test: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    return lambda wanted: lambda present: not any(test(value, wanted) for value in present)


def _compare(verdict: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    """Numbers compare as numbers, dates as moments, other texts as texts, and different kinds never."""

    def compiled(wanted: Any) -> Test:
        other, right = rank(wanted)

        def test(value: Any) -> bool:
            kind, left = rank(value)
            return kind == other and verdict(left, right)

        return lambda present: any(test(value) for value in present)

    return compiled


def _meets_filter(wanted: Json) -> Test:
    inner = predicate(wanted)
    return lambda present: any(isinstance(value, dict) and inner(value) for value in present)


def rank(value: Any) -> Rank:
    """A key under which values of any JSON types can be put in order."""
    if isinstance(value, bool | int | float):
        return (0, value) if value == value else (3, "NaN")  # which has no place among numbers
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


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "from": operator.ge,
    "to": operator.le,
}
_CONDITIONS: dict[str, Callable[[Any], Test]] = {
    "eq": _any(_equal),
    "not": _none(_equal),
    "in": _any(_among),
    "notIn": _none(_among),
    "like": _any(_like),
    **{key: _compare(verdict) for key, verdict in COMPARISONS.items()},
    "isNull": lambda wanted: lambda present: (not present) is wanted,
    "isNotNull": lambda wanted: lambda present: bool(present) is wanted,
    "filter": _meets_filter,
}
_OF_COLUMNS = {*COMPARISONS, "like", "isNull", "isNotNull"}
_SHAPES: dict[str, type] = {"in": list, "notIn": list, "like": str, "isNull": bool, "isNotNull": bool, "filter": dict}


def _checked_filter(filters: Any) -> Json:
    if not isinstance(filters, dict):
        raise _bad("filter must be an object")
    for name, conditions in filters.items():
        if name in LOGIC:
            _check_logic(name, conditions)
        else:
            _check_conditions(name, conditions)
    return filters


def _check_logic(name: str, conditions: Any) -> None:
    if not isinstance(conditions, dict) or conditions.keys() - {"filter"}:
        raise _bad(f'[{name}] must be {{"filter": {{...}}}} with the fields that it joins')
    _checked_filter(conditions.get("filter") or {})


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


def token_page(document: Json) -> tuple[int, int]:
    """`limitPerPage` and the place that `nextToken` names, of a token-paged search request."""
    limit = _checked_number(document, "limitPerPage", default=100, least=1)
    token = document.get("nextToken") or "0"
    if not isinstance(token, str) or not token.isdecimal():
        raise _bad("nextToken is not one that was given")
    return limit, int(token)
