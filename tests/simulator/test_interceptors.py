"""Which interceptors run, and which registrations are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from biot_sidecar.simulator.interceptors import (
    ADAPT,
    DEFAULT_ORDER,
    POST,
    PRE,
    Interceptor,
    asked_for,
    chain,
    from_control,
    from_subscription,
    is_loopback,
)
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call


def nothing(call: Call) -> Answer:
    return Answer(204)


UPDATE = Operation("PATCH", "/organization/v1/users/patients/{id}", nothing, "patient", interceptable=True)
BY_TEMPLATE = Operation(
    "GET", "/generic-entity/v3/generic-entities/{templateName}", nothing, "note", interceptable=True
)
LOGIN = Operation("POST", "/ums/v2/services/accessToken", nothing, "", public=True)
OPERATIONS = [UPDATE, BY_TEMPLATE, LOGIN]


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (["1"], True),
        (["false"], True),
        (["0"], True),
        ([" x "], True),
        (["NULL"], True),
        ([], False),
        ([""], False),
        (["  "], False),
        (["null"], False),
        (["null", ""], False),
        (["null", "1"], True),
    ],
)
def test_any_value_but_null_and_an_empty_one_asks_for_interception(values: list[str], asked: bool) -> None:
    assert asked_for(values) is asked


def test_a_chain_holds_one_type_in_order_of_execution() -> None:
    late = Interceptor("late", PRE, api_id=UPDATE.api_id, order=20)
    early = Interceptor("early", PRE, api_id=UPDATE.api_id, order=10)
    others = [
        Interceptor("adapts", ADAPT, entity="patient"),
        Interceptor("another operation", PRE, api_id=BY_TEMPLATE.api_id),
    ]
    assert chain([late, *others, early], PRE, UPDATE, {}) == [early, late]
    assert chain([late, *others, early], ADAPT, UPDATE, {}) == others[:1]
    assert chain([late, *others, early], POST, UPDATE, {}) == []


def test_an_adapting_interceptor_runs_for_its_entity_type_only() -> None:
    entry = Interceptor("adapts", ADAPT, entity="patient")
    assert entry.runs_for(UPDATE, {})
    assert not entry.runs_for(BY_TEMPLATE, {})


def test_a_path_filter_fixes_a_path_variable() -> None:
    entry = Interceptor("memos", PRE, api_id=BY_TEMPLATE.api_id, path_filters={"templateName": "memo"})
    assert entry.runs_for(BY_TEMPLATE, {"templateName": "memo"})
    assert not entry.runs_for(BY_TEMPLATE, {"templateName": "other"})


def test_a_registration_without_order_gets_the_default_one() -> None:
    entry = from_control({"type": PRE, "apiId": UPDATE.api_id}, 0.0, OPERATIONS)
    assert (entry.name, entry.order, entry.sets, entry.url) == ("unnamed", DEFAULT_ORDER, {}, "")


def test_a_registration_shows_what_it_was_given() -> None:
    document = {"name": "n", "type": ADAPT, "entityName": "patient", "set": {"a": 1}, "order": 5}
    entry = from_control(document, 0.0, OPERATIONS)
    assert entry.shown() == {"id": entry.id, **document}
    called = {"name": "n", "type": PRE, "apiId": UPDATE.api_id, "url": "http://127.0.0.1:9000/", "order": 5}
    entry = from_control(called, 0.0, OPERATIONS)
    assert entry.shown() == {"id": entry.id, **called}


def test_a_subscription_is_shown_in_biots_shape() -> None:
    document = {
        "type": POST,
        "apiId": UPDATE.api_id,
        "entityName": "",
        "endpoint": "http://localhost:9/",
        "executionOrder": 7,
    }
    entry = from_subscription(document, 0.0, OPERATIONS)
    assert entry.subscription() == {
        "id": entry.id,
        **document,
        "pathFilters": {},
        "creationTime": "1970-01-01T00:00:00.000Z",
        "lastModifiedTime": "1970-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "is a JSON object"),
        ({"typ": PRE}, "unknown key [typ]"),
        ({"type": "BEFORE"}, "[type] must be one of"),
        ({}, "[type] must be one of"),
        ({"type": PRE}, "[apiId] must name an interceptable operation"),
        ({"type": PRE, "apiId": LOGIN.api_id}, "[apiId] must name an interceptable operation"),
        ({"type": PRE, "apiId": 5}, "[apiId] must be a text"),
        ({"type": ADAPT, "entityName": "unicorn"}, "[entityName] must name"),
        ({"type": ADAPT, "entityName": "patient", "set": []}, "[set] must be an object"),
        ({"type": ADAPT, "entityName": "patient", "order": "first"}, "whole number"),
        ({"type": ADAPT, "entityName": "patient", "order": True}, "whole number"),
        ({"type": ADAPT, "entityName": "patient", "pathFilters": ["x"]}, "[pathFilters] must be"),
        ({"type": ADAPT, "entityName": "patient", "url": "http://example.org/"}, "on loopback only"),
    ],
)
def test_a_registration_that_cannot_work_is_refused_with_the_reason(document: Any, reason: str) -> None:
    with pytest.raises(BiotError) as refused:
        from_control(document, 0.0, OPERATIONS)
    assert refused.value.status == 400
    assert reason in refused.value.message


def test_a_subscription_needs_an_endpoint_on_loopback() -> None:
    document: Any = {"type": PRE, "apiId": UPDATE.api_id}
    for endpoint in ({}, {"endpoint": "https://example.org/x"}):
        with pytest.raises(BiotError):
            from_subscription(document | endpoint, 0.0, OPERATIONS)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:9000/", True),
        ("http://127.8.9.1/x", True),
        ("https://localhost/x", True),
        ("http://[::1]:9000/", True),
        ("http://192.168.1.1/", False),
        ("http://localhost.example.org/", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://[::ffff:8.8.8.8]/", False),
        ("ftp://127.0.0.1/", False),
        ("127.0.0.1", False),
        ("http://[::1/", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_two_registrations_never_share_an_id() -> None:
    entry = from_control({"type": ADAPT, "entityName": "patient"}, 0.0, OPERATIONS)
    assert replace(entry, id="x") != entry
    assert from_control({"type": ADAPT, "entityName": "patient"}, 0.0, OPERATIONS).id != entry.id
