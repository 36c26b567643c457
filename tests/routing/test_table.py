"""Which route a request falls under, and what no spelling gets around."""

from __future__ import annotations

import pytest
from biot_sidecar.routing.path_normalization import BadPath, is_canonical, path_variants, segments_of
from biot_sidecar.routing.pattern import Pattern
from biot_sidecar.routing.pattern_tree import PatternTree, fold_all
from biot_sidecar.routing.route import Route
from biot_sidecar.routing.table import DENIED_UNMATCHED, RouteTable
from hypothesis import given
from hypothesis import strategies as st

UNMATCHED = Route(name="unmatched", source="f:1")


def table(*patterns: str, deny_unmatched: bool = False, **denied: str) -> RouteTable:
    """Routes named by their pattern; `denied` are patterns of routes that deny."""
    routes = [Route(name=text, source="f:1", patterns=(text,)) for text in patterns]
    routes += [Route(name=text, source="f:1", patterns=(text,), deny="no") for text in denied.values()]
    return RouteTable(routes, UNMATCHED, deny_unmatched=deny_unmatched)


@pytest.mark.parametrize(
    ("target", "route"),
    [
        (b"/a/b", "GET /a/b"),
        (b"/a/b/", "GET /a/b"),
        (b"//a///b", "GET /a/b"),
        (b"/a/b?x=/a/c", "GET /a/b"),
        (b"/a/%62", "GET /a/b"),
        (b"/a/c", "GET /a/{x}"),
        (b"/a/x%2Fy", "GET /a/{x}"),
        (b"/a/", "unmatched"),
        (b"/A/b", "unmatched"),
        (b"/f", "* /f/**"),
        (b"/f/1/2/3", "* /f/**"),
        (b"/a/b;v=1", "GET /a/{x}"),
        (b"/a/b/c", "unmatched"),
        (b"*", "unmatched"),
    ],
)
def test_the_first_rule_from_the_top_wins(target, route):
    assert table("GET /a/b", "GET /a/{x}", "* /f/**").verdict(b"GET", target).route.name == route


def test_an_earlier_general_rule_wins_over_a_later_special_one():
    assert table("* /**", "GET /a").verdict(b"GET", b"/a").route.name == "* /**"


@pytest.mark.parametrize(
    ("denied", "path"),
    [
        ("* /Admin/**", b"/admin/x"),
        ("* /a/%41", b"/a/a"),
        ("* /a/\u212a", b"/a/k"),  # a Kelvin sign
        ("* /a/\u017f", b"/a/s"),  # a long s
        ("* /a/{x}/B", b"/a/1/b"),
    ],
)
def test_a_pattern_that_denies_with_capitals_denies_a_path_without(denied, path):
    assert table("* /**", denied=denied).verdict(b"GET", path).deny is None
    assert table("GET /other", denied=denied).verdict(b"GET", path).deny == "no"


def test_methods_count():
    one = table("PUT|PATCH /a", "GET /a")
    assert one.verdict(b"PATCH", b"/a").route.name == "PUT|PATCH /a"
    assert one.verdict(b"GET", b"/a").route.name == "GET /a"
    assert one.verdict(b"get", b"/a").route.name == "unmatched"


@pytest.mark.parametrize(
    "path",
    [
        b"/a/../b",
        b"/a/%2e%2E/b",
        b"/a/.",
        b"/a/.%2e",
        b"/a\\b",
        b"/a%5cb",
        b"/a%00",
        b"/a%0a",
        b"/a%7f",
        b"/a%",
        b"/a%g1",
        b"/a/..;x/b",
        b"/a/x%2f..%2fy",
    ],
)
def test_a_path_that_servers_read_differently_is_refused(path):
    verdict = table("* /**").verdict(b"GET", path)
    assert verdict.path_refused is not None
    assert verdict.template == ""


@pytest.mark.parametrize("path", [b"/a/...", b"/a/.b", b"/a/b..", b"/a/%252e%252e/b", b"/\xff", b"/a/%C3%A9", b"/a;b"])
def test_an_odd_but_honest_path_is_not_refused(path):
    assert table().verdict(b"GET", path).path_refused is None


@pytest.mark.parametrize(
    "path",
    [
        b"/secret/keys",
        b"//secret//keys/",
        b"/SECRET/Keys",
        b"/secret%2Fkeys",
        b"/secret%252Fkeys",
        b"/s%65cret/keys",
        b"/s%2565cret/keys",
        b"/secret;x=1/keys;y",
        b"/secret%3Bx/keys",
        b"/x/%252e%252e/secret/keys",
        b"/secret%255Ckeys",
        b"/secret/keys?harmless",
        b"/%53ECRET%2fkeys",
    ],
)
def test_no_spelling_gets_around_a_denial(path):
    denying = table(key="DELETE /secret/keys")
    assert denying.verdict(b"DELETE", path).deny == "no"
    assert denying.verdict(b"DELETE", path).route.name == "DELETE /secret/keys"
    assert denying.verdict(b"GET", path).deny is None


@pytest.mark.parametrize(
    "path",
    [
        b"/serv%C4%B1ces/keys",
        b"/SERV%C4%B0CES/keys",
        b"/serv\xc4\xb1ces/keys",
        b"/serv%25C4%25B1ces/keys",
        b"/%C5%BFervices/KEYS",
        b"/services%20/keys",
        b"/%20services/keys%20",
        b"/services%2509/%250akeys",
        b"/services/keys%C2%A0",
        b"/services/keys\xe2\x80\x83",
        b"/serv%C4%B1ces%20;a=1/%2520Keys%20",
        b"/x%2F%20serv%C4%B1ces%20%2F%20keys%20;b/services;/keys",
        b"/services/%20/keys",
        b"/services/x/%20..%20/keys",
        b"/%2520%252Fservices%2520%252Fkeys%2509%253Bx",
    ],
)
def test_neither_turkish_letters_nor_blanks_get_around_a_denial(path):
    denying = table(key="DELETE /services/keys", deeper="DELETE /x/services/keys/services/keys")
    assert denying.verdict(b"DELETE", path).deny is not None


