"""Entities in memory by kind, newest first, and the columns and indexes that searches have asked for.

A search finds rows (an entity's place by age): each condition of its filter gives a set of them, from an index, a
column, or else by a look at every entity, and the sets are put together. What was asked about once is kept up, so that
a hundred thousand entities are searched in milliseconds while nobody else waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import reduce
from heapq import nlargest
from itertools import islice
from typing import Any

from biot_sidecar.simulator.search import (
    COMPARISONS,
    LOGIC,
    SearchRequest,
    answer,
    path_of,
    paths_of,
    restrictions,
    test_of,
    values,
    words_of,
)
from biot_sidecar.simulator.search_columns import Column, Rows, Texts
from biot_sidecar.simulator.values import Json

MOST_INDEXES = 16
"""Fields that one collection keeps an index of, and as many columns; searches by others look at every entity."""
_PIECE = 500
"""Rows that are looked at in a few milliseconds."""
_FEW = 1000
"""Rows that may be gone before the others are counted anew."""


class Collection:
    """The entities of one kind by id. An entity that is put is never changed, only replaced."""

    def __init__(self) -> None:
        self._entities: dict[str, Json] = {}
        self._numbers: dict[str, int] = {}  # id -> row
        self._rows: Rows = []
        self._indexes: dict[str, dict[Any, set[int]]] = {}  # path -> value -> rows
        self._columns: dict[str, Column] = {}
        self._texts: Texts | None = None
        self._last_order: tuple[Sequence[tuple[str, bool]], list[int]] | None = None

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[Json]:
        """Newest first."""
        return iter(reversed(self._entities.values()))

    def get(self, identity: str) -> Json | None:
        return self._entities.get(identity)

    def put(self, identity: str, entity: Json) -> None:
        """Add the entity, or replace the one that has this id, which keeps its place in the order."""
        self._forget(identity)
        row = self._numbers.setdefault(identity, len(self._rows))
        if row == len(self._rows):
            self._rows.append(entity)
        self._rows[row] = self._entities[identity] = entity
        for path, index in self._indexes.items():
            _enter(index, path, row, entity)
        self._changed(row)

    def remove(self, identity: str) -> None:
        self._forget(identity)
        del self._entities[identity]
        row = self._numbers.pop(identity)
        self._rows[row] = None
        self._changed(row)
        if len(self._rows) - len(self) > max(_FEW, len(self)):
            self._start_anew()

    def having(self, path: str, wanted: Iterable[Any]) -> list[Json]:
        """The entities with one of the values at the path, newest first; perhaps others, too."""
        return self._shown(sorted(self._indexed(path, wanted), reverse=True))

    def search(self, request: SearchRequest) -> list[Json]:
        """The entities that a request finds, in its order; without any the newest first."""
        return self._shown(self._ordered(self._found(request), request.sort))

    def page(self, request: SearchRequest) -> Json:
        """BioT's answer to a search, with entities as they are kept."""
        found = self._found(request)
        total = len(self) if found is None else len(found)
        first = min(request.page * request.limit, total)
        last = min(first + request.limit, total)
        if found is not None and not request.sort and last < total // 8:
            rows: Iterable[int] = nlargest(last, found)
        else:
            rows = self._ordered(found, request.sort)
        return answer(self._shown(islice(rows, first, last)), total, request)

    def prepare(self, request: SearchRequest) -> Iterator[None]:
        """Make what the search will look at, with a break for others every few milliseconds."""
        pieces = [range(first, first + _PIECE) for first in range(0, len(self._rows), _PIECE)]
        for path, key in paths_of(request):
            column = self._begun(path)
            if column is None:
                continue
            for _ in (*pieces, *pieces):
                if column.fill(_PIECE) and (key != "like" or column.fill_texts(_PIECE)):
                    break
                yield
        if words_of(request):
            self._texts = self._texts or Texts(self._rows)
            for piece in pieces:
                self._texts.fill(piece)
                yield

    # ---- what is found

    def _found(self, request: SearchRequest) -> set[int] | None:
        """The rows that a request finds; None for every one."""
        found = self._all_of(request.filter)
        if words := words_of(request):
            self._texts = self._texts or Texts(self._rows)
            found = _both(found, self._texts.having(words))
        return found

    def _all_of(self, filters: Json) -> set[int] | None:
        return reduce(_both, (self._part(*part) for part in filters.items()), None)

    def _part(self, name: str, conditions: Json) -> set[int] | None:
        """What one field's conditions find, or what `$AND`, `$OR`, `$NOT` make of the fields that they join."""
        if name not in LOGIC:
            path = path_of(name)
            tests = (self._condition(path, key, wanted) for key, wanted in restrictions(conditions))
            return reduce(_both, tests, None)
        inner = conditions.get("filter") or {}
        if not inner or name == "$AND":
            return self._all_of(inner)
        if name == "$NOT":
            return self._but(self._all_of(inner))
        parts = [self._part(*part) for part in inner.items()]
        return None if None in parts else set().union(*parts)  # type: ignore[arg-type]

    def _condition(self, path: str, key: str, wanted: Any) -> set[int]:
        """The rows that meet one condition."""
        if key in ("eq", "in"):
            return self._equal(path, key, wanted)
        if key in ("not", "notIn"):
            return self._but(self._equal(path, "eq" if key == "not" else "in", wanted))
        column = self._column(path) if key in ("isNull", "isNotNull", "like") or key in COMPARISONS else None
        if column is not None and key.startswith("is"):
            return column.having(value=wanted is (key == "isNotNull"))
        if column is None or not column.is_plain:
            return self._looked_at(path, key, wanted, range(len(self._rows)))
        return column.like(wanted) if key == "like" else column.compared(key, wanted)

    def _equal(self, path: str, key: str, wanted: Any) -> set[int]:
        several = wanted if key == "in" else [wanted]
        if not self._is_indexed(path):
            return self._looked_at(path, key, wanted, range(len(self._rows)))
        found = self._indexed(path, several)
        return found if all(map(_is_exact, several)) else self._looked_at(path, key, wanted, found)

    def _looked_at(self, path: str, key: str, wanted: Any, rows: Iterable[int]) -> set[int]:
        """Those of the rows that meet the condition, by a look at each entity."""
        test, names, entities = test_of(key, wanted), path.split("."), self._rows
        pairs = ((row, entities[row]) for row in rows)
        return {row for row, entity in pairs if entity is not None and test(values(entity, names))}

    def _but(self, found: set[int] | None) -> set[int]:
        """All the other rows."""
        return set() if found is None else set(self._numbers.values()) - found

    # ---- in which order

    def _ordered(self, found: set[int] | None, sort: Sequence[Json]) -> Iterable[int]:
        if not sort:
            return sorted(self._numbers.values() if found is None else found, reverse=True)
        key = tuple((path_of(one["prop"]), one.get("order", "DESC") == "DESC") for one in sort)
        return (row for row in self._order(key) if found is None or row in found)

    def _order(self, sort: Sequence[tuple[str, bool]]) -> Iterable[int]:
        """Every row, by each path in turn, the first one leading; those without a value come last either way."""
        if len(sort) == 1:
            ((path, descending),) = sort
            column = self._column_anyway(path)
            yield from column.ordered(descending=descending)
            yield from sorted(column.having(value=False), reverse=True)
            return
        if self._last_order is None or self._last_order[0] != sort:
            self._last_order = sort, self._sorted(sort)
        yield from self._last_order[1]

    def _sorted(self, sort: Sequence[tuple[str, bool]]) -> list[int]:
        rows = sorted(self._numbers.values(), reverse=True)
        for path, descending in reversed(sort):
            ranks: list[Any] = self._column_anyway(path).ranks
            having = [row for row in rows if ranks[row] is not None]
            having.sort(key=ranks.__getitem__, reverse=descending)
            rows = having + [row for row in rows if ranks[row] is None]
        return rows

    def _shown(self, rows: Iterable[int]) -> list[Json]:
        entities: list[Any] = self._rows
        return [entities[row] for row in rows]

    # ---- what is kept up

    def _start_anew(self) -> None:
        """Count the rows, and forget what was made of them."""
        self._rows = list(self._entities.values())
        self._numbers = {identity: row for row, identity in enumerate(self._entities)}
        self._indexes, self._columns = {}, {}
        self._texts = self._last_order = None

    def _changed(self, row: int) -> None:
        self._last_order = None
        for column in self._columns.values():
            column.put(row)
        if self._texts is not None:
            self._texts.put(row)

    def _column(self, path: str) -> Column | None:
        """The path's column, if it has one or may have one."""
        column = self._begun(path)
        if column is not None:
            column.fill()
        return column

    def _begun(self, path: str) -> Column | None:
        if path not in self._columns and len(self._columns) < MOST_INDEXES:
            self._columns[path] = Column(path, self._rows)
        return self._columns.get(path)

    def _column_anyway(self, path: str) -> Column:
        column = self._column(path) or Column(path, self._rows)
        column.fill()
        return column

    def _is_indexed(self, path: str) -> bool:
        return path in ("_id", "id") or path in self._indexes or len(self._indexes) < MOST_INDEXES

    def _indexed(self, path: str, wanted: Iterable[Any]) -> set[int]:
        if path in ("_id", "id"):
            return {self._numbers[value] for value in wanted if isinstance(value, str) and value in self._numbers}
        index = self._index(path)
        found = [index[key] for value in wanted for key in _keys_wanted(value) if key in index]
        return found[0] if len(found) == 1 else set().union(*found)

    def _index(self, path: str) -> dict[Any, set[int]]:
        if path not in self._indexes:
            index: dict[Any, set[int]] = {}
            for row, entity in enumerate(self._rows):
                _enter(index, path, row, entity)
            self._indexes[path] = index
        return self._indexes[path]

    def _forget(self, identity: str) -> None:
        entity = self._entities.get(identity)
        if entity is None:
            return
        for path, index in self._indexes.items():
            for value in values(entity, path.split(".")):
                index.get(_key(value), set()).discard(self._numbers[identity])


def _both(one: set[int] | None, other: set[int] | None) -> set[int] | None:
    """The rows of both; None are all rows."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _enter(index: dict[Any, set[int]], path: str, row: int, entity: Json | None) -> None:
    for value in values(entity, path.split(".")):
        index.setdefault(_key(value), set()).add(row)


def _key(value: Any) -> Any:
    """What stands for a value in an index; objects and lists share one key, and true is not 1."""
    if isinstance(value, bool):
        return (value,)
    return value if isinstance(value, str | int | float) else None


def _keys_wanted(value: Any) -> list[Any]:
    """The keys of the values that a wanted one may equal: the typed SDKs send numbers of `in` lists as texts."""
    keys = [_key(value)]
    if isinstance(value, str):
        keys += {"True": [(True,)], "False": [(False,)]}.get(value, [])
        with suppress(ValueError):
            keys.append(float(value))
    return keys


def _is_exact(wanted: Any) -> bool:
    """Whether what an index finds for a wanted value equals it: a text may stand for numbers, objects share a key."""
    if not isinstance(wanted, str):
        return isinstance(wanted, int | float)
    return len(_keys_wanted(wanted)) == 1
