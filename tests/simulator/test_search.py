"""searchRequest: every condition as a table, and what holds for any data by hypothesis."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from biot_sidecar.simulator import search
from biot_sidecar.simulator.values import BiotError
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.helpers import relaxed

ANNA = {
    "_id": "a",
    "_name": {"firstName": "Anna", "lastName": "Low"},
    "age": 30,
    "active": True,
    "_dateOfBirth": "1990-05-01",
    "_creationTime": "2025-01-01T10:00:00.000Z",
    "_template": {"id": "t1"},
    "tags": ["x", "y"],
    "_caregiver": {"id": "c1", "name": "Casey"},
}
BERT = {
    "_id": "b",
    "_name": {"firstName": "Bert", "lastName": "High"},
    "age": 41.5,
    "active": False,
    "_dateOfBirth": "1980-05-01",
    "_creationTime": "2025-01-03T10:00:00.000Z",
    "_template": {"id": "t2", "name": "Trial"},
}
CARA = {"_id": "c", "_name": {"firstName": "cara", "lastName": "Low"}, "_creationTime": "2025-01-02T12:00:00+02:00"}
PEOPLE = [ANNA, BERT, CARA]


def ids(request: Any) -> str:
    """The ids that a request finds, in order, as one word."""
    return "".join(found["_id"] for found in search.search(PEOPLE, search.parse(json.dumps(request)))["data"])


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"_name.firstName": {"eq": "Anna"}}, "a"),
        ({"_name.firstName": {"eq": "anna"}}, ""),
        ({"age": {"eq": 30}}, "a"),
        ({"active": {"eq": True}}, "a"),
        ({"active": {"eq": 1}}, ""),
        ({"age": {"not": 30}}, "bc"),
        ({"_id": {"in": ["a", "c"]}}, "ac"),
        ({"age": {"in": ["30"]}}, "a"),
        ({"_id": {"in": []}}, ""),
        ({"_id": {"notIn": ["a"]}}, "bc"),
        ({"age": {"notIn": [30]}}, "bc"),
        ({"age": {"lt": 41.5}}, "a"),
        ({"age": {"lte": 41.5}}, "ab"),
        ({"age": {"gt": 30}}, "b"),
        ({"age": {"gte": 30}}, "ab"),
        ({"age": {"gt": 20, "lt": 40}}, "a"),
        ({"age": {"gt": "20"}}, ""),
        ({"_name.firstName": {"like": "AR"}}, "c"),
        ({"age": {"like": "3"}}, ""),
        ({"_creationTime": {"from": "2025-01-02T10:00:00Z"}}, "bc"),
        ({"_creationTime": {"from": "2025-01-02T10:00:00.001Z"}}, "b"),
        ({"_creationTime": {"to": "2025-01-02T10:00:00.000Z"}}, "ac"),
        ({"_creationTime": {"from": "2025-01-02", "to": "2025-01-03"}}, "c"),
        ({"_dateOfBirth": {"from": "1985-01-01"}}, "a"),
        ({"age": {"isNull": True}}, "c"),
        ({"age": {"isNull": False}}, "ab"),
        ({"age": {"isNotNull": True}}, "ab"),
        ({"age": {"isNotNull": False}}, "c"),
        ({"age": {"eq": None}}, "abc"),
        ({"tags": {"eq": "y"}}, "a"),
        ({"tags": {"not": "y"}}, "bc"),
        ({"_templateId": {"eq": "t2"}}, "b"),
        ({"_caregiver": {"filter": {"name": {"like": "case"}}}}, "a"),
        ({"_caregiver": {"filter": {"name": {"like": "nobody"}}}}, ""),
        ({"_name.lastName": {"eq": "Low"}, "age": {"eq": 30}}, "a"),
        ({"_templateName": {"eq": "Trial"}}, "b"),
        ({"_templateName": {"in": ["Trial", "Other"]}}, "b"),
        ({"_id": {"in": ["a", "b"], "notIn": [], "filter": {}}}, "ab"),
        ({"_caregiver": {"filter": {}}}, "abc"),
        ({"_caregiver": {"filter": None}}, "abc"),
        ({"$OR": {"filter": {"_id": {"eq": "a"}, "age": {"gt": 40}}}}, "ab"),
        ({"$AND": {"filter": {"_name.lastName": {"eq": "Low"}, "age": {"isNull": True}}}}, "c"),
        ({"$NOT": {"filter": {"_name.lastName": {"eq": "Low"}}}}, "b"),
        ({"$NOT": {"filter": {"_name.lastName": {"eq": "Low"}, "age": {"eq": 30}}}}, "bc"),
        ({"$OR": {"filter": {"_id": {"eq": "b"}, "$AND": {"filter": {"age": {"eq": 30}}}}}}, "ab"),
        ({"$OR": {"filter": {}}}, "abc"),
        ({"$NOT": {"filter": {}}}, "abc"),
        ({"$AND": {}, "_id": {"eq": "a"}}, "a"),
        ({"nothing.of.the.kind": {"eq": 1}}, ""),
        ({}, "abc"),
    ],
)
def test_each_condition_finds_what_it_says(conditions: dict[str, Any], found: str) -> None:
    assert ids({"filter": conditions, "sort": [{"prop": "_id", "order": "ASC"}]}) == found


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        (None, "bca"),
        ([{"prop": "_creationTime"}], "bca"),
        ([{"prop": "_creationTime", "order": "ASC"}], "acb"),
        ([{"prop": "age", "order": "ASC"}], "abc"),
        ([{"prop": "age", "order": "DESC"}], "bac"),
        ([{"prop": "_name.lastName", "order": "ASC"}, {"prop": "_id", "order": "DESC"}], "bca"),
        ([{"prop": "_name.lastName", "order": "DESC"}, {"prop": "_id", "order": "ASC"}], "acb"),
        ([{"prop": "_dateOfBirth", "order": "ASC"}], "bac"),
    ],
)
def test_sorting_goes_by_every_prop_and_defaults_to_the_newest_first(sort: Any, found: str) -> None:
    assert ids({"sort": sort}) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("anna", "a"),
        ("LOW", "ac"),
        ("41.5", "b"),
        ("casey", "a"),
        ("1990-05-01", ""),
        ("", "abc"),
        ("zzz", ""),
        ("anna bert", "ab"),
        ("zzz CARA", "c"),
        ("  ", "abc"),
    ],
)
def test_free_text_is_looked_for_everywhere_but_in_dates(text: str, found: str) -> None:
    assert ids({"freeTextSearch": text, "sort": [{"prop": "_id", "order": "ASC"}]}) == found


def test_the_answer_says_how_many_there_are_and_repeats_the_request() -> None:
    request = {
        "filter": {"_name.lastName": {"eq": "Low"}},
        "sort": [{"prop": "_id", "order": "ASC"}],
        "freeTextSearch": "low",
        "limit": 1,
        "page": 1,
    }
    answer = search.search(PEOPLE, search.parse(json.dumps(request)))
    assert [found["_id"] for found in answer["data"]] == ["c"]
    assert answer["metadata"] == {
        "page": {"totalResults": 2, "page": 1, "limit": 1},
        "filter": request["filter"],
        "sort": request["sort"],
        "freeTextSearch": "low",
    }


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_no_request_is_a_request_for_everything_by_hundreds(text: str | None) -> None:
    assert search.search(PEOPLE, search.parse(text))["metadata"] == {
        "page": {"totalResults": 3, "page": 0, "limit": 100}
    }


@pytest.mark.parametrize(
    ("request_text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('{"filter": "x"}', "filter must be an object"),
        ('{"filter": {"age": 3}}', "must be an object such as"),
        ('{"filter": {"age": {"equals": 3}}}', "no condition [equals]"),
        ('{"filter": {"age": {"in": 3}}}', "[age.in] must be a list"),
        ('{"filter": {"age": {"like": 3}}}', "[age.like] must be a text"),
        ('{"filter": {"age": {"isNull": "yes"}}}', "[age.isNull] must be a boolean"),
        ('{"filter": {"_patient": {"filter": {"age": {"no": 1}}}}}', "no condition [no]"),
        ('{"filter": {"$OR": {"filter": {"age": {"no": 1}}}}}', "no condition [no]"),
        ('{"filter": {"$OR": {"filter": ["age"]}}}', "filter must be an object"),
        ('{"filter": {"$OR": [{"age": {"eq": 1}}]}}', "[$OR] must be"),
        ('{"filter": {"$NOT": {"age": {"eq": 1}}}}', "[$NOT] must be"),
        ('{"sort": {"prop": "_id"}}', "sort must be a list"),
        ('{"sort": [{"order": "ASC"}]}', "needs a prop"),
        ('{"sort": [{"prop": "_id", "order": "up"}]}', "ASC or DESC"),
        ('{"limit": 0}', "limit must be"),
        ('{"limit": true}', "limit must be"),
        ('{"limit": "5"}', "limit must be"),
        ('{"page": -1}', "page must be"),
        ('{"freeTextSearch": 5}', "freeTextSearch must be"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_with_the_reason(request_text: str, reason: str) -> None:
    with pytest.raises(BiotError) as refusal:
        search.parse(request_text)
    assert refusal.value.status == 400
    assert reason in refusal.value.message


@pytest.mark.parametrize(
    ("text", "page"),
    [(None, (100, 0)), ('{"limitPerPage": 7}', (7, 0)), ('{"limitPerPage": 7, "nextToken": "14"}', (7, 14))],
)
def test_token_paging_starts_where_the_token_says(text: str | None, page: tuple[int, int]) -> None:
    assert search.token_page(search.document_of(text)) == page


@pytest.mark.parametrize(
    "text", ['{"nextToken": "x"}', '{"nextToken": 7}', '{"nextToken": "-1"}', '{"limitPerPage": 0}']
)
def test_a_token_that_was_never_given_is_refused(text: str) -> None:
    with pytest.raises(BiotError):
        search.token_page(search.document_of(text))


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("2025-01-01")
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
entities = st.lists(st.fixed_dictionaries({"a": json_values, "b": json_values}), max_size=12)
sorts = st.lists(
    st.fixed_dictionaries({"prop": st.sampled_from(["a", "b", "a.x"]), "order": st.sampled_from(["ASC", "DESC"])}),
    max_size=3,
)


@relaxed
@given(entities, sorts)
def test_sorting_any_values_loses_and_adds_nothing(data: list[Any], sort: list[Any]) -> None:
    numbered = [entity | {"number": number} for number, entity in enumerate(data)]
    ordered = search.ordered(numbered, sort)
    assert sorted(entity["number"] for entity in ordered) == list(range(len(data)))
    assert search.ordered(ordered, sort) == ordered


@relaxed
@given(entities, st.integers(1, 5))
def test_the_pages_together_are_the_whole_answer(data: list[Any], limit: int) -> None:
    def page(number: int) -> Any:
        return search.search(data, search.SearchRequest(limit=limit, page=number))

    pages = [page(number)["data"] for number in range(len(data) // limit + 2)]
    assert [entity for part in pages for entity in part] == search.search(data, search.SearchRequest(limit=10**9))[
        "data"
    ]
    assert pages[-1] == []


@relaxed
@given(entities, json_values)
def test_a_condition_and_its_opposite_share_the_entities_between_them(data: list[Any], wanted: Any) -> None:
    def count(**conditions: Any) -> int:
        return sum(search.predicate({"a": conditions})(entity) for entity in data)

    assert count(isNull=True) + count(isNotNull=True) == len(data)
    assert count(**{"in": [wanted]}) + count(notIn=[wanted]) == len(data)
    if wanted is not None:  # a condition of null is no condition
        assert count(eq=wanted) + count(**{"not": wanted}) == len(data)


@relaxed
@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_read_or_refused_and_never_a_crash(text: str) -> None:
    with suppress(BiotError):
        assert len(search.search(PEOPLE, search.parse(text))["data"]) <= len(PEOPLE)
