"""Faults: which requests they meet, how often, and which files are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from biot_sidecar.simulator.faults import KINDS, LOGIN, BadFaults, Fault, FaultBook, from_document, read
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.helpers import relaxed

EXAMPLE = """\
faults:
  - match: GET /organization/v1/users/patients/**
    fault: status
    status: 503
    retry_after: 2
    after: 1
    count: 3
  - {fault: service_locked, count: 1}
  - {match: "* /device/**", fault: slow, delay: 1.5s}
"""


def test_a_file_is_read_with_every_key() -> None:
    patients = "GET /organization/v1/users/patients/**"
    assert read(EXAMPLE) == (
        Fault(patients, "status", count=3, after=1, status=503, retry_after=2),
        Fault(LOGIN, "service_locked", count=1),
        Fault("* /device/**", "slow", delay=1.5),
    )


def test_json_is_read_as_well() -> None:
    assert read(json.dumps({"faults": [{"match": "* /**", "fault": "reset"}]})) == (Fault("* /**", "reset"),)


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_can_be_asked_for(kind: str) -> None:
    rule = {"match": "* /**", "fault": kind} | ({"status": 503} if kind == "status" else {})
    (fault,) = from_document({"faults": [rule]})
    assert fault.kind == kind


@pytest.mark.parametrize(("delay", "length"), [("250ms", 0.25), (3, 3.0), (0.5, 0.5), (None, 2.0)])
def test_a_delay_is_a_duration_or_seconds_and_two_without_one(delay: Any, length: float) -> None:
    rule = {"match": "* /**", "fault": "slow"} | ({} if delay is None else {"delay": delay})
    assert from_document({"faults": [rule]})[0].delay == length


@pytest.mark.parametrize(
    ("match", "request_line", "meets"),
    [
        ("GET /a/b", "GET /a/b", True),
        ("GET /a/b", "GET /a/b/", True),
        ("GET /a/b", "GET //a//b", True),
        ("GET /a/b", "POST /a/b", False),
        ("GET /a/b", "GET /a/b/c", False),
        ("GET|PUT /a/b", "PUT /a/b", True),
        ("* /a/b", "DELETE /a/b", True),
        ("* /a/{id}", "GET /a/7", True),
        ("* /a/{id}", "GET /a/", False),
        ("* /a/{id}/c", "GET /a/7/c", True),
        ("* /a/*/c", "GET /a/7/c", True),
        ("* /a/**", "GET /a", True),
        ("* /a/**", "GET /a/b/c", True),
        ("* /a/**", "GET /ab", False),
        ("* /**", "GET /", True),
        ("* /**", "GET /x/y", True),
        ("* /a.b", "GET /axb", False),
        ("* /a%20b", "GET /%61%20b", True),
    ],
)
def test_a_fault_meets_the_requests_its_match_describes(match: str, request_line: str, meets: bool) -> None:
    method, path = request_line.split(" ")
    assert Fault(match, "reset").matches(method, path) is meets


def hits(book: FaultBook, times: int, path: str = "/a") -> list[str]:
    """The kinds that so many requests in a row meet, `-` for none."""
    return [fault.kind if (fault := book.take("GET", path)) else "-" for _ in range(times)]


def test_a_fault_without_count_meets_every_time() -> None:
    assert hits(FaultBook((Fault("* /a", "reset"),)), 3) == ["reset"] * 3


def test_a_count_is_used_up_after_letting_the_first_ones_pass() -> None:
    book = FaultBook((Fault("* /a", "reset", count=2, after=1),))
    assert hits(book, 5) == ["-", "reset", "reset", "-", "-"]
    assert book.state() == [{"match": "* /a", "fault": "reset", "hits": 2, "left": 0, "passing": 0}]


def test_the_next_rule_takes_over_when_the_first_is_used_up() -> None:
    book = FaultBook((Fault("* /a", "reset", count=1), Fault("* /**", "bad_json", count=1)))
    assert hits(book, 3) == ["reset", "bad_json", "-"]


def test_other_requests_use_nothing_up() -> None:
    book = FaultBook((Fault("* /a", "reset", count=1),))
    assert hits(book, 2, "/b") == ["-", "-"]
    assert hits(book, 1) == ["reset"]


def test_new_faults_replace_the_old_ones_and_their_counts() -> None:
    book = FaultBook((Fault("* /a", "reset", count=1),))
    hits(book, 1)
    book.replace((Fault("* /a", "bad_json"),))
    assert book.state() == [{"match": "* /a", "fault": "bad_json", "hits": 0, "left": None, "passing": 0}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faults: [", "line 1: this is not YAML"),
        ("a: b\nfaults: {x: ]", "line 2: this is not YAML"),
        ("\x00", "this is not YAML"),
        ("[" * 5000, "this is nested too deep"),
        ("", "there must be a list named `faults`"),
        ("faults: {}", "there must be a list named `faults`"),
        ("- x", "there must be a list named `faults`"),
        ("faults: []\nfault: []", "unknown key `fault`; there is only `faults`"),
        (
            "faults: [{match: 'GET /a/**/b', fault: reset}]",
            "** stands for any number of segments, alone and at the end",
        ),
        ("faults: [{match: 'GET /a**', fault: reset}]", "** stands for any number of segments, alone and at"),
        ("faults: [{match: '* /a', fault: slow, delay: .inf}]", "fault 1: 'inf' is no duration"),
        ("faults: [{match: '* /a', fault: slow, delay: .nan}]", "fault 1: 'nan' is no duration"),
        ("faults: [5]", "fault 1: it must be a mapping"),
        ("faults: [{match: '* /**', fault: reste}]", "fault 1: unknown fault `reste`, did you mean `reset`?"),
        ("faults: [{match: '* /**'}]", "fault 1: unknown fault `None`; there are token_not_valid"),
        ("faults: [{fault: service_locked}, {mtach: x}]", "fault 2: unknown key `mtach`, did you mean `match`?"),
        ("faults: [{5: x}]", "fault 1: unknown key `5`"),
        ("faults: [{fault: reset}]", "fault 1: `match` must be like"),
        ("faults: [{match: GET, fault: reset}]", "fault 1: `match` must be like"),
        ("faults: [{match: get /a, fault: reset}]", "fault 1: `match` must be like"),
        ("faults: [{match: '* /a', fault: reset, count: 0}]", "`count` must be a whole number of at least 1"),
        ("faults: [{match: '* /a', fault: reset, after: -1}]", "`after` must be a whole number of at least 0"),
        ("faults: [{match: '* /a', fault: reset, count: yes}]", "`count` must be a whole number"),
        ("faults: [{match: '* /a', fault: status}]", "needs a `status` from 400 to 599"),
        ("faults: [{match: '* /a', fault: status, status: 200}]", "needs a `status` from 400 to 599"),
        ("faults: [{match: '* /a', fault: reset, delay: 1s}]", "`delay` belongs to the fault `slow`"),
        ("faults: [{match: '* /a', fault: slow, status: 503}]", "`status` belongs to the fault `status`"),
        ("faults: [{match: '* /a', fault: slow, delay: soon}]", "fault 1: 'soon' is no duration"),
        ("faults: [{match: '* /a', fault: slow, delay: -1}]", "fault 1: '-1' is no duration"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what(text: str, message: str) -> None:
    with pytest.raises(BadFaults) as problem:
        read(text)
    assert message in str(problem.value)


@relaxed
@given(st.text())
def test_any_text_is_read_or_refused_readably(text: str) -> None:
    with suppress(BadFaults):
        assert isinstance(read(text), tuple)
