"""Entities in memory by kind, newest first, with an index for each field that searches have asked for by value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from biot_sidecar.simulator.search import SearchRequest, equalities, matching, values
from biot_sidecar.simulator.values import Json

MOST_INDEXES = 16
"""Fields that one collection keeps an index of; searches by others look at every entity."""


class Collection:
    """The entities of one kind by id. An entity that is put is never changed, only replaced."""

    def __init__(self) -> None:
        self._entities: dict[str, Json] = {}
        self._numbers: dict[str, int] = {}  # id -> when it was created, as a number that grows
        self._indexes: dict[str, dict[Any, set[str]]] = {}  # path -> value -> ids
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
        index = self._index(path)
        found = set().union(*(index.get(key, ()) for value in wanted for key in _keys_wanted(value)))
        return [self._entities[identity] for identity in sorted(found, key=self._numbers.__getitem__, reverse=True)]

    def search(self, request: SearchRequest) -> list[Json]:
        """The entities that a request finds, newest first."""
        return matching(self._candidates(request), request)

    def _candidates(self, request: SearchRequest) -> Iterable[Json]:
        for path, wanted in equalities(request.filter):
            if path in self._indexes or len(self._indexes) < MOST_INDEXES:
                return self.having(path, wanted)
        return self

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
