"""Entities by kind in memory: their order, and that an index finds what looking at every entity finds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from biot_sidecar.simulator import search, store
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


ranked = st.none() | st.integers(0, 2) | st.sampled_from([True, 1.5, "b", "Ab", "2020-01-01", "2020-01-01T00:00:00Z"])
fields = st.sampled_from(["a", "b", "a.b", "_id"])
some = st.fixed_dictionaries(
    {"a": ranked | st.lists(ranked, max_size=2) | st.fixed_dictionaries({"b": ranked}), "b": ranked}
)
anything = st.one_of(
    [st.fixed_dictionaries({key: scalars | ranked}) for key in ("eq", "not", "lt", "gte", "from", "to")]
    + [st.fixed_dictionaries({key: st.lists(scalars, max_size=3)}) for key in ("in", "notIn")]
    + [st.fixed_dictionaries({"like": st.sampled_from(["", "B", "2020", "x"])})]
    + [st.fixed_dictionaries({key: st.booleans()}) for key in ("isNull", "isNotNull")]
    + [st.fixed_dictionaries({"filter": st.fixed_dictionaries({"b": st.fixed_dictionaries({"eq": ranked})})})]
)
plain = st.dictionaries(fields, anything, max_size=2)
joined = st.dictionaries(st.sampled_from(["$AND", "$OR", "$NOT"]), st.fixed_dictionaries({"filter": plain}), max_size=2)
filters = st.builds(lambda one, other: one | other, plain, joined)
sorts = st.lists(st.fixed_dictionaries({"prop": fields, "order": st.sampled_from(["ASC", "DESC"])}), max_size=2)
requests = st.builds(
    lambda *parts: search.SearchRequest(*parts[:3], limit=3, page=parts[3]),
    filters,
    sorts,
    st.sampled_from([None, "B", "1 x", "id"]),
    st.integers(0, 2),
)
changes = st.lists(st.tuples(st.integers(0, 9), st.none() | some), max_size=12)


@relaxed
@given(st.lists(some, max_size=8), st.lists(requests, min_size=1, max_size=3), changes)
def test_columns_find_and_order_what_looking_at_every_entity_does(data: Any, asked: Any, changed: Any) -> None:
    """Before and after changes: what a search has made is kept up."""
    told = {f"id{number}": entity | {"_id": f"id{number}"} for number, entity in enumerate(data)}
    made = collection(*told.values())
    for number, entity in [(-1, None), *changed]:
        identity = f"id{number}"
        if entity is not None:
            told[identity] = entity | {"_id": identity}
            made.put(identity, told[identity])
        elif told.pop(identity, None) is not None:
            made.remove(identity)
        for request in asked:
            for _ in made.prepare(request):
                pass
            expected = search.ordered(search.matching(reversed(told.values()), request), request.sort)
            assert made.search(request) == expected
            assert made.page(request) == search.page_of(expected, replace(request))


def test_what_changes_while_a_search_is_prepared_is_found_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PIECE", 200)
    made = collection(*({"_id": str(number), "n": number, "text": "old"} for number in range(500)))
    request = search.parse('{"filter": {"n": {"lt": 3}, "text": {"like": "w"}}, "freeTextSearch": "new"}')
    breaks = 0
    for breaks, _ in enumerate(made.prepare(request), 1):
        made.put(str(breaks % 2), {"_id": str(breaks % 2), "n": 1, "text": "new"})
        made.put(f"late{breaks}", {"_id": f"late{breaks}", "n": 2, "text": "new"})
        made.put("499", {"_id": "499", "n": breaks, "text": "new"})
    assert breaks >= 5
    expected = search.matching(made, request)
    assert (len(expected) > breaks, made.search(request)) == (True, expected)


def test_rows_that_are_gone_take_no_place_for_long() -> None:
    made = collection(*({"_id": str(number), "n": number} for number in range(3000)))
    assert found(made, filter={"n": {"lt": 2}}) == "10"
    for number in range(2, 2999):
        made.remove(str(number))
    assert len(made._rows) < 2000
    made.put("new", {"_id": "new", "n": 0})
    assert found(made, filter={"n": {"lt": 2}}) == "new10"


@pytest.mark.parametrize("wanted", [{"eq": "b"}, {"in": ["b", "z"]}])
def test_ids_are_found_without_an_index(wanted: Any) -> None:
    entities = collection({"_id": "a"}, {"_id": "b"})
    assert found(entities, filter={"_id": wanted}) == "b"
    assert not entities._indexes
