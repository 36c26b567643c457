"""What BioT's lists of interceptions mean for the routes."""

from __future__ import annotations

import json

import pytest
from biot_sidecar.routing.interceptor_report import (
    BadAnswer,
    Interceptable,
    Interceptor,
    read_interceptable,
    read_interceptors,
    read_page,
    report,
    search_path,
)
from biot_sidecar.routing.pattern import parse_pattern
from biot_sidecar.routing.route import Interception, Route
from biot_sidecar.routing.table import RouteTable
from hypothesis import given
from hypothesis import strategies as st

ON = Interception.ON
PATIENT = "PATCH/organization/v1/users/patients/{id}"
USERS = "GET/organization/v1/users/{kind}"


def operation(api_id: str, entity: str = "patient") -> Interceptable:
    return read_interceptable([{"apiId": api_id, "entityTypeName": entity, "servicePrefix": "organization"}])[0]


def route(name: str, *patterns: str, interception: Interception = ON, deny: str | None = None) -> Route:
    return Route(name=name, source="r.yaml:3", patterns=patterns, interception=interception, deny=deny)


def lines(routes, operations, interceptors, unmatched=Interception.OFF):
    table = RouteTable(routes, route("unmatched", interception=unmatched))
    return list(report(table, operations, interceptors))


BEFORE = Interceptor("PRE_REQUEST", PATIENT, "", "a.example")
ADAPT = Interceptor("ADAPT_ENTITY", "", "patient", "b.example")


def test_a_route_is_told_who_listens():
    assert lines([route("a", "* /organization/**")], [operation(PATIENT)], [BEFORE, ADAPT]) == [
        "r.yaml:3: 'a' runs, for PATCH /organization/v1/users/patients/{id}: PRE_REQUEST at a.example, "
        "ADAPT_ENTITY at b.example"
    ]


def test_an_entity_counts_for_every_operation_about_it():
    found = lines([route("a", "* /**")], [operation(PATIENT), operation(USERS)], [ADAPT])
    assert [line.split(": ")[1] for line in found] == [
        "'a' runs, for PATCH /organization/v1/users/patients/{id}",
        "'a' runs, for GET /organization/v1/users/{kind}",
    ]


def test_a_route_without_any_interceptable_operation_is_a_warning():
    assert lines([route("a", "* /ums/**")], [operation(PATIENT)], [BEFORE]) == [
        "r.yaml:3:1: warning: 'a' can never run an interceptor: BioT intercepts nothing that it matches"
    ]


def test_a_route_that_nobody_listens_to_says_so():
    assert lines([route("a", "PATCH /organization/v1/users/patients/{x}")], [operation(PATIENT)], []) == [
        "r.yaml:3: 'a' runs no interceptor now: nobody listens to the operation it matches"
    ]
    found = lines([route("a", "* /**")], [operation(PATIENT), operation(USERS)], [])
    assert found[0].endswith("nobody listens to any of the 2 operations it matches")


def test_only_what_no_earlier_route_takes_counts():
    taken = route("off", "PATCH /organization/**", interception=Interception.OFF)
    assert lines([taken, route("a", "* /**")], [operation(PATIENT)], [BEFORE]) == [
        "r.yaml:3:1: warning: 'a' can never run an interceptor: BioT intercepts nothing that it matches"
    ]


def test_an_earlier_route_that_takes_a_part_leaves_the_rest():
    part = route("off", "PATCH /organization/v1/users/patients/self", interception=Interception.OFF)
    assert "'a' runs, for PATCH" in lines([part, route("a", "* /**")], [operation(PATIENT)], [BEFORE])[0]


def test_denied_routes_and_those_without_interception_say_nothing():
    routes = [route("a", "GET /**", deny="no"), route("b", "PUT /**", interception=Interception.OFF)]
    assert lines(routes, [operation(PATIENT)], [BEFORE]) == []


def test_the_defaults_count_for_what_no_route_matches():
    found = lines([], [operation(PATIENT)], [BEFORE], unmatched=Interception.CLIENT)
    assert found == [
        "r.yaml:3: 'unmatched' runs, for PATCH /organization/v1/users/patients/{id}: PRE_REQUEST at a.example"
    ]


def test_long_lists_end():
    operations = [operation(f"GET/organization/v1/things{number}") for number in range(30)]
    found = lines([route("a", "* /**")], operations, [ADAPT])
    assert len(found) == 21
    assert found[-1] == "r.yaml:3: 'a' runs interceptors for 10 operations more"


# ---- BioT's answers


def test_a_search_asks_for_a_page():
    assert search_path("/x", 3) == "/x?searchRequest=%7B%22limit%22%3A%20100%2C%20%22page%22%3A%203%7D"


@pytest.mark.parametrize(("page", "total", "more"), [(0, 100, False), (0, 101, True), (1, 200, False), (1, 201, True)])
def test_a_page_tells_whether_more_follow(page, total, more):
    answer = {"data": [{"a": 1}], "metadata": {"page": {"totalResults": total, "page": page, "limit": 100}}}
    assert read_page(json.dumps(answer).encode()) == ([{"a": 1}], more)


def test_an_empty_page_is_the_last_whatever_it_says():
    assert read_page(b'{"data": [], "metadata": {"page": {"totalResults": 9, "page": 0, "limit": 1}}}') == ([], False)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data": 1}', b'{"data": [], "metadata": null}', b"[" * 9999]
)
def test_what_is_no_search_result_is_refused(body):
    with pytest.raises(BadAnswer):
        read_page(body)


@given(st.binary(max_size=50))
def test_no_answer_is_a_crash(body):
    with pytest.raises(BadAnswer):
        read_page(body)


def test_interceptable_operations_are_patterns():
    assert operation(PATIENT).pattern == parse_pattern("PATCH /organization/v1/users/patients/{id}")
    assert read_interceptable([{}, {"apiId": "nonsense"}, {"apiId": None}]) == []


def test_of_an_interceptors_address_only_the_host_shows():
    item = {"type": "PRE_REQUEST", "apiId": PATIENT, "entityName": None, "endpoint": "https://u:p@a.example/x?key=1"}
    assert read_interceptors([item, {}, {"endpoint": "http://["}]) == [
        BEFORE,
        Interceptor("", "", "", ""),
        Interceptor("", "", "", ""),
    ]