def test_a_method_in_small_letters_is_no_way_around_a_denial():
    assert table(key="DELETE /a").verdict(b"delete", b"/a").deny == "no"


@pytest.mark.parametrize(
    ("path", "deny"),
    [
        (b"/ums/v2/Access", None),
        (b"/ums/v2/access", DENIED_UNMATCHED),
        (b"/ums/v2/Access%2Fmore", DENIED_UNMATCHED),
        (b"/else", DENIED_UNMATCHED),
        (b"*", DENIED_UNMATCHED),
    ],
)
def test_unmatched_deny_lets_only_matches_through(path, deny):
    assert table("GET /ums/v2/Access", deny_unmatched=True).verdict(b"GET", path).deny == deny


def test_the_template_is_never_the_path():
    routes = table("GET /private/{name}")
    assert (
        routes.verdict(b"GET", b"/organization/v1/users/patients/42").template == "/organization/v1/users/patients/{id}"
    )
    assert routes.verdict(b"GET", b"/private/jane").template == "/private/{name}"
    assert routes.verdict(b"GET", b"/ums/v9/jane").template == "/ums/**"
    assert routes.verdict(b"GET", b"/jane").template == ""


def test_a_known_operation_is_the_most_literal_one():
    operation = table().verdict(b"GET", b"/organization/v1/users/caregivers/self").operation
    assert operation is not None
    assert operation.path == "/organization/v1/users/caregivers/self"


def test_why_names_what_differs():
    routes = table("PUT /a", "GET /b", "GET /a/{x}/c", "GET /a")
    assert routes.why(b"GET", b"/a?secret") == [
        "PUT /a: PUT /a: the method is not PUT",
        "GET /b: GET /b: segment 1 is not `b`",
        "GET /a/{x}/c: GET /a/{x}/c: the path has 1 segments, not 3",
    ]


def test_verdicts_do_not_pile_up():
    routes = table("GET /a/{x}")
    for number in range(10_000):
        assert routes.verdict(b"GET", b"/a/%d" % number).route.name == "GET /a/{x}"
    assert len(routes._cache) <= 4096


def test_neither_a_long_path_nor_a_long_method_is_remembered():
    routes = table("* /a/{x}")
    for method, path in ((b"GET", b"/a/" + b"x" * 512), (b"X" * 512, b"/a/x")):
        assert routes.verdict(method, path).route.name == "* /a/{x}"
    assert not routes._cache


def test_no_token_in_a_path_is_remembered():
    routes = table("GET /a")
    assert routes.verdict(b"POST", b"/ums/v1/tokens/canary").template == "/ums/v1/tokens/{token}"
    assert not routes._cache


WORDS = st.sampled_from([b"a", b"b", b"c"])
PATTERNS = st.builds(
    Pattern,
    text=st.just(""),
    methods=st.one_of(st.none(), st.frozensets(st.sampled_from(["GET", "PUT"]), min_size=1)),
    segments=st.lists(st.one_of(st.none(), WORDS), max_size=4).map(tuple),
    rest=st.booleans(),
)


@given(st.lists(PATTERNS, max_size=12), st.sampled_from(["GET", "PUT", "POST"]), st.lists(WORDS, max_size=5).map(tuple))
def test_the_trie_agrees_with_trying_one_by_one(patterns, method, segments):
    naive = next((number for number, one in enumerate(patterns) if one.covers(method, segments)), None)
    assert PatternTree(enumerate(patterns)).find(method, segments) == naive


def test_a_tree_is_taken_apart_in_as_many_steps_as_it_has_nodes():
    patterns = [Pattern("", None, segments, False) for segments in ((), (b"a",), (b"a", b"b"), (None,))]
    steps: list[int] = []
    parts = PatternTree(enumerate(patterns)).parts(lambda: steps.append(1))
    assert len(parts) == len(steps) == 4


@given(st.binary(max_size=40))
def test_every_path_gets_a_verdict(path):
    verdict = table(key="GET /a", deny_unmatched=False).verdict(b"GET", b"/" + path)
    assert (verdict.path_refused is None) or verdict.template == ""


@given(
    st.lists(st.sampled_from([b"a", b"%2F", b"/", b";", b"%25", b"2f", b"3b", b"%3B", b"B", b"."]), max_size=8).map(
        b"".join
    )
)
def test_the_plain_reading_is_always_among_the_readings(path):
    try:
        plain = segments_of(b"/" + path)
    except BadPath:
        return
    assert plain in path_variants(b"/" + path, plain)


@given(st.lists(st.sampled_from([b"a", b"\xc3\xa9", b"/", b";", b"%61", b"0", b"B", b"~"]), max_size=5).map(b"".join))
def test_a_path_that_is_read_in_one_way_has_no_other_reading(path):
    plain = segments_of(b"/" + path)
    if is_canonical(b"/" + path):
        assert path_variants(b"/" + path, plain) == {plain}
        assert fold_all(plain) == plain


@pytest.mark.parametrize(
    ("path", "one"), [(b"/a//0~/", True), (b"/A", False), (b"/%61", False), (b"/a;b", False), (b"/\xc3\xa9", False)]
)
def test_what_a_server_might_decode_cut_or_fold_is_not_read_in_one_way(path, one):
    assert is_canonical(path) is one


def test_why_says_nothing_of_a_path_that_is_refused():
    assert table("PUT /a").why(b"GET", b"/%00") == []
