"""Entities by kind in memory: their order, and that an index finds what looking at every entity finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from biot_sidecar.simulator import search
from biot_sidecar.simulator.store import MOST_INDEXES, Collection
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.helpers import relaxed


def collection(*entities: Any) -> Collection:
    made = Collection()
    for entity in entities:
        made.put(entity["_id"], entity)
    return made


def found(entities: Collection, **request: Any) -> str:
    return "".join(one["_id"] for one in entities.search(search.parse(json.dumps(request))))


def test_the_newest_come_first_and_an_update_keeps_its_place() -> None:
    entities = collection({"_id": "a", "n": 1}, {"_id": "b", "n": 1}, {"_id": "c", "n": 1})
    entities.put("b", {"_id": "b", "n": 1, "changed": True})
    assert found(entities) == found(entities, filter={"n": {"eq": 1}}) == "cba"
    entities.remove("c")
    assert found(entities) == "ba"


def test_a_page_says_how_many_there_are() -> None:
    entities = collection(*({"_id": str(number)} for number in range(10)))
    page = entities.page(search.parse('{"limit": 3, "page": 1}'))
    assert [one["_id"] for one in page["data"]] == ["6", "5", "4"]
    assert page["metadata"] == {"page": {"totalResults": 10, "page": 1, "limit": 3}}


@pytest.mark.parametrize("request_text", ['{"limit": 100000000}', '{"page": 1000000000000000000}'])
def test_a_page_may_be_as_large_and_as_far_as_one_likes(request_text: str) -> None:
    page = collection({"_id": "a"}).page(search.parse(request_text))
    assert (len(page["data"]) <= 1, page["metadata"]["page"]["totalResults"]) == (True, 1)


def test_what_is_replaced_or_removed_is_not_found_by_what_it_was() -> None:
    entities = collection({"_id": "a", "n": 1, "text": "old"}, {"_id": "b", "n": 2})
    assert (found(entities, filter={"n": {"eq": 1}}), found(entities, freeTextSearch="old")) == ("a", "a")
    entities.put("a", {"_id": "a", "n": 2, "text": "new"})
    assert (found(entities, filter={"n": {"eq": 1}}), found(entities, freeTextSearch="old")) == ("", "")
    assert found(entities, freeTextSearch="new") == "a"
    entities.remove("a")
    assert found(entities, filter={"n": {"in": [1, 2]}}) == "b"


def test_more_fields_than_indexes_are_searched_all_the_same() -> None:
    names = [f"n{number}" for number in range(MOST_INDEXES + 5)]
    entities = collection({"_id": "a"} | dict.fromkeys(names, 1), {"_id": "b"} | dict.fromkeys(names, 2))
    for name in names:
        assert found(entities, filter={name: {"eq": 2}}) == "b"


scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["1", "True", "x", 1.0])
nested = scalars | st.lists(scalars, max_size=2) | st.fixed_dictionaries({"b": scalars})
entities_of = st.lists(st.fixed_dictionaries({"a": nested}), max_size=12)
conditions = st.fixed_dictionaries({"eq": scalars}) | st.fixed_dictionaries({"in": st.lists(scalars, max_size=3)})


@relaxed
@given(entities_of, st.sampled_from(["a", "a.b"]), conditions)
def test_an_index_finds_what_looking_at_every_entity_finds(data: list[Any], name: str, wanted: Any) -> None:
    numbered = [entity | {"_id": str(number)} for number, entity in enumerate(data)]
    request = search.SearchRequest(filter={name: wanted})
    indexed = collection(*numbered).search(request)
    assert indexed == search.matching(reversed(numbered), request)


@pytest.mark.parametrize("wanted", [{"eq": "b"}, {"in": ["b", "z"]}])
def test_ids_are_found_without_an_index(wanted: Any) -> None:
    entities = collection({"_id": "a"}, {"_id": "b"})
    assert found(entities, filter={"_id": wanted}) == "b"
    assert not entities._indexes
