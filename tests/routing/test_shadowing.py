"""Coverage of patterns is exact: held against every request of a small world."""

from __future__ import annotations

import itertools

import pytest
from biot_sidecar.routing.pattern import Pattern, parse_pattern
from biot_sidecar.routing.shadowing import Coverage, intersection
from hypothesis import given
from hypothesis import strategies as st

# z and PATCH stand for everything that no pattern names; two segments more than the longest pattern for every length.
SEGMENTS = (b"a", b"b", b"z")
METHODS = ("GET", "PUT", "PATCH")
LONGEST = 3
WORLD = [
    (method, segments)
    for method in METHODS
    for length in range(LONGEST + 3)
    for segments in itertools.product(SEGMENTS, repeat=length)
]
PATTERNS = st.builds(
    Pattern,
    text=st.just(""),
    methods=st.one_of(st.none(), st.frozensets(st.sampled_from(["GET", "PUT"]), min_size=1)),
    segments=st.lists(st.one_of(st.none(), st.sampled_from([b"a", b"b"])), max_size=LONGEST).map(tuple),
    rest=st.booleans(),
)


def requests_of(*patterns):
    return {request for request in WORLD if any(pattern.covers(*request) for pattern in patterns)}


@given(st.lists(PATTERNS, max_size=8), PATTERNS)
def test_covered_means_that_no_request_is_left(earlier, pattern):
    covering = Coverage(enumerate(earlier)).covering(pattern)
    assert (covering is not None) == (requests_of(pattern) <= requests_of(*earlier))


@given(st.lists(PATTERNS, max_size=8), PATTERNS)
def test_the_patterns_named_cover_it_by_themselves(earlier, pattern):
    covering = Coverage(enumerate(earlier)).covering(pattern)
    if covering is not None:
        assert requests_of(pattern) <= requests_of(*(earlier[number] for number in covering))


@given(st.lists(PATTERNS, max_size=8), PATTERNS, st.integers(0, 8))
def test_before_looks_only_at_the_patterns_before(earlier, pattern, before):
    covering = Coverage(enumerate(earlier)).covering(pattern, before=before)
    assert (covering is not None) == (requests_of(pattern) <= requests_of(*earlier[:before]))


@given(st.lists(PATTERNS, max_size=8), PATTERNS)
def test_overlapping_names_all_that_share_a_request(earlier, pattern):
    shared = [number for number, one in enumerate(earlier) if requests_of(one) & requests_of(pattern)]
    assert Coverage(enumerate(earlier)).overlapping(pattern) == shared


@given(PATTERNS, PATTERNS)
def test_the_intersection_matches_what_both_match(one, other):
    both = intersection(one, other)
    assert requests_of(*([] if both is None else [both])) == requests_of(one) & requests_of(other)


@pytest.mark.parametrize(
    ("earlier", "pattern", "covering"),
    [
        (["GET /a", "GET /a/{x}/**"], "GET /a/**", {0, 1}),
        (["GET /a", "GET /a/{x}", "GET /a/{x}/{y}/**"], "GET /a/**", {0, 1, 2}),
        (["GET /a", "GET /a/{x}/{y}/**"], "GET /a/**", None),
        (["GET /a", "PUT /a"], "GET|PUT /a", {0, 1}),
        (["GET|PUT|POST|PATCH|DELETE|HEAD|OPTIONS /a"], "* /a", None),
        (["GET /a/b", "GET /a/c"], "GET /a/{x}", None),
        (["* /**"], "GET /a", {0}),
        (["GET /a/{x}"], "GET /{x}/b", None),
        (["GET /a%20b"], "GET /a%20b/", {0}),
        ([], "GET /", None),
    ],
)
def test_a_union_of_patterns_can_cover_one(earlier, pattern, covering):
    found = Coverage(enumerate(map(parse_pattern, earlier))).covering(parse_pattern(pattern))
    assert found == (None if covering is None else frozenset(covering))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("GET|PUT /a/{x}", "PUT|POST /{y}/b", "PUT /a/b"),
        ("* /a/**", "* /{x}/b/**", "* /a/b/**"),
        ("* /a/**", "GET /a", "GET /a"),
        ("GET /a%2Fb/{x}", "GET /{y}/**", "GET /a%2Fb/{x}"),
        ("GET /a", "PUT /a", None),
        ("GET /a/**", "GET /b/**", None),
        ("GET /a", "GET /a/b", None),
    ],
)
def test_the_intersection_reads_like_a_match(one, other, both):
    found = intersection(parse_pattern(one), parse_pattern(other))
    assert (None if found is None else found.text) == both
    assert found is None or parse_pattern(found.text).segments == found.segments
