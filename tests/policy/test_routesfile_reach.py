"""What is called unreachable is so, and nothing else: the judgement against the table that requests meet."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.match import RouteTable
from proxy.policy.routesfile import load
from proxy.policy.rules import Rule

# z and PATCH stand for everything that no route names.
WORLD = [
    (method, b"/" + b"/".join(segments))
    for method in (b"GET", b"PUT", b"PATCH")
    for length in range(5)
    for segments in itertools.product((b"a", b"b", b"z"), repeat=length)
]
PATHS = st.builds(
    lambda segments, rest: "/" + "/".join([*segments, *rest]),
    st.lists(st.sampled_from(["a", "b", "{x}", "{y}"]), max_size=2),
    st.sampled_from([[], ["**"]]),
)
MATCHES = st.builds(lambda methods, path: f"{methods} {path}", st.sampled_from(["*", "GET", "PUT", "GET|PUT"]), PATHS)
ROUTES = st.lists(st.lists(MATCHES, min_size=1, max_size=3), min_size=1, max_size=6)


def unreached(routes: list[list[str]]) -> set[str]:
    """The routes that decide about no request of the world."""
    rules = [Rule(name=str(number), source="", patterns=tuple(one)) for number, one in enumerate(routes)]
    table = RouteTable(rules, Rule(name="unmatched", source=""))
    return {rule.name for rule in rules} - {table.verdict(method, path).rule.name for method, path in WORLD}


def reported(routes: list[list[str]]) -> set[str]:
    """The routes of which the reader says that they can never match."""
    listed = [{"name": str(number), "match": one} for number, one in enumerate(routes)]
    problems = load(json.dumps({"version": 1, "routes": listed}).encode(), "f").errors
    assert all("can never match" in problem.message for problem in problems)
    return {problem.message.split("'")[1] for problem in problems}


@given(ROUTES)
def test_a_route_is_reported_if_no_request_reaches_it(routes):
    assert reported(routes) == unreached(routes)


@given(ROUTES)
def test_without_the_reported_routes_every_request_meets_the_same_rule(routes):
    gone = reported(routes)
    left = [one for number, one in enumerate(routes) if str(number) not in gone]
    assert reported(left) == set()
