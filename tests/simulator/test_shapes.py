"""What is wrong with a value, by a shape of the table of facts."""

from __future__ import annotations

from typing import Any

import pytest
from biot_sidecar.simulator import shapes

UUID = "11111111-1111-1111-1111-111111111111"
NAME = {"fields": {"first": "string", "last": "string"}, "must": ["first"]}


@pytest.mark.parametrize(
    ("shape", "right", "wrong", "kind"),
    [
        ("string", "x", 1, shapes.TYPE),
        ("integer", 1, True, shapes.TYPE),
        ("integer", -1, 1.5, shapes.TYPE),
        ("number", 1.5, "1.5", shapes.TYPE),
        ("boolean", True, 1, shapes.TYPE),
        ("any", [{}], None, None),
        ("uuid", UUID, "11111111", shapes.FORMAT),
        ("uuid", UUID.upper(), UUID.replace("-", ""), shapes.FORMAT),
        ("date", "2026-02-28", "2026-02-30", shapes.FORMAT),
        ("date", "2026-02-28", "2026-02-28T00:00:00Z", shapes.FORMAT),
        ("date-time", "2026-02-28T10:00:00Z", "2026-02-28", shapes.FORMAT),
        ("date-time", "2026-02-28T10:00:00.123456789Z", "noon", shapes.FORMAT),
        ("email", "a@b.example", "a.example", shapes.FORMAT),
        ("phone", "+15550100", "0155", shapes.FORMAT),
        ("locale", "en-us", "english", shapes.FORMAT),
        ("locale", "en_US", "e", shapes.FORMAT),
        ("timezone", "Europe/Berlin", "Mars/Olympus", shapes.FORMAT),
        ("timezone", "UTC", "+1:2:3", shapes.FORMAT),
        ({"is": "string", "enum": ["A", "B"]}, "A", "C", shapes.ENUM),
        ({"is": "string", "pattern": "[a-z]+"}, "abc", "ab1", shapes.PATTERN),
        ({"is": "string", "least": 2, "most": 3}, "ab", "a", shapes.LENGTH),
        ({"is": "string", "least": 2, "most": 3}, "abc", "abcd", shapes.LENGTH),
        ({"is": "integer", "least": 2, "most": 3}, 2, 1, shapes.LEAST),
        ({"is": "integer", "least": 2, "most": 3}, 3, 4, shapes.MOST),
        ({"list": "integer"}, [], {}, shapes.TYPE),
        ({"list": "integer", "least": 1}, [1], [], shapes.LEAST),
        ({"list": "string", "unique": True}, ["a", "b"], ["a", "a"], shapes.REPEATED),
        ({"map": "integer"}, {"a": 1, "b": None}, [], shapes.TYPE),
        (NAME, {"first": "a", "other": 1}, "a", shapes.TYPE),
        ("@Name", {"firstName": "a", "lastName": "b"}, {"firstName": "a"}, shapes.MISSING),
        ("@Name", {"firstName": "a", "lastName": "b"}, {"firstName": "a", "lastName": ""}, shapes.MISSING),
    ],
)
def test_a_value_has_its_shape_or_one_problem(shape: Any, right: Any, wrong: Any, kind: str | None) -> None:
    assert not list(shapes.problems(right, shape))
    assert [problem.kind for problem in shapes.problems(wrong, shape)] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"people": [{"first": "a"}, {"last": "b"}]}, ["[people[1].first]: missing"]),
        ({"people": [{"first": 1, "last": 2}]}, ["[people[0].first]: type", "[people[0].last]: type"]),
        ({"people": None, "ages": {"a": "x"}}, ["[ages.a]: type"]),
        ({"ages": {"a": None}}, []),
    ],
)
def test_every_problem_says_where_it_is(value: Any, found: list[str]) -> None:
    shape = {"fields": {"people": {"list": NAME}, "ages": {"map": "integer"}}, "must": []}
    assert [str(problem) for problem in shapes.problems(value, shape)] == found


@pytest.mark.parametrize("word", ["uuid", "date", "date-time"])
def test_an_empty_text_is_no_id_and_no_time(word: str) -> None:
    assert not list(shapes.problems({"a": ""}, {"fields": {"a": word}, "must": []}))
    assert [one.kind for one in shapes.problems({"a": ""}, {"fields": {"a": word}, "must": ["a"]})] == [shapes.MISSING]


def test_null_stands_for_a_field_that_is_not_there() -> None:
    assert not list(shapes.problems({"first": "a", "last": None}, NAME))
    assert [str(problem) for problem in shapes.problems({"first": None}, NAME)] == ["[first]: missing"]
