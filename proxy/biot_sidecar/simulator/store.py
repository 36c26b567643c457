"""Entities in memory by kind, newest first, with an index for each field that searches have asked for by value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from biot_sidecar.simulator.search import SearchRequest, answer, equalities, matching, page_of, text_in, values
from biot_sidecar.simulator.values import Json

MOST_INDEXES = 16
"""Fields that one collection keeps an index of; searches by others look at every entity."""


class Collection:
    """The entities of one kind by id. An entity that is put is never changed, only replaced."""

    def __init__(self) -> None:
        self._entities: dict[str, Json] = {}
        self._numbers: dict[str, int] = {}  # id -> when it was created, as a number that grows
        self._indexes: dict[str, dict[Any, set[str]]] = {}  # path -> value -> ids
        self._texts: dict[int, tuple[Json, str]] = {}  # by the entity's identity as an object
        self._created = 0

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
        if identity not in self._entities:
            self._created += 1
            self._numbers[identity] = self._created
        self._entities[identity] = entity
        for path, index in self._indexes.items():
            _enter(index, path, identity, entity)

    def remove(self, identity: str) -> None:
        self._forget(identity)
        del self._entities[identity]
        del self._numbers[identity]

    def having(self, path: str, wanted: Iterable[Any]) -> list[Json]:
        """The entities with one of the values at the path, newest first; perhaps others, too."""
        return self._newest_first(self._ids(path, wanted))

    def search(self, request: SearchRequest) -> list[Json]:
        """The entities that a request finds, newest first."""
        return matching(self._candidates(request), request, self._text_of)

    def page(self, request: SearchRequest) -> Json:
        """BioT's answer to a search, with entities as they are kept."""
        if request.filter or request.free_text or request.sort:
            return page_of(self.search(request), request)
        first = min(request.page * request.limit, len(self))
        return answer(list(islice(self, first, min(first + request.limit, len(self)))), len(self), request)

    def _candidates(self, request: SearchRequest) -> Iterable[Json]:
        """The entities that an index leaves over, if it leaves few, else all."""
        found: set[str] | None = None
        for path, wanted in equalities(request.filter):
            if path in self._indexes or len(self._indexes) < MOST_INDEXES:
                ids = self._ids(path, wanted)
                found = ids if found is None or len(ids) < len(found) else found
        return self if found is None or len(found) > len(self) // 4 else self._newest_first(found)

    def _ids(self, path: str, wanted: Iterable[Any]) -> set[str]:
        if path in ("_id", "id"):
            return {value for value in wanted if isinstance(value, str) and value in self._entities}
        index = self._index(path)
        found = [index[key] for value in wanted for key in _keys_wanted(value) if key in index]
        return found[0] if len(found) == 1 else set().union(*found)

    def _newest_first(self, ids: set[str]) -> list[Json]:
        return [self._entities[identity] for identity in sorted(ids, key=self._numbers.__getitem__, reverse=True)]

    def _text_of(self, entity: Json) -> str:
        """An entity's text for searches, made once: an entity is never changed, only replaced."""
        kept = self._texts.get(id(entity))
        if kept is None or kept[0] is not entity:
            kept = self._texts[id(entity)] = (entity, text_in(entity))
        return kept[1]

    def _index(self, path: str) -> dict[Any, set[str]]:
        if path not in self._indexes:
            index: dict[Any, set[str]] = {}
            for identity, entity in self._entities.items():
                _enter(index, path, identity, entity)
            self._indexes[path] = index
        return self._indexes[path]

    def _forget(self, identity: str) -> None:
        entity = self._entities.get(identity)
        if entity is None:
            return
        self._texts.pop(id(entity), None)
        for path, index in self._indexes.items():
            for value in values(entity, path.split(".")):
                index.get(_key(value), set()).discard(identity)


def _enter(index: dict[Any, set[str]], path: str, identity: str, entity: Json) -> None:
    for value in values(entity, path.split(".")):
        index.setdefault(_key(value), set()).add(identity)


def _key(value: Any) -> Any:
    """What stands for a value in an index; objects and lists share one key."""
    return value if isinstance(value, str | int | float | bool) else None


def _keys_wanted(value: Any) -> list[Any]:
    """The keys of the values that a wanted one may equal: the typed SDKs send numbers of `in` lists as texts."""
    keys = [_key(value)]
    if isinstance(value, str):
        keys += {"True": [True], "False": [False]}.get(value, [])
        with suppress(ValueError):
            keys.append(float(value))
    return keys
