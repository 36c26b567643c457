"""What `learn` prints allows what was seen, with --deny nothing else, and names no id."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from biot_sidecar.cli.learn import render
from biot_sidecar.routing.biot_operations import find_operation, operations
from biot_sidecar.routing.file import load
from biot_sidecar.routing.learn import Call, learn
from biot_sidecar.routing.path_normalization import segments_of
from biot_sidecar.routing.table import RouteTable
from hypothesis import event, given, settings
from hypothesis import strategies as st

ID = "idcanary7"
# Operations of which some match what are others: /devices/{id}/alerts/{id} beside /devices/current/alerts, ...
CROWDED = [one for one in operations() if one.service in {"device", "ums", "organization"}]
OPERATIONS = st.sampled_from(CROWDED)
STRANGE = st.sampled_from([("GET", f"/ums/{ID}/x/y/z"), ("PUT", f"/odd/{ID}"), ("QUERY", "/device/v2/devices")])
MATCHES = st.one_of(
    OPERATIONS.map(lambda one: f"{one.method} {one.path}"),
    OPERATIONS.map(lambda one: f"* {one.path.rpartition('/')[0]}/**"),
    OPERATIONS.map(lambda one: f"{one.method} /{one.path.split('/')[1]}/**"),
    st.sampled_from(["* /**", "GET|PUT /odd/{x}", "GET|HEAD /ums/**", "* /device/v1/devices/{a}/{b}"]),
)
EFFECTS = st.sampled_from([{}, {"interception": "on"}, {"timeout": "5m"}, {"authorization": "keep"}, {"deny": "no"},
                           {"observe": "why"}, {"retry": "none"}])  # fmt: skip
ROUTES = st.lists(st.tuples(st.lists(MATCHES, min_size=1, max_size=2), EFFECTS), max_size=4)
DEFAULTS = st.sampled_from([{}, {"unmatched": "deny"}, {"interception": "client", "unmatched": "observe"}])
CALLS = st.lists(
    st.one_of(
        OPERATIONS.map(lambda one: (one.method, concrete(one.path))),
        OPERATIONS.filter(lambda one: one.method == "GET").map(lambda one: ("HEAD", concrete(one.path))),
        STRANGE,
    ),
    min_size=1,
    max_size=6,
)


def concrete(path: str) -> str:
    return "/".join(ID if segment.startswith("{") else segment for segment in path.split("/"))


def verdict(table: RouteTable, method: str, path: str):
    return table.verdict(method.encode(), path.encode())


def table_of(routes, defaults) -> RouteTable | None:
    written = [{"name": f"route {n}", "match": list(match), **effect} for n, (match, effect) in enumerate(routes)]
    return load(json.dumps({"version": 1, "defaults": defaults, "routes": written}).encode(), "f").table


def logged(table: RouteTable, calls) -> Counter[Call]:
    """The calls as the access log tells of them."""
    told = [(method, verdict(table, method, path)) for method, path in calls]
    return Counter(Call(method, one.template, one.route.name, 200) for method, one in told)


def settings_of(route):
    return route.interception, route.authorization, route.timeout, route.retry


@settings(max_examples=100, deadline=None)
@given(ROUTES, DEFAULTS, CALLS, st.booleans())
def test_it_allows_what_was_seen_and_with_deny_nothing_else(routes, defaults, calls, deny):
    table = table_of(routes, defaults)
    if table is None:
        return event("a route that can never match")
    text = render(table, learn(table, logged(table, calls), deny=deny), len(calls), deny=deny)
    assert ID not in text
    loaded = load(text.encode(), "learned")
    assert loaded.table is not None, [str(one) for one in loaded.errors] + [text]
    seen = set()
    for method, path in calls:
        before, after = verdict(table, method, path), verdict(loaded.table, method, path)
        named = before.operation is not None or any(before.template in one for one in before.route.patterns)
        if before.operation is not None:
            seen.add((before.operation.method, before.operation.path))
        if before.deny is not None and before.route.deny is not None and before.route is not table.unmatched:
            assert after.deny == before.deny, text
        elif named and before.template:
            event("named")
            assert after.deny is None, (method, path, text)
            assert settings_of(after.route) == settings_of(before.route), (method, path, text)
            assert after.observed is None or after.observed.name in {one.name for one in table.routes}, text
    for one in CROWDED:
        path = concrete(one.path)
        if (one.method, one.path) not in seen and find_operation(one.method, segments_of(path.encode())) == one:
            after = verdict(loaded.table, one.method, path)
            assert (after.deny is not None) if deny else (after.deny is not None or after.observed is not None), (
                one,
                text,
            )
    return None


def learned(*calls: Call, routes=(), deny: bool = True) -> str:
    table = table_of(routes, {})
    assert table is not None
    return render(table, learn(table, Counter(calls), deny=deny), len(calls), deny=deny)


def test_an_operation_that_a_wider_one_matches_is_not_let_in_with_it():
    wide = Call("GET", "/device/v1/devices/{deviceId}/alerts/{id}", "unmatched", 200)
    services = Call("GET", "/ums/v2/services/{id}", "unmatched", 200)
    text = learned(wide, services)
    table = load(text.encode(), "f").table
    assert table is not None
    assert verdict(table, "GET", "/ums/v2/services/5").deny is None
    assert verdict(table, "GET", "/ums/v2/services/self").deny == "not seen in the log"


def test_permissions_and_refusals_are_told():
    text = learned(Call("GET", "/device/v2/devices", "x", 403), Call("POST", "/ums/v2/services/accessToken", "x", 200))
    assert "#   PROTECTED_API: GET /device/v2/devices\n" in text
    assert "#   GET /device/v2/devices (1x)\n" in text
    assert text.count("PROTECTED_API") == 1  # a login needs none


def test_what_nothing_names_is_counted_and_not_shown():
    text = learned(Call("GET", f"/x/{ID}", "unmatched", 200), Call("_OTHER", "", "unmatched", 0))
    assert "# 2 more had a path that neither" in text
    assert ID not in text


@pytest.mark.parametrize("name", ["seen", "not seen in the log", 'it\'s: "odd" # \N{EM DASH}'])
def test_names_are_kept_and_made_only_where_they_are_free(name):
    table = load(
        json.dumps({"version": 1, "routes": [{"name": name, "match": "GET /ums/v2/users/{id}"}]}).encode(), "f"
    ).table
    assert table is not None
    calls = Counter(
        [Call("GET", "/ums/v2/users/{id}", name, 200), Call("GET", "/ums/v2/services/{id}", "unmatched", 200)]
    )
    text = render(table, learn(table, calls, deny=True), 2, deny=True)
    again = load(text.encode(), "g")
    assert again.table is not None, again.problems
    assert name in {one.name for one in again.table.routes}
